"""Finds releases without a smaller package or diffs, as after a lost queue, and enqueues them."""

import contextlib
from collections.abc import Iterator

from codepush.domain.errors import NotFoundError
from codepush.domain.ids import AppId, DeploymentId
from codepush.domain.models import App
from codepush.services.package_jobs import MAX_WAITING, PackageJobs
from codepush.services.packaging import missing_bases
from codepush.services.tenants import contained, every_app
from codepush.store.stores import Stores


class Repair:
    """Enqueues what was left undone, unless a job for it waits already."""

    def __init__(self, stores: Stores, jobs: PackageJobs):
        """Look in ``stores``; enqueue to ``jobs``."""
        self._stores = stores
        self._jobs = jobs

    def run(self) -> int:
        """Enqueue a job for each release that lacks something; return how many.

        No more than leave ``MAX_WAITING`` in the queue: the rest is for the next time.

        Raises:
            RedisError: The store or the queue cannot be reached.
        """
        room = MAX_WAITING - self._jobs.waiting()
        if room <= 0:
            return 0
        waiting = self._jobs.prepared_soon()
        count = 0
        for undone in self._undone():
            if undone in waiting:
                continue
            if count >= room:
                break
            count += self._jobs.prepare(*undone)
        return count

    def _undone(self) -> Iterator[tuple[AppId, DeploymentId, str]]:
        for app in every_app(self._stores):
            with contained(f"The app {app.id}"):
                yield from self._undone_in(app)

    def _undone_in(self, app: App) -> Iterator[tuple[AppId, DeploymentId, str]]:
        binaries = self._stores.binaries.list_of(app.id)
        known = self._stores.packages.known(app.id)
        for deployment_id in app.deployments.values():
            with contextlib.suppress(NotFoundError), contained(f"The deployment {deployment_id}"):
                history = self._stores.releases.history(app.id, deployment_id)
                for release in reversed(history.releases):  # devices get the newest first
                    is_known = release.served is not None and release.blob_key in known
                    if not is_known or missing_bases(binaries, history, release):
                        yield app.id, deployment_id, release.label
