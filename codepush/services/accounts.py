"""Users, their organizations and their access tokens."""

import functools
from dataclasses import dataclass, replace
from datetime import timedelta

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from codepush.domain.errors import (
    ConflictError,
    InvalidParameterError,
    NotFoundError,
    UnauthorizedError,
)
from codepush.domain.ids import (
    OrganizationId,
    Token,
    TokenId,
    UserId,
    hash_token,
    new_id,
    new_secret,
)
from codepush.domain.models import AccessToken, Organization, Principal, User
from codepush.domain.names import (
    MAX_FRIENDLY_NAME,
    check_email,
    check_organization_name,
)
from codepush.domain.permissions import Role
from codepush.services.clock import Clock
from codepush.store.stores import Stores

INVALID_TOKEN = (
    'The session or access key being used is invalid, please run "code-push login" again. If you'
    ' are on an older version of the CLI, you may need to run "code-push logout" first to clear'
    " the session cache."
)
EXPIRED_TOKEN = INVALID_TOKEN.replace("is invalid", "has expired")
MIN_PASSWORD = 10
MAX_PASSWORD = 1_000
MAX_TOKEN_LIFETIME = timedelta(days=36_500)
_LONGEST_TOKEN = 200


@dataclass(frozen=True, slots=True)
class NewUser:
    """A user just made, with what is shown only now."""

    user: User
    organization: Organization
    token: Token


