"""The releases of deployments, as people read them."""

from dataclasses import dataclass

from codepush.domain.errors import NotFoundError
from codepush.domain.models import Counts, Principal, Release
from codepush.services.deployments import Deployments
from codepush.store.stores import Stores


@dataclass(frozen=True, slots=True)
class CountedRelease:
    """A release, and how devices fared with it."""

    release: Release
    counts: Counts


class Histories:
    """What can be read of the releases of a deployment."""

    def __init__(self, stores: Stores, deployments: Deployments):
        """Read ``stores``, for whoever ``deployments`` lets."""
        self._stores = stores
        self._deployments = deployments

    def releases(self, principal: Principal, reference: str, name: str) -> tuple[Release, ...]:
        """Return all releases of a deployment, oldest first.

        Raises:
            NotFoundError: The deployment is not there for this principal.
        """
        app, deployment = self._deployments.get(principal, reference, name)
        return self._stores.releases.history(app.id, deployment.id).releases

    def counted(self, principal: Principal, reference: str, name: str) -> list[CountedRelease]:
        """Return all releases of a deployment with their counts, oldest first.

        Raises:
            NotFoundError: The deployment is not there for this principal.
        """
        app, deployment = self._deployments.get(principal, reference, name)
        history = self._stores.releases.history(app.id, deployment.id)
        counts = self._stores.reports.counts(app.id, deployment.id)
        return [CountedRelease(r, counts.get(r.label, Counts())) for r in history.releases]

    def find(self, principal: Principal, reference: str, name: str, label: str) -> CountedRelease:
        """Return one release of a deployment with its counts.

        Raises:
            NotFoundError: The deployment or release is not there for this principal.
        """
        for found in self.counted(principal, reference, name):
            if found.release.label == label:
                return found
        raise NotFoundError("Release not found for given label.")
