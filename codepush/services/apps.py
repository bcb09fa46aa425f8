"""Apps: made, renamed, shared, handed over, moved and deleted."""

import functools
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from codepush.domain.errors import ConflictError, ForbiddenError, NotFoundError
from codepush.domain.events import Action
from codepush.domain.ids import (
    AppId,
    DeploymentId,
    DeploymentKey,
    OrganizationId,
    UserId,
    new_id,
    new_secret,
)
from codepush.domain.models import App, Deployment, Principal, User
from codepush.domain.names import check_name, fold
from codepush.domain.permissions import Permission, Role, Scope
from codepush.services.access import Access, require_account, require_scope
from codepush.services.accounts import Accounts
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

    def __init__(
        self, stores: Stores, access: Access, accounts: Accounts, teller: Teller, clock: Clock
    ):
        """Use ``stores``; find apps through ``access`` and users through ``accounts``."""
        self._stores = stores
        self._access = access
        self._accounts = accounts
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
        if principal.role in {None, Role.VIEWER}:
            raise _may_not_add()
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
            self._stores.organizations.note_log(organization_id, app_id, self._clock())
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

    def transfer(self, principal: Principal, reference: str, email: str) -> App:
        """Move an app into the organization of another user, who becomes its owner.

        The old owner stays as a collaborator.

        Returns:
            The app as it is now.

        Raises:
            NotFoundError: There is no such app for this principal, or no such user.
            ForbiddenError: The principal is not an owner, or has a token limited to one app.
            ConflictError: That user owns it already, or has an app of that name.
        """
        app = self._access.app(principal, reference, Permission.OWNER)
        require_account(principal)
        target = self._accounts.find_user(email)
        if app.owner_id == target.id:
            raise ConflictError("The given account already owns the app.")
        changed: dict[UserId, Permission | None] = {target.id: Permission.OWNER}
        if app.owner_id:
            changed[app.owner_id] = Permission.COLLABORATOR
        self._stores.users.note_app(target.id, app.id)
        return self._hand_over(
            principal,
            app,
            target.organization_id,
            Action.APP_TRANSFERRED,
            target=target.email,
            changed=changed,
            added=() if target.id in app.collaborators else (target,),
            taken=f'Cannot transfer ownership. An app with name "{app.name}" already exists for the'
            " given collaborator.",
        )

    def move(self, principal: Principal, reference: str, organization: str) -> App:
        """Move an app into another organization of the principal; its collaborators stay.

        Returns:
            The app as it is now.

        Raises:
            NotFoundError: There is no such app or organization for this principal.
            ForbiddenError: The principal is not an owner of the app, may only read in the
                organization, or has a token that is limited to one app.
            ConflictError: The app is there already, or another app of its name.
        """
        app = self._access.app(principal, reference, Permission.OWNER)
        require_account(principal)
        destination, role = self._access.organization(principal, organization)
        if role is Role.VIEWER:
            raise _may_not_add()
        if destination.id == app.organization_id:
            raise ConflictError("The app belongs to that organization already.")
        return self._hand_over(
            principal,
            app,
            destination.id,
            Action.APP_MOVED,
            target=destination.name,
            taken=f'Cannot move the app. An app with name "{app.name}" already exists in the'
            " organization.",
        )

    def _hand_over(
        self,
        principal: Principal,
        app: App,
        destination: OrganizationId,
        action: Action,
        *,
        target: str,
        taken: str,
        changed: Mapping[UserId, Permission | None] | None = None,
        added: Iterable[User] = (),
    ) -> App:
        """Put an app into an organization; both organizations log it, and who is new in the app."""
        changed = changed or {}
        holders = {
            u: p for u, p in (dict(app.collaborators) | dict(changed)).items() if p is not None
        }
        after = replace(app, organization_id=destination, collaborators=holders)
        told = [*((Action.COLLABORATOR_ADDED, user.email) for user in added), (action, target)]
        events = [
            self._tell.about_app(principal, what, app, target=whom, organization_id=each)
            for each in dict.fromkeys([app.organization_id, destination])
            for what, whom in told
        ]
        if destination == app.organization_id:
            self._stores.apps.update(app, collaborators=changed, events=events)
            return after
        claim = self._stores.apps.claim_name(destination, app.name, app.id)
        if claim is None:
            raise ConflictError(taken)
        self._stores.organizations.note_log(destination, app.id, self._clock())
        old = self._stores.apps.name_claim(app)
        self._stores.apps.update(
            app,
            organization_id=destination,
            collaborators=changed,
            deadline_ms=claim.deadline_ms,
            events=events,
        )
        self._stores.apps.give_back_name(app, old)
        return after

    def add_collaborator(
        self, principal: Principal, reference: str, email: str
    ) -> tuple[User, Permission]:
        """Share an app with another user.

        Returns:
            The user and what they may do now.

        Raises:
            NotFoundError: There is no such app for this principal, or no such user.
            ForbiddenError: The principal is not an owner.
            ConflictError: The user is a collaborator already.
        """
        app = self._access.app(principal, reference, Permission.OWNER)
        user = self._accounts.find_user(email)
        self._stores.users.note_app(user.id, app.id)
        event = self._tell.about_app(principal, Action.COLLABORATOR_ADDED, app, target=user.email)
        self._stores.apps.add_collaborator(app, user.id, Permission.COLLABORATOR, event=event)
        return user, Permission.COLLABORATOR

    def remove_collaborator(self, principal: Principal, reference: str, email: str) -> None:
        """Stop sharing an app with a user; everyone may do so for themselves.

        Raises:
            NotFoundError: There is no such app for this principal, or no such collaborator.
            ForbiddenError: The principal is neither an owner nor that user.
            ConflictError: The user owns the app.
        """
        app = self._access.app(principal, reference, Permission.READ)
        user = self._stores.users.find(email)
        if user is None or user.id != principal.user.id:
            app = self._access.app(principal, reference, Permission.OWNER)
        if user is None or user.id not in app.collaborators:
            raise NotFoundError("The given email is not a collaborator for this app.")
        if app.owner_id == user.id:
            raise ConflictError("Cannot remove the owner of the app from collaborator list.")
        event = self._tell.about_app(principal, Action.COLLABORATOR_REMOVED, app, target=user.email)
        self._stores.apps.update(app, collaborators={user.id: None}, events=[event])
        self._stores.users.forget_app(user.id, app.id)


def _may_not_add() -> ForbiddenError:
    return ForbiddenError(
        "Your role in the organization does not allow you to add apps. Ask one of its owners for"
        " the role Developer."
    )


def _name_taken(name: str) -> ConflictError:
    return ConflictError(
        f"An app named '{name}' already exists.", parameter="name", reason="Name already exists"
    )
