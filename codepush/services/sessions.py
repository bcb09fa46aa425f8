"""How people come in by themselves: registering, logging in, and changing their account."""

from dataclasses import dataclass

from codepush.domain.errors import ForbiddenError, InvalidParameterError
from codepush.domain.events import Actor
from codepush.domain.ids import Token, UserId, new_id
from codepush.domain.models import AccessToken, Organization, Principal, User
from codepush.domain.permissions import Role
from codepush.services.access import Access, named_in, require_account
from codepush.services.accounts import Accounts
from codepush.services.attempts import Attempts
from codepush.services.invitations import Invitations
from codepush.services.tokens import Tokens


@dataclass(frozen=True, slots=True)
class Session:
    """Who came in, and the token they got, which is shown only now.

    Attributes:
        role: Theirs in the organization that the token is for.
    """

    user: User
    organization: Organization
    role: Role
    secret: Token
    token: AccessToken


class Sessions:
    """Registers and logs in people."""

    def __init__(
        self,
        access: Access,
        accounts: Accounts,
        tokens: Tokens,
        invitations: Invitations,
        attempts: Attempts,
        *,
        registration: str,
    ):
        """Let register whom ``registration`` says: ``open``, ``invited`` or ``closed``."""
        self._access = access
        self._accounts = accounts
        self._tokens = tokens
        self._invitations = invitations
        self._attempts = attempts
        self._registration = registration

    def register(
        self,
        email: str,
        password: str,
        *,
        name: str = "",
        organization: str = "",
        invitation: str = "",
        machine: str = "",
        address: str = "",
    ) -> Session:
        """Make an account and log its owner in.

        Args:
            email: Unique without regard to case.
            password: Theirs from now on.
            name: Display name.
            organization: Made, with them as its owner; a personal one if empty.
            invitation: Secret of an invitation, which is used up; the session is then for the
                organization it invites to.
            machine: What the session is remembered by.
            address: Where the request came from.

        Raises:
            ForbiddenError: The server does not let everybody register.
            NotFoundError: The invitation is unknown, used or expired.
            InvalidParameterError: A value is malformed.
            ConflictError: The e-mail address or the organization's name is taken.
        """
        if self._registration == "closed":
            raise ForbiddenError(
                "Accounts of this server are made by its operator. Please ask them for one."
            )
        if self._registration == "invited" and not invitation:
            raise ForbiddenError(
                "An account of this server needs an invitation. Ask an owner of your organization"
                " for one."
            )
        joined: list[tuple[Organization, Role]] = []

        def use_invitation(user_id: UserId, actor: Actor) -> None:
            joined.append(self._invitations.enter(user_id, actor, invitation))

        user, home = self._accounts.add_user(
            email,
            name=name,
            organization=organization,
            password=password,
            address=address,
            enter=use_invitation if invitation else None,
        )
        found, role = joined[0] if joined else (home, Role.OWNER)
        return self._open(user, found, role, machine=machine, address=address)

    def log_in(
        self,
        email: str,
        password: str,
        *,
        organization: str = "",
        machine: str = "",
        address: str = "",
    ) -> Session:
        """Log in a person who proves themselves with their password.

        Args:
            email: Whatever its case.
            password: Theirs.
            organization: Name or id of the one the session is for; their own if empty.
            machine: What the session is remembered by.
            address: Where the request came from.

        Raises:
            UnauthorizedError: E-mail address and password prove nobody.
            QuotaExceededError: Too many attempts failed lately.
            NotFoundError: They belong to no such organization.
        """
        attempt = self._attempts.begin(email, address)
        user = self._accounts.verify_password(email, password)
        self._attempts.succeed(attempt)
        found, role = named_in(
            self._access.organizations_of(user), organization or user.organization_id
        )
        return self._open(user, found, role, machine=machine, address=address)

    def change_account(
        self,
        principal: Principal,
        *,
        name: str | None = None,
        password: str | None = None,
        current_password: str = "",
    ) -> User:
        """Change the caller's display name or password.

        Args:
            principal: The caller.
            name: The new name.
            password: The new password.
            current_password: The one they have, if they have one.

        Raises:
            ForbiddenError: Their token may not.
            InvalidParameterError: A value is malformed, or the current password is wrong.
            QuotaExceededError: It was wrong too often lately.
        """
        require_account(principal)
        user = principal.user
        if password is not None and user.password_hash:
            self._prove(principal, current_password)
        return self._accounts.change(user, principal, name=name, password=password)

    def _prove(self, principal: Principal, password: str) -> None:
        """Return if a password is the caller's: with a stolen token, it could be guessed here."""
        attempt = self._attempts.begin(principal.user.email, principal.address)
        if not self._accounts.is_password(principal.user, password):
            raise InvalidParameterError(
                "The currentPassword is wrong; the password was not changed.",
                parameter="currentPassword",
                reason="Wrong",
            )
        self._attempts.succeed(attempt)

    def _open(
        self, user: User, organization: Organization, role: Role, *, machine: str, address: str
    ) -> Session:
        secret, token = self._tokens.issue(
            user,
            organization.id,
            name=f"Login-{new_id()}",
            created_by=machine or address,
            is_session=True,
            address=address,
        )
        return Session(user, organization, role, secret, token)
