"""Which app a caller means, and whether they may do what they ask: tenancy, in one place.

Nothing else in the server turns a name into an app. An app that the caller has no permission on
does not exist for them; one that they may see but not change is forbidden.
"""

from codepush.domain.errors import ForbiddenError, InsufficientScopeError, NotFoundError
from codepush.domain.models import App, Organization, Principal, User
from codepush.domain.names import fold
from codepush.domain.permissions import Permission, Role, Scope, covers, permission_of, scope_for
from codepush.store.apps import gone
from codepush.store.stores import Stores

_LEGACY_SEPARATOR = "~~"
"""What SDK 2 and 3 send for the slash of ``owner/app``."""


class Access:
    """Resolves app names for a principal."""

    def __init__(self, stores: Stores):
        """Use ``stores``."""
        self._stores = stores

    def visible_apps(self, principal: Principal) -> list[App]:
        """Return the apps of the principal's organization and those shared with the user."""
        own = self._stores.apps.list_of(principal.organization_id) if principal.role else []
        known = {app.id for app in own}
        apps = own + [app for app in self._shared(principal) if app.id not in known]
        return [app for app in apps if permission_on(app, principal)]

    def app(self, principal: Principal, reference: str, need: Permission) -> App:
        """Return the app that a caller means.

        Args:
            principal: The caller.
            reference: ``name``, or ``owner:name`` or ``owner~~name`` with the owner's e-mail
                address or organization. A bare name means the organization's own app first, then a
                single shared one.
            need: What the caller wants to do.

        Raises:
            NotFoundError: There is none, or none that the caller may know of.
            ForbiddenError: The caller may see it, but lacks ``need``, or their token does.
        """
        app = self._find(principal, reference)
        _require(principal, app, need, reference)
        return app

    def confirm(self, principal: Principal, app: App, need: Permission) -> App:
        """Return an app as it is now, if a caller may still do what it let them do a while ago.

        Raises:
            NotFoundError: The app is gone, or they may not know of it any more.
            ForbiddenError: They may see it, but lack ``need``.
        """
        found = self._stores.apps.get(app.id)
        if found is None:
            raise gone(app.name)
        _require(principal, found, need, app.name)
        return found

    def organizations(self, principal: Principal) -> list[tuple[Organization, Role]]:
        """Return the organizations that the principal belongs to, with their role in each."""
        return self.organizations_of(principal.user)

    def organizations_of(self, user: User) -> list[tuple[Organization, Role]]:
        """Return the organizations that a user belongs to, with their role in each."""
        store = self._stores.organizations
        found = []
        for organization_id in store.joined(user.id):
            role = store.role(organization_id, user.id)
            organization = store.get(organization_id)
            if role and organization:
                found.append((organization, role))
        return sorted(found, key=lambda pair: (fold(pair[0].name), pair[0].id))

    def organization(self, principal: Principal, reference: str) -> tuple[Organization, Role]:
        """Return the organization that a caller means, by its name or id, and their role there.

        Raises:
            NotFoundError: There is none, or the caller is no member of it.
        """
        return named_in(self.organizations(principal), reference)

    def _find(self, principal: Principal, reference: str) -> App:
        if reference.count(":") == 1:
            owner, _, name = reference.partition(":")
            return self._owned_by(principal, owner, name, reference)
        if ":" in reference:
            raise gone(reference)
        found = self._named(principal, reference)
        if not found and _LEGACY_SEPARATOR in reference:
            owner, _, name = reference.partition(_LEGACY_SEPARATOR)
            return self._owned_by(principal, owner, name, reference)
        if not found:
            raise gone(reference)
        if len(found) > 1 and found[0].organization_id != principal.organization_id:
            owned = [app for app in found if app.owner_id == principal.user.id]
            if len(owned) != 1:
                raise NotFoundError(
                    f'Several apps named "{reference}" are shared with you. Write'
                    f" owner@example.com:{reference} to say whose you mean."
                )
            return owned[0]
        return found[0]

    def _named(self, principal: Principal, name: str) -> list[App]:
        """Return the visible apps of a name, the organization's own first."""
        own = self._stores.apps.find(principal.organization_id, name) if principal.role else None
        folded = fold(name)
        shared = [app for app in self._shared(principal) if fold(app.name) == folded]
        found = ([own] if own else []) + [a for a in shared if own is None or a.id != own.id]
        return [app for app in found if permission_on(app, principal)]

    def _owned_by(self, principal: Principal, owner: str, name: str, reference: str) -> App:
        found = [
            app for app in self._named(principal, name) if fold(owner) in self._owner_names(app)
        ]
        if len(found) > 1:
            raise NotFoundError(
                f'Several apps go by "{reference}". Write the organization of the one you mean in'
                " front: organization:app."
            )
        if not found:
            raise gone(reference)
        return found[0]

    def _owner_names(self, app: App) -> set[str]:
        names = set()
        user = self._stores.users.get(app.owner_id) if app.owner_id else None
        if user:
            # Not the display name: anybody may call themselves anything.
            names.add(fold(user.email))
        organization = self._stores.organizations.get(app.organization_id)
        if organization:
            names.add(fold(organization.name))
        return names

    def _shared(self, principal: Principal) -> list[App]:
        noted = self._stores.users.noted_apps(principal.user.id)
        apps = self._stores.apps.get_many(noted).values()
        return [app for app in apps if principal.user.id in app.collaborators]


