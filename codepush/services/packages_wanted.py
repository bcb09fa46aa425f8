"""Has diffs made that devices ask for, and is not to be flooded by hashes that somebody made up."""

import logging
import time
from array import array
from bisect import bisect_left
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
        # Digests of hashes, in order: 8 bytes each, and nothing of the histories stays.
        self._known: OrderedDict[AppId, tuple[float, array[int]]] = OrderedDict()

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
        if wish in self._passed_on or not self._has(app_id, base):
            return
        if self._jobs.waiting() < MAX_WAITING:
            self._jobs.prepare_diff(app_id, deployment_id, label, base)
        # Only what exists is noted, so hashes that somebody made up push nothing out.
        self._passed_on.add(wish)

    def _has(self, app_id: AppId, base: PackageHash) -> bool:
        """Tell whether a release or binary of an app has, or had of late, this package."""
        now = time.monotonic()
        while self._known and now - next(iter(self._known.values()))[0] >= _KNOWN_S:
            self._known.popitem(last=False)
        if app_id not in self._known:
            self._known[app_id] = now, array("q", sorted(map(hash, self._packages_of(app_id))))
        known = self._known[app_id][1]
        digest = hash(base)
        place = bisect_left(known, digest)
        return place < len(known) and known[place] == digest

    def _packages_of(self, app_id: AppId) -> set[str]:
        found: set[str] = {each.package_hash for each in self._stores.binaries.list_of(app_id)}
        app = self._stores.apps.get(app_id)
        for deployment_id in app.deployments.values() if app else ():
            try:
                history = self._stores.releases.history(app_id, deployment_id)
            except NotFoundError:
                continue
            found.update(release.package_hash for release in history.releases)
        return found
