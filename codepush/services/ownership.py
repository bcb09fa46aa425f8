"""Who has an app: its collaborators, its owner, and the organization that it belongs to."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from codepush.domain.errors import ConflictError, NotFoundError
from codepush.domain.events import Action
from codepush.domain.ids import OrganizationId, UserId
from codepush.domain.models import App, Principal, User
from codepush.domain.permissions import Permission
from codepush.services.access import Access, require_account, require_may_add
from codepush.services.accounts import Accounts
from codepush.services.telling import Teller
from codepush.store.stores import Stores


class Ownership:
    """Shares apps, hands them over, and moves them to other organizations."""

    def __init__(self, stores: Stores, access: Access, accounts: Accounts, teller: Teller):
        """Use ``stores``; find apps through ``access`` and users through ``accounts``."""
        self._stores = stores
        self._access = access
        self._accounts = accounts
        self._tell = teller

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
        require_may_add(role)
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
        self._stores.organizations.note_log(destination, app.id)
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