def _require(principal: Principal, app: App, need: Permission, reference: str) -> None:
    held = permission_on(app, principal)
    if held is None:
        raise gone(reference)
    require_scope(principal, scope_for(need))
    if held < need:
        raise ForbiddenError(f"This action requires {need.wire_name} permissions on the app!")


def require_scope(principal: Principal, need: Scope) -> None:
    """Return if the principal's token may be used for what needs ``need``.

    Raises:
        InsufficientScopeError: It may not.
    """
    if not covers(principal.token.scopes, need):
        raise InsufficientScopeError(
            f"This access token lacks the scope '{need.value}'. Use a token that has it."
        )


def require_may_add(role: Role | None) -> None:
    """Return if whoever has this role in an organization may put apps into it.

    Raises:
        ForbiddenError: They may not.
    """
    if role in {None, Role.VIEWER}:
        raise ForbiddenError(
            "Your role in the organization does not allow you to add apps. Ask one of its owners"
            " for the role Developer."
        )


def require_account(principal: Principal, need: Scope = Scope.MANAGE) -> None:
    """Return if the token may act for the whole account or organization, not only for one app.

    Raises:
        InsufficientScopeError: It may not.
    """
    require_scope(principal, need)
    if principal.token.app_id is not None:
        raise InsufficientScopeError(
            "This access token is limited to one app. Use a token that is not."
        )


def permission_on(app: App, principal: Principal) -> Permission | None:
    """Return what a principal may do with an app; None where it does not exist for them."""
    if principal.token.app_id not in {None, app.id}:
        return None
    role = principal.role if app.organization_id == principal.organization_id else None
    return permission_of(role, app.collaborators.get(principal.user.id))


def is_owner(app: App, user: User) -> bool:
    """Return whether a user is the app's owner in the sense of collaborators."""
    return app.collaborators.get(user.id) is Permission.OWNER


def named_in(found: list[tuple[Organization, Role]], reference: str) -> tuple[Organization, Role]:
    """Return the organization that a reference means: its id before any name, whatever its case.

    Raises:
        NotFoundError: It is none of these.
    """
    for pair in found:
        if pair[0].id == reference:
            return pair
    for pair in found:
        if fold(pair[0].name) == fold(reference):
            return pair
    raise no_organization(reference)


def no_organization(reference: str) -> NotFoundError:
    """Return the error for an organization that is not there."""
    return NotFoundError(f'Organization "{reference}" does not exist.')
