"""Access tokens: issued, checked, listed and revoked."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta

from codepush.domain.errors import InvalidParameterError, NotFoundError, UnauthorizedError
from codepush.domain.events import Action, Actor
from codepush.domain.ids import (
    AppId,
    OrganizationId,
    Token,
    TokenId,
    hash_token,
    new_id,
    new_secret,
)
from codepush.domain.models import AccessToken, Principal, User
from codepush.domain.names import MAX_FRIENDLY_NAME, check_friendly_name
from codepush.domain.permissions import ALL_SCOPES, Permission, Scope
from codepush.services.access import Access, require_account
from codepush.services.audit import Audit
from codepush.services.clock import Clock
from codepush.services.telling import Teller
from codepush.store.stores import Stores

INVALID_TOKEN = (
    'The session or access key being used is invalid, please run "code-push login" again. If you'
    ' are on an older version of the CLI, you may need to run "code-push logout" first to clear'
    " the session cache."
)
EXPIRED_TOKEN = INVALID_TOKEN.replace("is invalid", "has expired")
LEFT_ORGANIZATION = INVALID_TOKEN.replace(
    "is invalid", "is of an organization that you are no longer a member of"
)
MAX_TOKEN_LIFETIME = timedelta(days=36_500)
_LONGEST_TOKEN = 200


@dataclass(frozen=True, slots=True)
class ListedToken:
    """A token as a list shows it.

    Attributes:
        organization: Name of the organization it carries.
        app: Name of the only app that exists for it; the app's id where its user lost the app.
            None where it is not limited.
    """

    token: AccessToken
    organization: str
    app: str | None


class Tokens:
    """What can be done with tokens, each of one user and one organization."""

    def __init__(
        self,
        stores: Stores,
        access: Access,
        audit: Audit,
        teller: Teller,
        clock: Clock,
        lifetime: timedelta,
    ):
        """Let tokens live for ``lifetime`` unless their makers say otherwise."""
        self._stores = stores
        self._access = access
        self._audit = audit
        self._tell = teller
        self._clock = clock
        self._lifetime = lifetime

    def authenticate(self, token: str, address: str = "") -> Principal:
        """Return who a token is.

        An unknown token and a wrong one take the same path: both are looked up by their hash.

        Args:
            token: The secret.
            address: Where the request came from, for the audit log.

        Raises:
            UnauthorizedError: The token is unknown, revoked or expired, or its user is no longer a
                member of the organization it carries.
        """
        if not token or len(token) > _LONGEST_TOKEN:
            raise UnauthorizedError(INVALID_TOKEN)
        held = self._stores.tokens.find(hash_token(token))
        user = self._stores.users.get(held.user_id) if held else None
        if held is None or user is None:
            raise UnauthorizedError(INVALID_TOKEN)
        if held.expires_at_ms <= self._clock():
            raise UnauthorizedError(EXPIRED_TOKEN)
        role, quota = self._stores.organizations.standing(held.organization_id, user.id)
        if role is None:
            raise UnauthorizedError(LEFT_ORGANIZATION)
        return Principal(user, held.organization_id, role, held, address, quota)

    def confirm(self, principal: Principal) -> Principal:
        """Return a caller as they are now, who was let in a while ago.

        Raises:
            UnauthorizedError: They would not be let in any more.
        """
        if not self._stores.tokens.is_good(principal.token, now_ms=self._clock()):
            raise UnauthorizedError(INVALID_TOKEN)
        role, quota = self._stores.organizations.standing(
            principal.organization_id, principal.user.id
        )
        if role is None:
            raise UnauthorizedError(LEFT_ORGANIZATION)
        return replace(principal, role=role, quota_per_hour=quota)

    def issue(
        self,
        user: User,
        organization_id: OrganizationId,
        *,
        name: str,
        created_by: str,
        lifetime: timedelta | None = None,
        is_session: bool = False,
        scopes: Iterable[Scope] = ALL_SCOPES,
        app_id: AppId | None = None,
        address: str = "",
        by: Actor | None = None,
    ) -> tuple[Token, AccessToken]:
        """Make a token; its secret exists only in what this returns.

        Args:
            user: Whose.
            organization_id: The organization it carries.
            name: Unique among the user's tokens.
            created_by: Host name or address of the machine that asked for it.
            lifetime: From now; the server's usual one if None.
            is_session: Whether it comes from a login with a password.
            scopes: What it may be used for.
            app_id: The only app that exists for it.
            address: Where the request came from, for the audit log.
            by: Who makes it, if not the user by logging in.

        Raises:
            InvalidParameterError: The name or lifetime is out of its limits.
            ConflictError: The user has a token of that name.
        """
        now = self._clock()
        secret = Token(new_secret())
        token = AccessToken(
            id=TokenId(new_id()),
            name=check_friendly_name(name),
            user_id=user.id,
            organization_id=organization_id,
            created_by=created_by[:MAX_FRIENDLY_NAME],
            created_at_ms=now,
            expires_at_ms=now + _milliseconds(lifetime or self._lifetime),
            is_session=is_session,
            scopes=frozenset(scopes),
            app_id=app_id,
        )
        self._stores.tokens.create(token, hash_token(secret))
        self._log(
            by or Actor(user.id, user.email, token.id, token.name, address),
            Action.TOKEN_CREATED,
            token,
        )
        return secret, token

    def create(
        self,
        principal: Principal,
        *,
        name: str,
        created_by: str,
        lifetime: timedelta | None = None,
        organization: str = "",
        scopes: Iterable[Scope] = ALL_SCOPES,
        app: str = "",
    ) -> tuple[Token, AccessToken]:
        """Make another token for the caller.

        Args:
            principal: The caller.
            name: Unique among their tokens.
            created_by: Host name or address of the machine that asked for it.
            lifetime: From now; the server's usual one if None.
            organization: Name or id of an organization they belong to; their token's if empty.
            scopes: What it may be used for.
            app: The only app that shall exist for it; all if empty.

        Raises:
            InvalidParameterError: The name or lifetime is out of its limits.
            ConflictError: They have a token of that name.
            NotFoundError: There is no such organization or app for them.
            ForbiddenError: Their own token may not.
        """
        require_account(principal)
        target = principal
        if organization:
            found, role = self._access.organization(principal, organization)
            target = replace(principal, organization_id=found.id, role=role)
        app_id = self._access.app(target, app, Permission.READ).id if app else None
        return self.issue(
            principal.user,
            target.organization_id,
            name=name,
            created_by=created_by,
            lifetime=lifetime,
            scopes=scopes,
            app_id=app_id,
            by=principal.actor,
        )

    def list_of(self, principal: Principal) -> list[AccessToken]:
        """Return the caller's tokens, oldest first.

        Raises:
            ForbiddenError: Their token may not.
        """
        require_account(principal, Scope.READ)
        return self._stores.tokens.list_of(principal.user.id)

    def describe(self, tokens: Iterable[AccessToken]) -> list[ListedToken]:
        """Return tokens as a list would show them."""
        tokens = list(tokens)
        organizations = {
            each: self._stores.organizations.get(each)
            for each in {token.organization_id for token in tokens}
        }
        apps = self._stores.apps.get_many(token.app_id for token in tokens if token.app_id)
        listed = []
        for token in tokens:
            home = organizations[token.organization_id]
            app = apps.get(token.app_id) if token.app_id else None
            is_theirs = app and (
                app.organization_id == token.organization_id or token.user_id in app.collaborators
            )
            listed.append(
                ListedToken(
                    token,
                    home.name if home else "",
                    app.name if app and is_theirs else token.app_id,
                )
            )
        return listed

    def find(self, principal: Principal, name: str) -> AccessToken:
        """Return one of the caller's tokens by name.

        Raises:
            NotFoundError: There is none of that name.
            ForbiddenError: Their token may not.
        """
        for token in self.list_of(principal):
            if token.name == name:
                return token
        raise NotFoundError(f'The access key "{name}" does not exist.')

    def change(
        self,
        principal: Principal,
        token: AccessToken,
        *,
        name: str | None = None,
        lifetime: timedelta | None = None,
    ) -> AccessToken:
        """Rename a token, or let it expire at another time, counted from now.

        Raises:
            InvalidParameterError: The name or lifetime is out of its limits.
            ConflictError: The caller has another token of that name.
            ForbiddenError: Their token may not.
        """
        require_account(principal)
        changed = token
        if name is not None:
            changed = replace(changed, name=check_friendly_name(name))
        if lifetime is not None:
            changed = replace(changed, expires_at_ms=self._clock() + _milliseconds(lifetime))
        self._stores.tokens.replace(token, changed)
        self._log(principal, Action.TOKEN_CHANGED, changed)
        return changed

    def revoke(self, principal: Principal, token: AccessToken) -> None:
        """Make a token worthless, at once and everywhere; anybody may revoke the one they use.

        Raises:
            ForbiddenError: The caller's token may not.
        """
        if token.id != principal.token.id:
            require_account(principal)
        self._stores.tokens.delete(token)
        self._log(principal, Action.TOKEN_REVOKED, token)

    def revoke_sessions(self, principal: Principal, machine: str) -> None:
        """Revoke all tokens that a machine got by login.

        Raises:
            NotFoundError: It has none.
            ForbiddenError: The caller's token may not.
        """
        require_account(principal)
        tokens = self.list_of(principal)
        sessions = [each for each in tokens if each.is_session and each.created_by == machine]
        if not sessions:
            raise NotFoundError(f'There are no sessions associated with "{machine}."')
        for token in sessions:
            self.revoke(principal, token)

    def revoke_all(self, user: User, organization_id: OrganizationId, by: Actor) -> None:
        """Revoke a user's tokens of an organization, which they left."""
        for token in self._stores.tokens.list_of(user.id):
            if token.organization_id == organization_id and self._stores.tokens.delete(token):
                self._log(by, Action.TOKEN_REVOKED, token)

    def _log(self, by: Principal | Actor, action: Action, token: AccessToken) -> None:
        event = self._tell.about_organization(
            by,
            action,
            token.organization_id,
            target=token.name,
            scopes=sorted(token.scopes),
            expires=token.expires_at_ms,
        )
        self._audit.log(event)


def _milliseconds(lifetime: timedelta) -> int:
    if not timedelta(0) <= lifetime <= MAX_TOKEN_LIFETIME:
        raise InvalidParameterError(
            "The ttl must be from 0 to 100 years, in milliseconds.", parameter="ttl", reason="Range"
        )
    return lifetime // timedelta(milliseconds=1)
