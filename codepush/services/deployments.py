"""Deployments of an app, and what devices report to them."""

from dataclasses import replace

from codepush.domain.errors import ConflictError
from codepush.domain.events import Action
from codepush.domain.ids import DeploymentId, DeploymentKey, new_id, new_secret
from codepush.domain.models import App, Counts, Deployment, Principal
from codepush.domain.names import check_deployment_key, check_name
from codepush.domain.permissions import Permission
from codepush.services.access import Access
from codepush.services.clock import Clock
from codepush.services.telling import Teller
from codepush.store.deployments import name_taken
from codepush.store.stores import Stores


class Deployments:
    """What can be done with deployments."""

    def __init__(self, stores: Stores, access: Access, teller: Teller, clock: Clock):
        """Use ``stores``; find apps through ``access``."""
        self._stores = stores
        self._access = access
        self._tell = teller
        self._clock = clock

    def create(
        self, principal: Principal, reference: str, name: str, *, key: str = ""
    ) -> Deployment:
        """Add a deployment to an app.

        Args:
            principal: The caller.
            reference: The app.
            name: Unique in the app.
            key: A key that devices in the field have already; a new one is made if empty.

        Raises:
            NotFoundError: There is no such app for this principal.
            ForbiddenError: The principal is not an owner.
            InvalidParameterError: The name or key may not be.
            ConflictError: The app has a deployment of that name, or the server one of that key.
        """
        app = self._access.app(principal, reference, Permission.OWNER)
        check_name(name)
        if name in app.deployments:
            raise name_taken(name)
        deployment = Deployment(
            id=DeploymentId(new_id()),
            app_id=app.id,
            name=name,
            key=DeploymentKey(check_deployment_key(key) if key else new_secret()),
            created_at_ms=self._clock(),
        )
        claim = self._stores.deployments.claim_key(deployment.key, app.id, deployment.id)
        if claim is None:
            raise ConflictError(
                "Another deployment on this server has the given key. Leave the key out to get a"
                " new one.",
                parameter="key",
                reason="Taken",
            )
        event = self._tell.about_app(principal, Action.DEPLOYMENT_CREATED, app, deployment=name)
        with claim:
            self._stores.deployments.create(app, deployment, claim, event=event)
        return deployment

    def list_for(self, principal: Principal, reference: str) -> list[Deployment]:
        """Return an app's deployments with their newest releases, by name.

        Raises:
            NotFoundError: There is no such app for this principal.
        """
        return self._stores.deployments.list_of(
            self._access.app(principal, reference, Permission.READ)
        )

    def get(
        self, principal: Principal, reference: str, name: str, need: Permission = Permission.READ
    ) -> tuple[App, Deployment]:
        """Return a deployment and its app.

        Raises:
            NotFoundError: There is none for this principal.
            ForbiddenError: The principal may see it, but lacks ``need``.
        """
        app = self._access.app(principal, reference, need)
        return app, self._stores.deployments.get(app, name)

    def rename(self, principal: Principal, reference: str, name: str, new_name: str) -> Deployment:
        """Give a deployment another name; its key stays.

        Raises:
            NotFoundError: There is none for this principal.
            ForbiddenError: The principal is not an owner.
            InvalidParameterError: The name may not be.
            ConflictError: The app has a deployment of that name.
        """
        app, deployment = self.get(principal, reference, name, Permission.OWNER)
        check_name(new_name)
        if new_name != name:
            event = self._tell.about_app(
                principal, Action.DEPLOYMENT_RENAMED, app, deployment=name, target=new_name
            )
            self._stores.deployments.rename(app, deployment, new_name, event=event)
        return replace(deployment, name=new_name)

    def delete(self, principal: Principal, reference: str, name: str) -> None:
        """Remove a deployment; its key is dead when this returns.

        Raises:
            NotFoundError: There is none for this principal.
            ForbiddenError: The principal is not an owner.
        """
        app, deployment = self.get(principal, reference, name, Permission.OWNER)
        event = self._tell.about_app(principal, Action.DEPLOYMENT_DELETED, app, deployment=name)
        self._stores.deployments.delete(app, deployment, event=event)
        self._stores.deployments.give_back_key(deployment.key, app.id, deployment.id)

    def metrics(self, principal: Principal, reference: str, name: str) -> dict[str, Counts]:
        """Return the counts of each label and binary version.

        Raises:
            NotFoundError: There is no such deployment for this principal.
        """
        app, deployment = self.get(principal, reference, name)
        return self._stores.reports.counts(app.id, deployment.id)
