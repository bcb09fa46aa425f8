"""Users, their organizations and their access tokens."""

import functools
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from codepush.domain.errors import (
    ConflictError,
    InvalidParameterError,
    NotFoundError,
    UnauthorizedError,
)
from codepush.domain.events import NOBODY, Action, Actor
from codepush.domain.ids import (
    OrganizationId,
    Token,
    TokenId,
    UserId,
    new_id,
    new_secret,
)
from codepush.domain.models import Organization, Principal, User
from codepush.domain.names import (
    check_display_name,
    check_email,
    check_organization_name,
)
from codepush.domain.permissions import Role
from codepush.services.audit import Audit
from codepush.services.clock import Clock
from codepush.services.telling import Teller
from codepush.services.tokens import Tokens
from codepush.store.stores import Stores

FIRST_TOKEN = "First access key"
MIN_PASSWORD = 10
MAX_PASSWORD = 1_000


@dataclass(frozen=True, slots=True)
class NewUser:
    """A user just made, with what is shown only now."""

    user: User
    organization: Organization
    token: Token


class Accounts:
    """Makes and finds users, and tells who a token is."""

    def __init__(self, stores: Stores, tokens: Tokens, audit: Audit, teller: Teller, clock: Clock):
        """Use ``stores``, and issue first tokens through ``tokens``."""
        self._stores = stores
        self._tokens = tokens
        self._audit = audit
        self._tell = teller
        self._clock = clock

    def create_user(
        self,
        email: str,
        *,
        name: str = "",
        organization: str = "",
        is_administrator: bool = False,
    ) -> NewUser:
        """Make a user with a first token, as the operator does.

        Args:
            email: Unique without regard to case.
            name: Display name; the part of the address before the @ if empty.
            organization: Joined as Developer if it exists, else made with the user as Owner. If
                empty, the user gets a personal one.
            is_administrator: Whether the user operates this server.

        Raises:
            InvalidParameterError: A value is malformed.
            ConflictError: The e-mail address is taken.
        """
        user, home = self.add_user(
            email,
            name=name,
            organization=organization,
            by=NOBODY,
            is_administrator=is_administrator,
        )
        token, _ = self._tokens.issue(
            user, home.id, name=FIRST_TOKEN, created_by="codepush", by=NOBODY
        )
        return NewUser(user, home, token)

    def add_user(
        self,
        email: str,
        *,
        name: str = "",
        organization: str = "",
        password: str = "",
        is_administrator: bool = False,
        by: Actor | None = None,
        address: str = "",
        enter: Callable[[UserId, Actor], None] | None = None,
    ) -> tuple[User, Organization]:
        """Make a user without a token.

        Args:
            email: Unique without regard to case.
            name: Display name; the part of the address before the @ if empty.
            organization: Made with the user as Owner; a personal one if empty. The operator makes
                members of one that exists; for all others, its name is taken.
            password: For logging in; none if empty.
            is_administrator: Whether the user operates this server.
            by: Who makes them, if not they themselves.
            address: Where the request came from, for the audit log.
            enter: What must have succeeded before the user comes to be, given their id and who
                does it.

        Raises:
            InvalidParameterError: A value is malformed.
            ConflictError: The e-mail address is taken, or the organization's name.
        """
        email = check_email(email)
        name = check_display_name(name) if name else email.partition("@")[0]
        password_hash = hash_password(password) if password else ""
        user_id = UserId(new_id())
        actor = by or Actor(user_id, email, TokenId(""), "", address)
        claim = self._stores.users.claim_email(email, user_id)
        if claim is None:
            raise ConflictError(
                f"A user with the e-mail address {email} already exists.",
                parameter="email",
                reason="Taken",
            )
        with claim:
            home = self._settle(organization, email, user_id, claim.deadline_ms, actor)
            if enter:
                enter(user_id, actor)
            user = User(
                id=user_id,
                email=email,
                name=name,
                organization_id=home.id,
                created_at_ms=self._clock(),
                is_administrator=is_administrator,
                password_hash=password_hash,
            )
            self._stores.users.create(user, claim)
        return user, home

    def _settle(
        self, name: str, email: str, user_id: UserId, deadline_ms: int, actor: Actor
    ) -> Organization:
        """Find or make the organization that a user to come belongs to, and enter them there."""
        organizations = self._stores.organizations
        made = Organization(
            id=OrganizationId(new_id()),
            name=check_organization_name(name) if name else email,
            is_personal=not name,
            created_at_ms=self._clock(),
        )
        claim: AbstractContextManager[object] = nullcontext()
        if name:
            claimed = organizations.claim_name(name, made.id)
            if claimed is None:
                if actor is NOBODY:
                    return self._join(name, email, user_id)
                raise ConflictError(
                    f"An organization named '{name}' already exists. Ask one of its owners for an"
                    " invitation.",
                    parameter="organization",
                    reason="Name already exists",
                )
            claim = claimed
            deadline_ms = min(deadline_ms, claimed.deadline_ms)
        event = self._tell.about_organization(
            actor, Action.ORGANIZATION_CREATED, made.id, target=made.name
        )
        with claim:
            self._stores.users.note(user_id, made.id)
            organizations.create(made, user_id, deadline_ms, event=event if name else None)
        return made

    def _join(self, name: str, email: str, user_id: UserId) -> Organization:
        organizations = self._stores.organizations
        found = organizations.find(name)
        if found is None:
            raise ConflictError(
                f"The organization {name} is being made by somebody else. Please try again in a"
                " minute."
            )
        # A crash may have left an organization whose first owner never came to be.
        others = self._stores.users.get_many(organizations.members(found.id))
        role = Role.DEVELOPER if others else Role.OWNER
        event = self._tell.about_organization(
            NOBODY, Action.MEMBER_ADDED, found.id, target=email, role=role.value
        )
        self._stores.users.note(user_id, found.id)
        organizations.set_role(found.id, user_id, role, event=event)
        return found

    def find_user(self, email: str) -> User:
        """Return the user with this e-mail address.

        Raises:
            NotFoundError: Nobody registered it.
        """
        user = self._stores.users.find(email)
        if user is None:
            raise NotFoundError("The specified e-mail address doesn't represent a registered user")
        return user

    def list_users(self) -> list[tuple[User, Organization | None]]:
        """Return every user with their own organization."""
        find = functools.cache(self._stores.organizations.get)
        return [(user, find(user.organization_id)) for user in self._stores.users.list_all()]

    def change(
        self,
        user: User,
        by: Principal | Actor,
        *,
        name: str | None = None,
        password: str | None = None,
    ) -> User:
        """Give a user another display name, another password or both, or neither.

        Args:
            user: Whom.
            by: Who does it; logged in their token's organization, the operator in the user's own.
            name: The new name.
            password: The new password.

        Raises:
            InvalidParameterError: One of them may not be; then nothing is changed.
        """
        if name is not None:
            user = replace(user, name=check_display_name(name))
        password_hash = hash_password(password) if password is not None else None
        self._stores.users.update(user.id, name=name, password_hash=password_hash)
        home = by.organization_id if isinstance(by, Principal) else user.organization_id
        changed = [what for what, to in (("name", name), ("password", password)) if to is not None]
        self._audit.log(
            self._tell.about_organization(
                by, Action.ACCOUNT_CHANGED, home, target=user.email, changed=changed
            )
        )
        return user

    def verify_password(self, email: str, password: str) -> User:
        """Return the user whom e-mail address and password prove.

        Takes the same time whether or not the address is registered.

        Raises:
            UnauthorizedError: They prove nobody.
        """
        user = self._stores.users.find(email)
        if user is None:
            _matches(_dummy_hash(), password)
        if user is None or not self.is_password(user, password):
            raise UnauthorizedError(
                "The e-mail address or the password is wrong. Passwords are set by the operator"
                " with `codepush user set-password`."
            )
        return user

    def is_password(self, user: User, password: str) -> bool:
        """Return whether a password is the user's; one who has none takes as long to refuse."""
        matches = _matches(user.password_hash or _dummy_hash(), password)
        return matches and bool(user.password_hash)


_ONE_AT_A_TIME = threading.Semaphore(1)
"""Each hash of a password takes 64 MB for its time, and anybody may ask for one."""


def _matches(password_hash: str, password: str) -> bool:
    try:
        with _ONE_AT_A_TIME:
            return _hasher().verify(password_hash, password)
    except (Argon2Error, InvalidHashError):
        return False


def hash_password(password: str) -> str:
    """Return the argon2 hash of a password.

    Raises:
        InvalidParameterError: It is too short or too long.
    """
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise InvalidParameterError(
            f"The password must be {MIN_PASSWORD} to {MAX_PASSWORD} characters long.",
            parameter="password",
            reason="Length",
        )
    with _ONE_AT_A_TIME:
        return _hasher().hash(password)


@functools.cache
def _hasher() -> PasswordHasher:
    return PasswordHasher()


@functools.cache
def _dummy_hash() -> str:
    return _hasher().hash(new_secret())
