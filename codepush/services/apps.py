"""Apps: made, listed, renamed and deleted; ``ownership.py`` says who has them."""

import functools
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

from codepush.domain.errors import ConflictError
from codepush.domain.events import Action
from codepush.domain.ids import (
    AppId,
    DeploymentId,
    DeploymentKey,
    new_id,
    new_secret,
)
from codepush.domain.models import App, Deployment, Principal, User
from codepush.domain.names import check_name, fold
from codepush.domain.permissions import Permission, Scope
from codepush.services.access import Access, require_account, require_may_add, require_scope
from codepush.services.clock import Clock
from codepush.services.signing import changed_signing
from codepush.services.telling import Teller
from codepush.store.stores import Stores

DEFAULT_DEPLOYMENTS = ("Production", "Staging")
_TRIES = 10


@dataclass(frozen=True, slots=True)
class ListedApp:
    """An app as a list shows it.

    Attributes:
        display_name: Its name; ``owner@example.com:name`` where the bare name means another app.
        organization: Name of the organization it belongs to.
        collaborators: With their permissions, by e-mail address.
    """

    app: App
    display_name: str
    organization: str
    collaborators: tuple[tuple[User, Permission], ...]


class Apps:
    """What can be done with apps as a whole."""

    def __init__(self, stores: Stores, access: Access, teller: Teller, clock: Clock):
        """Use ``stores``; find apps through ``access``."""
        self._stores = stores
        self._access = access
        self._tell = teller
        self._clock = clock

    def create(
        self,
        principal: Principal,
        name: str,
        *,
        os: str | None = None,
        platform: str | None = None,
        deployments: Iterable[str] = DEFAULT_DEPLOYMENTS,
    ) -> App:
        """Make an app in the principal's organization, with the principal as its owner.

        Raises:
            InvalidParameterError: The name may not be.
            ForbiddenError: The principal may only read in the organization.
            ConflictError: The organization has an app of that name.
        """
        check_name(name)
        require_account(principal)
        require_may_add(principal.role)
        app_id = AppId(new_id())
        organization_id = principal.organization_id
        claim = self._stores.apps.claim_name(organization_id, name, app_id)
        if claim is None:
            raise _name_taken(name)
        made = [self._new_deployment(app_id, each) for each in deployments]
        app = App(
            id=app_id,
            organization_id=organization_id,
            name=name,
            os=os,
            platform=platform,
            created_at_ms=self._clock(),
            collaborators={principal.user.id: Permission.OWNER},
            deployments={each.name: each.id for each in made},
        )
        event = self._tell.about_app(principal, Action.APP_CREATED, app, os=os, platform=platform)
        with claim:
            # The name was claimed before the keys, so its claim is the first to grow too old.
            for each in made:
                self._stores.deployments.claim_key(each.key, app_id, each.id)
            self._stores.users.note_app(principal.user.id, app_id)
            self._stores.organizations.note_log(organization_id, app_id)
            self._stores.apps.create(app, made, claim.deadline_ms, event=event)
        return app

    def _new_deployment(self, app_id: AppId, name: str) -> Deployment:
        return Deployment(
            id=DeploymentId(new_id()),
            app_id=app_id,
            name=name,
            key=DeploymentKey(new_secret()),
            created_at_ms=self._clock(),
        )

    def list_for(self, principal: Principal) -> list[ListedApp]:
        """Return the apps that the principal may see, by name.

        Raises:
            ForbiddenError: Their token may not read.
        """
        require_scope(principal, Scope.READ)
        apps = self._access.visible_apps(principal)
        return self._list(principal, apps)

    def get(self, principal: Principal, reference: str) -> ListedApp:
        """Return one app.

        Raises:
            NotFoundError: There is none for this principal.
        """
        return self.describe(principal, self._access.app(principal, reference, Permission.READ))

    def describe(self, principal: Principal, app: App) -> ListedApp:
        """Return an app as a list would show it."""
        return self._list(principal, [app])[0]

    def _list(self, principal: Principal, apps: list[App]) -> list[ListedApp]:
        users = self._stores.users.get_many(u for app in apps for u in app.collaborators)
        bearers = Counter(fold(app.name) for app in apps)
        find = functools.cache(self._stores.organizations.get)
        listed = []
        for app in sorted(apps, key=lambda app: app.name):
            display = app.name
            is_own = app.organization_id == principal.organization_id
            if not is_own and bearers[fold(app.name)] > 1:
                owner = users.get(app.owner_id) if app.owner_id else None
                display = f"{owner.email}:{app.name}" if owner else app.name
            held = [(users[u], p) for u, p in app.collaborators.items() if u in users]
            held.sort(key=lambda pair: pair[0].email.casefold())
            home = find(app.organization_id)
            listed.append(ListedApp(app, display, home.name if home else "", tuple(held)))
        return listed

    def rename(self, principal: Principal, reference: str, name: str) -> App:
        """Give an app another name.

        Raises:
            NotFoundError: There is no such app for this principal.
            ForbiddenError: The principal is not an owner.
            InvalidParameterError: The name may not be.
            ConflictError: The organization has an app of that name.
        """
        return self.change(principal, reference, name=name)

    def change(
        self,
        principal: Principal,
        reference: str,
        *,
        name: str | None = None,
        public_key: str | None = None,
        requires_signatures: bool | None = None,
    ) -> App:
        """Change several properties of an app, all or none.

        Args:
            principal: The caller.
            reference: The app.
            name: Its new name.
            public_key: PEM, which devices verify with; "" for none.
            requires_signatures: Whether only signed packages may be released.

        Raises:
            NotFoundError: There is no such app for this principal.
            ForbiddenError: The principal is not an owner.
            InvalidParameterError: The name or key may not be, or there is no key to verify with.
            ConflictError: The organization has an app of that name.
        """
        app = self._access.app(principal, reference, Permission.OWNER)
        signing = changed_signing(app.signing, public_key, requires_signatures)
        events = []
        if signing != app.signing:
            events.append(
                self._tell.about_app(
                    principal,
                    Action.APP_SIGNING_CHANGED,
                    app,
                    requireSignatures=signing.is_required,
                    publicKey=signing.public_key,
                )
            )
        if name is not None:
            check_name(name)
        if name is None or name == app.name:
            if events:
                self._stores.apps.update(app, signing=signing, events=events)
            return replace(app, signing=signing)
        claim = self._stores.apps.claim_name(app.organization_id, name, app.id)
        if claim is None:
            raise _name_taken(name)
        events.append(self._tell.about_app(principal, Action.APP_RENAMED, app, target=name))
        old = self._stores.apps.name_claim(app)
        self._stores.apps.update(
            app, name=name, signing=signing, deadline_ms=claim.deadline_ms, events=events
        )
        if fold(name) != fold(app.name):
            self._stores.apps.give_back_name(app, old)
        return replace(app, name=name, signing=signing)

    def delete(self, principal: Principal, reference: str) -> None:
        """Remove an app; its deployment keys are dead when this returns.

        Raises:
            NotFoundError: There is no such app for this principal.
            ForbiddenError: The principal is not an owner.
        """
        for _ in range(_TRIES):
            app = self._access.app(principal, reference, Permission.OWNER)
            deployments = self._stores.deployments.list_of(app)
            event = self._tell.about_app(principal, Action.APP_DELETED, app)
            if self._stores.apps.delete(app, event=event):
                break
        else:
            raise ConflictError("Others keep changing this app. Please try again in a while.")
        # From here on, whatever is left undone is an index that nobody believes.
        self._stores.apps.give_back_name(app, self._stores.apps.name_claim(app))
        for deployment in deployments:
            self._stores.deployments.give_back_key(deployment.key, app.id, deployment.id)
        for user_id in app.collaborators:
            self._stores.users.forget_app(user_id, app.id)


def _name_taken(name: str) -> ConflictError:
    return ConflictError(
        f"An app named '{name}' already exists.", parameter="name", reason="Name already exists"
    )
