"""Who may do what: roles in an organization, permissions on an app.

The model is the same in every dialect: a role in the token's organization gives a permission
on all of its apps, being a collaborator gives one on that app, and the higher of both counts.
"""

from collections.abc import Set as AbstractSet
from enum import IntEnum, StrEnum


class Role(StrEnum):
    """What a member of an organization is there."""

    OWNER = "Owner"
    ADMIN = "Admin"
    DEVELOPER = "Developer"
    VIEWER = "Viewer"


MANAGERS = frozenset({Role.OWNER, Role.ADMIN})
"""Roles that manage an organization."""


class Scope(StrEnum):
    """What a token may be used for; each includes those above it here."""

    READ = "read"
    RELEASE = "release"
    MANAGE = "manage"


ALL_SCOPES = frozenset(Scope)


class Permission(IntEnum):
    """What somebody may do with an app; each includes those below it."""

    READ = 1
    COLLABORATOR = 2
    OWNER = 3

    @property
    def wire_name(self) -> str:
        """The name clients know: ``Owner``, ``Collaborator`` or ``Viewer``."""
        return _WIRE_NAMES[self]


_WIRE_NAMES = {
    Permission.READ: "Viewer",
    Permission.COLLABORATOR: "Collaborator",
    Permission.OWNER: "Owner",
}

_SCOPE_FOR = {
    Permission.READ: Scope.READ,
    Permission.COLLABORATOR: Scope.RELEASE,
    Permission.OWNER: Scope.MANAGE,
}

_BY_ROLE = {
    Role.OWNER: Permission.OWNER,
    Role.ADMIN: Permission.OWNER,
    Role.DEVELOPER: Permission.COLLABORATOR,
    Role.VIEWER: Permission.READ,
}


def covers(scopes: AbstractSet[Scope], need: Scope) -> bool:
    """Return whether a token with ``scopes`` may be used for what needs ``need``."""
    order = list(Scope)
    return any(order.index(scope) >= order.index(need) for scope in scopes)


def scope_for(need: Permission) -> Scope:
    """Return the scope that a token must have to use a permission on an app."""
    return _SCOPE_FOR[need]


def permission_of(role: Role | None, collaborator: Permission | None) -> Permission | None:
    """Return what somebody may do with an app, or None where it does not exist for them.

    Args:
        role: Their role in the app's organization, if their token is for it.
        collaborator: Their permission as a collaborator of the app, if they are one.
    """
    held = [p for p in (_BY_ROLE[role] if role else None, collaborator) if p is not None]
    return max(held, default=None)
