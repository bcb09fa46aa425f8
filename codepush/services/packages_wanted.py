"""Has diffs made that devices ask for, and is not to be flooded by hashes that somebody made up."""

import logging
import time
from collections import OrderedDict
from queue import Empty, Full, Queue
from threading import Lock, Thread

from codepush.domain.errors import NotFoundError
from codepush.domain.ids import AppId, DeploymentId, PackageHash
from codepush.services.lately import Lately
from codepush.services.package_jobs import MAX_WAITING, PackageJobs
from codepush.store.connection import STORE_ERRORS
from codepush.store.stores import Stores

log = logging.getLogger("codepush.packages")

_HASH_LENGTH = 64
_WAITING = 1_000
"""Wishes that wait in this process; more are dropped."""

_AGAIN_S = 600.0
"""After which a wish is passed on again, if devices still have it; at times after half of it."""

_KNOWN_S = 30.0
"""How long the packages of an app are taken to be the same."""

_APPS = 1_000
_IDLE_S = 5.0

Wish = tuple[AppId, DeploymentId, str, PackageHash]


class PackagesWanted:
    """Wishes of devices; a thread looks into them and ends when there are none."""

    def __init__(self, stores: Stores, jobs: PackageJobs):
        """Look in ``stores`` which packages there are; pass wishes on to ``jobs``."""
        self._stores = stores
        self._jobs = jobs
        self._wishes: Queue[Wish] = Queue(_WAITING)
        self._lock = Lock()
        self._thread: Thread | None = None
        self._passed_on = Lately(_AGAIN_S, 10 * _WAITING)
        self._known: OrderedDict[AppId, tuple[float, frozenset[str]]] = OrderedDict()

    def diff(self, app_id: AppId, deployment_id: DeploymentId, base: str, label: str) -> None:
        """Wish for a diff from the package ``base`` to a release.

        Returns at once, never raises, and may be called by any thread, as often as devices ask.
        Nothing comes of it where no release of the app and no registered binary has that package,
        where the same was wished for of late, or where too much is waiting.

        Args:
            app_id: Owner of the deployment.
            deployment_id: Whose release.
            base: Package hash, as a device sent it.
            label: Of the release.
        """
        if len(base) != _HASH_LENGTH:
            return
        with self._lock:
            try:
                self._wishes.put_nowait((app_id, deployment_id, label, PackageHash(base)))
            except Full:
                return
            if self._thread is None or not self._thread.is_alive():  # as after a fork
                self._thread = Thread(target=self._run, name="packages-wanted", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                wish = self._wishes.get(timeout=_IDLE_S)
            except Empty:
                with self._lock:
                    if self._wishes.empty():
                        self._thread = None
                        return
                continue
            try:
                self._look_into(wish)
            except STORE_ERRORS as exc:
                log.warning("a diff that devices want is put off (%s)", exc)
            finally:
                self._wishes.task_done()

    def _look_into(self, wish: Wish) -> None:
        app_id, deployment_id, label, base = wish
        if wish in self._passed_on or base not in self._bases(app_id):
            return
        if self._jobs.waiting() < MAX_WAITING:
            self._jobs.prepare_diff(app_id, deployment_id, label, base)
        # Only what exists is noted, so hashes that somebody made up push nothing out.
        self._passed_on.add(wish)

    def _bases(self, app_id: AppId) -> frozenset[str]:
        """Return the hashes of all packages of an app."""
        now = time.monotonic()
        held = self._known.get(app_id)
        if held and now - held[0] < _KNOWN_S:
            return held[1]
        found = {each.package_hash for each in self._stores.binaries.list_of(app_id)}
        app = self._stores.apps.get(app_id)
        for deployment_id in app.deployments.values() if app else ():
            try:
                history = self._stores.releases.history(app_id, deployment_id)
            except NotFoundError:
                continue
            found.update(release.package_hash for release in history.releases)
        self._known[app_id] = (now, frozenset(found))
        self._known.move_to_end(app_id)
        while len(self._known) > _APPS:
            self._known.popitem(last=False)
        return self._known[app_id][1]
