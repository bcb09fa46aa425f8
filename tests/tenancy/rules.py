"""Who the actors of the matrix are, and the rules by which each route answers them."""

from dataclasses import dataclass
from typing import Any

from codepush.domain.permissions import Permission, Role, Scope


@dataclass(frozen=True)
class Actor:
    """Somebody with a token.

    Attributes:
        user: The part of their address before the @; "" for nobody.
        role: Theirs in Acme.
        permission: What the rules let them do with Acme's app App.
        organization: Which one their token carries; their first if empty.
        scope: What their token may be used for.
        app: The only app that exists for their token.
        works: Whether the token does.
    """

    user: str
    role: Role | None = None
    permission: Permission | None = None
    organization: str = ""
    scope: Scope = Scope.MANAGE
    app: str = ""
    works: bool = True


_OWNER = ("owner", Role.OWNER, Permission.OWNER)
ANONYMOUS, STRANGER = "anonymous", "stranger"
MAKER_ELSEWHERE = "removed maker of the app, token for another organization"
ACTORS = {
    ANONYMOUS: Actor("", works=False),
    STRANGER: Actor("stranger"),
    "guest collaborator": Actor("guest", None, Permission.COLLABORATOR),
    "former guest": Actor("former"),
    "viewer": Actor("viewer", Role.VIEWER, Permission.READ),
    "developer": Actor("developer", Role.DEVELOPER, Permission.COLLABORATOR),
    "admin": Actor("admin", Role.ADMIN, Permission.OWNER),
    "owner": Actor(*_OWNER),
    "developer, token may read": Actor(
        "developer", Role.DEVELOPER, Permission.COLLABORATOR, scope=Scope.READ
    ),
    "owner, token may read": Actor(*_OWNER, scope=Scope.READ),
    "owner, token may release": Actor(*_OWNER, scope=Scope.RELEASE),
    "owner, token for this app may read": Actor(*_OWNER, scope=Scope.READ, app="App"),
    "owner, token for this app may release": Actor(*_OWNER, scope=Scope.RELEASE, app="App"),
    "owner, token for this app": Actor(*_OWNER, app="App"),
    "owner, token for another app": Actor("owner", Role.OWNER, None, app="Other"),
    # The app is not of that organization, nor shared with the admin.
    "admin, token for another organization": Actor("admin", Role.ADMIN, organization="Second"),
    # With a token from before.
    "removed member": Actor("gone", works=False),
    "removed member, by half": Actor("lost", works=False),
    "removed maker of the app": Actor("maker", works=False),
    MAKER_ELSEWHERE: Actor("maker", organization="Makers"),
}
FEW = (ANONYMOUS, STRANGER, "owner", "removed member")
"""Enough for what does not look at tokens: checking a password is slow on purpose."""


@dataclass(frozen=True)
class Row:
    """What a route needs, and a request that succeeds for whoever has it.

    Attributes:
        need: Rule by which the expected status of each actor follows.
        ok: Status for those who may.
        body: JSON body; bytes are an upload.
    """

    need: str
    ok: int = 200
    body: Any = None

    @property
    def actors(self) -> tuple[str, ...]:
        """Who is to call it."""
        return FEW if self.need == PUBLIC else tuple(ACTORS)


PUBLIC, ANY, ACCOUNT, ACCOUNT_READ = "public", "any token", "account", "account, reading"
READ, RELEASE, OWN, ADD_APP = "read", "release", "own", "add an app"
MOVE, JOIN = "own, and the whole account", "account that is no member"
ORGANIZATION, ORGANIZATION_MANAGE = "organization", "organization, managing"
WEBHOOKS, WEBHOOK = "webhooks of the token's organization", "a webhook of Acme"

_ON_APPS = {
    READ: (Permission.READ, Scope.READ),
    RELEASE: (Permission.COLLABORATOR, Scope.RELEASE),
    OWN: (Permission.OWNER, Scope.MANAGE),
    MOVE: (Permission.OWNER, Scope.MANAGE),
}
_READING = {ACCOUNT_READ, ORGANIZATION}


def expected(row: Row, name: str) -> int:
    """Return the status that the rules give an actor."""
    actor = ACTORS[name]
    if row.need == PUBLIC:
        return row.ok
    if not actor.works:
        return 401
    if row.need == ANY:
        return row.ok
    if row.need in _ON_APPS:
        if actor.permission is None:
            return 404
        permission, scope = _ON_APPS[row.need]
        order = list(Scope)
        covered = order.index(actor.scope) >= order.index(scope)
        whole = row.need != MOVE or not actor.app
        return row.ok if actor.permission >= permission and covered and whole else 403
    if actor.app or (row.need not in _READING and actor.scope is not Scope.MANAGE):
        return 403
    if row.need in {ORGANIZATION, ORGANIZATION_MANAGE} and actor.role is None:
        return 404
    if row.need == JOIN and actor.role:
        return 409
    if row.need in {WEBHOOKS, WEBHOOK} and (actor.role is None or actor.organization):
        return 404 if row.need == WEBHOOK else row.ok  # an owner at home, where there is none
    too_low = {
        ADD_APP: {Role.VIEWER},
        ORGANIZATION_MANAGE: {Role.VIEWER, Role.DEVELOPER},
        WEBHOOKS: {Role.VIEWER, Role.DEVELOPER},
        WEBHOOK: {Role.VIEWER, Role.DEVELOPER},
    }.get(row.need, set())
    return 403 if actor.role in too_low else row.ok
