"""Finds releases without a smaller package or diffs, as after a lost queue, and enqueues them."""

from codepush.domain.errors import NotFoundError
from codepush.services.package_jobs import PackageJobs
from codepush.services.packaging import missing_bases
from codepush.services.tenants import every_app
from codepush.store.stores import Stores


class Repair:
    """Enqueues what was left undone. What is enqueued already may be enqueued once more."""

    def __init__(self, stores: Stores, jobs: PackageJobs):
        """Look in ``stores``; enqueue to ``jobs``."""
        self._stores = stores
        self._jobs = jobs

    def run(self) -> int:
        """Enqueue a job for each release that lacks something; return how many."""
        count = 0
        for app in every_app(self._stores):
            binaries = self._stores.binaries.list_of(app.id)
            for deployment_id in app.deployments.values():
                try:
                    history = self._stores.releases.history(app.id, deployment_id)
                except NotFoundError:
                    continue
                for release in reversed(history.releases):  # devices get the newest first
                    if release.served is None or missing_bases(binaries, history, release):
                        count += self._jobs.prepare(app.id, deployment_id, release.label)
        return count