class Accounts:
    """Makes and finds users, and tells who a token is."""

    def __init__(self, stores: Stores, clock: Clock, token_lifetime: timedelta):
        """Use ``stores``; tokens live for ``token_lifetime`` unless their makers say otherwise."""
        self._stores = stores
        self._clock = clock
        self._token_lifetime = token_lifetime

    def create_user(
        self,
        email: str,
        *,
        name: str = "",
        organization: str = "",
        password: str = "",
        is_administrator: bool = False,
        token_name: str = "First access key",
    ) -> NewUser:
        """Make a user with a first token.

        Args:
            email: Unique without regard to case.
            name: Display name; the part of the address before the @ if empty.
            organization: Joined as Developer if it exists, else made with the user as Owner. If
                empty, the user gets a personal one.
            password: For logging in by browser; none if empty.
            is_administrator: Whether the user operates this server.
            token_name: Name of the first token.

        Raises:
            InvalidParameterError: A value is malformed.
            ConflictError: The e-mail address is taken.
        """
        email = check_email(email)
        password_hash = hash_password(password) if password else ""
        user_id = UserId(new_id())
        claim = self._stores.users.claim_email(email, user_id)
        if claim is None:
            raise ConflictError(
                f"A user with the e-mail address {email} already exists.",
                parameter="email",
                reason="Taken",
            )
        home = self._settle(organization, email, user_id, claim.deadline_ms)
        user = User(
            id=user_id,
            email=email,
            name=name or email.partition("@")[0],
            organization_id=home.id,
            created_at_ms=self._clock(),
            is_administrator=is_administrator,
            password_hash=password_hash,
        )
        self._stores.users.create(user, claim)
        token, _ = self.create_token(user, home.id, name=token_name, created_by="codepush")
        return NewUser(user, home, token)

    def _settle(self, name: str, email: str, user_id: UserId, deadline_ms: int) -> Organization:
        """Find or make the organization that a user to come belongs to, and enter them there."""
        organizations = self._stores.organizations
        made = Organization(
            id=OrganizationId(new_id()),
            name=check_organization_name(name) if name else email,
            is_personal=not name,
            created_at_ms=self._clock(),
        )
        if name:
            claim = organizations.claim_name(name, made.id)
            if claim is None:
                return self._join(name, user_id)
            deadline_ms = min(deadline_ms, claim.deadline_ms)
        organizations.create(made, user_id, deadline_ms)
        return made

    def _join(self, name: str, user_id: UserId) -> Organization:
        organizations = self._stores.organizations
        found = organizations.find(name)
        if found is None:
            raise ConflictError(
                f"The organization {name} is being made by somebody else. Please try again in a"
                " minute."
            )
        # A crash may have left an organization whose first owner never came to be.
        others = self._stores.users.get_many(organizations.members(found.id))
        organizations.set_role(found.id, user_id, Role.DEVELOPER if others else Role.OWNER)
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

    def set_password(self, user: User, password: str) -> None:
        """Give a user a password, or another one.

        Raises:
            InvalidParameterError: It is too short or too long.
        """
        self._stores.users.set_password(user.id, hash_password(password))

    def verify_password(self, email: str, password: str) -> User:
        """Return the user whom e-mail address and password prove.

        Takes the same time whether or not the address is registered.

        Raises:
            UnauthorizedError: They prove nobody.
        """
        user = self._stores.users.find(email)
        held = user.password_hash if user else ""
        try:
            _hasher().verify(held or _dummy_hash(), password)
            proven = user if held else None
        except (Argon2Error, InvalidHashError):
            proven = None
        if proven is None:
            raise UnauthorizedError(
                "The e-mail address or the password is wrong. Passwords are set by the operator"
                " with `codepush user set-password`."
            )
        return proven

    def authenticate(self, token: str) -> Principal:
        """Return who a token is.

        Raises:
            UnauthorizedError: The token is unknown, revoked or expired.
        """
        if not token or len(token) > _LONGEST_TOKEN:
            raise UnauthorizedError(INVALID_TOKEN)
        held = self._stores.tokens.find(hash_token(token))
        user = self._stores.users.get(held.user_id) if held else None
        if held is None or user is None:
            raise UnauthorizedError(INVALID_TOKEN)
        if held.expires_at_ms <= self._clock():
            raise UnauthorizedError(EXPIRED_TOKEN)
        role = self._stores.organizations.role(held.organization_id, user.id)
        return Principal(user, held.organization_id, role, held)

    def create_token(
        self,
        user: User,
        organization_id: OrganizationId,
        *,
        name: str,
        created_by: str,
        lifetime: timedelta | None = None,
        is_session: bool = False,
    ) -> tuple[Token, AccessToken]:
        """Make a token; its secret exists only in what this returns.

        Raises:
            InvalidParameterError: The name or lifetime is out of its limits.
            ConflictError: The user has a token of that name.
        """
        now = self._clock()
        secret = Token(new_secret())
        token = AccessToken(
            id=TokenId(new_id()),
            name=_check_token_name(name),
            user_id=user.id,
            organization_id=organization_id,
            created_by=created_by[:MAX_FRIENDLY_NAME],
            created_at_ms=now,
            expires_at_ms=now + _milliseconds(lifetime or self._token_lifetime),
            is_session=is_session,
        )
        self._stores.tokens.create(token, hash_token(secret))
        return secret, token

    def list_tokens(self, user: User) -> list[AccessToken]:
        """Return a user's tokens, oldest first."""
        return self._stores.tokens.list_of(user.id)

    def find_token(self, user: User, name: str) -> AccessToken:
        """Return a user's token by name.

        Raises:
            NotFoundError: There is none of that name.
        """
        for token in self.list_tokens(user):
            if token.name == name:
                return token
        raise NotFoundError(f'The access key "{name}" does not exist.')

    def change_token(
        self,
        token: AccessToken,
        *,
        name: str | None = None,
        lifetime: timedelta | None = None,
    ) -> AccessToken:
        """Rename a token, or let it expire at another time, counted from now.

        Raises:
            InvalidParameterError: The name or lifetime is out of its limits.
            ConflictError: The user has another token of that name.
        """
        changed = token
        if name is not None:
            changed = replace(changed, name=_check_token_name(name))
        if lifetime is not None:
            changed = replace(changed, expires_at_ms=self._clock() + _milliseconds(lifetime))
        self._stores.tokens.replace(token, changed)
        return changed

    def revoke_token(self, token: AccessToken) -> None:
        """Make a token worthless, at once and everywhere."""
        self._stores.tokens.delete(token)

    def revoke_sessions(self, user: User, machine: str) -> None:
        """Revoke all tokens that a machine got by browser login.

        Raises:
            NotFoundError: It has none.
        """
        sessions = [t for t in self.list_tokens(user) if t.is_session and t.created_by == machine]
        if not sessions:
            raise NotFoundError(f'There are no sessions associated with "{machine}."')
        for token in sessions:
            self.revoke_token(token)


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
    return _hasher().hash(password)


@functools.cache
def _hasher() -> PasswordHasher:
    return PasswordHasher()


@functools.cache
def _dummy_hash() -> str:
    return _hasher().hash(new_secret())


def _check_token_name(name: str) -> str:
    if not name.strip() or len(name) > MAX_FRIENDLY_NAME or not name.isprintable():
        raise InvalidParameterError(
            f"The friendlyName must be 1 to {MAX_FRIENDLY_NAME} printable characters.",
            parameter="friendlyName",
            reason="Malformed",
        )
    return name


def _milliseconds(lifetime: timedelta) -> int:
    if not timedelta(0) <= lifetime <= MAX_TOKEN_LIFETIME:
        raise InvalidParameterError(
            "The ttl must be from 0 to 100 years, in milliseconds.", parameter="ttl", reason="Range"
        )
    return lifetime // timedelta(milliseconds=1)
