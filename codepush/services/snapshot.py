"""Deployments as devices see them, in the memory of each process, so that a check asks nobody.

Redis tells which ones changed, within milliseconds (``store/changes.py``); those in use are looked
at once a second besides, and all of them after each loss of the connection. While Redis is away,
what is held is answered from.
"""

import threading
import time
from collections import OrderedDict

from codepush.domain.errors import NotFoundError
from codepush.domain.ids import AppId, DeploymentId, DeploymentKey
from codepush.services.prepared import Prepared
from codepush.store.changes import ChangeFeed
from codepush.store.connection import StoreClient
from codepush.store.stores import Stores

_MOST_RELEASES = 60_000
"""Releases that a process holds, at about 0.7 kB each; a deployment counts as five besides."""
_UNUSED_S = 3_600.0
"""A deployment that nobody asked for leaves after this."""
_RELOADED_S = 60.0
"""A deployment that was asked for within this time is loaded anew before it is asked for again."""
_UNKNOWN_S = 0.5
"""How long a key that leads nowhere is taken for one, so a new one works within a second."""
_MOST_UNKNOWN = 10_000
_BATCH = 500


class Snapshot:
    """What this process holds. Safe to use from any thread."""

    def __init__(self, stores: Stores):
        """Load from ``stores`` what is asked for; nothing is loaded or started yet."""
        self._stores = stores
        self._held: OrderedDict[DeploymentKey, Prepared] = OrderedDict()
        self._keys: dict[DeploymentId, DeploymentKey] = {}
        self._weight = 0
        # Those that changed since the last poll and were not loaded again yet.
        self._former: dict[DeploymentKey, Prepared] = {}
        self._unknown: dict[DeploymentKey, float] = {}
        self._lock = threading.RLock()
        self._feed: ChangeFeed | None = None
        self._is_connected = False
        self._lost_at: float | None = None
        self._first_word = threading.Event()
        stores.changes.listen(self._changed_here)

    @property
    def is_connected(self) -> bool:
        """Whether Redis tells this process of changes."""
        return self._is_connected

    @property
    def stale_s(self) -> float:
        """Seconds since Redis ceased to tell this process of changes; 0 while it does."""
        return 0.0 if self._lost_at is None else time.monotonic() - self._lost_at

    def held(self, key: str) -> Prepared | None:
        """Return what is held and true, as far as one can know; asks nobody."""
        found = self._held.get(DeploymentKey(key))
        if found is None or not found.mark.is_valid:
            return None
        found.mark.is_used = True
        return found

    def get(self, key: DeploymentKey) -> Prepared | None:
        """Return the deployment that a key leads to, loading it if need be; None if there is none.

        Raises:
            redis.RedisError: Redis is away, and the deployment is not held.
        """
        found = self.held(key)
        if found is not None:
            return found
        self.follow()
        unknown_at = self._unknown.get(key)
        if unknown_at is not None and time.monotonic() - unknown_at < _UNKNOWN_S:
            return None
        return self._load(key)

    def follow(self) -> None:
        """Begin to listen to Redis, if that has not begun; waits a moment for the first word."""
        if self._feed is None:
            with self._lock:
                if self._feed is None:
                    self._feed = ChangeFeed(self._stores.client, self)
                    self._feed.start()
        self._first_word.wait(1.0)

    def close(self) -> None:
        """Listen no more."""
        if self._feed is not None:
            self._feed.stop()

    # What the feed tells, from its thread.

    def connected(self, client: StoreClient) -> None:
        """Check all that is held: there may have been changes that nobody told."""
        with self._lock:
            self._is_connected = True
            self._lost_at = None
            for each in self._held.values():
                each.mark.is_valid = False
            doubtful = list(reversed(self._held.values()))  # those used last first
        self._first_word.set()
        self._compare(client, doubtful)

    def lost(self) -> None:
        """Go on with what is held, checked or not."""
        with self._lock:
            self._is_connected = False
            self._former.clear()
            self._lost_at = time.monotonic() if self._lost_at is None else self._lost_at
            for each in self._held.values():
                each.mark.is_valid = True
        self._first_word.set()

    def changed(self, deployment_id: DeploymentId, version: int) -> None:
        """Load a deployment's new version, if it is in use; it may be asked for any moment."""
        dropped = self._drop(deployment_id, version)
        if dropped is None or not version:
            return
        if dropped.mark.is_used or time.monotonic() - dropped.used_at < _RELOADED_S:
            self._load(dropped.key)

    def poll(self, client: StoreClient) -> None:
        """Compare what was used since the last time, and let go of what nobody uses."""
        now = time.monotonic()
        used = []
        with self._lock:
            self._former.clear()
            for each in list(self._held.values()):
                if each.mark.is_used:
                    each.mark.is_used = False
                    each.used_at = now
                    self._held.move_to_end(each.key)
                    used.append(each)
            while self._held:
                oldest = next(iter(self._held.values()))
                if now - oldest.used_at < _UNUSED_S:
                    break
                self._remove(oldest)
        self._compare(client, used)

    def _changed_here(self, _app: AppId, deployment_id: DeploymentId, version: int) -> None:
        self._drop(deployment_id, version)
        self._unknown.clear()

    def _drop(self, deployment_id: DeploymentId, version: int) -> Prepared | None:
        """Let go of a deployment unless it has this version already."""
        with self._lock:
            key = self._keys.get(deployment_id)
            found = self._held.get(key) if key is not None else None
            # Any other version is a change, also a lower one: the store may have lost some.
            if found is None or version == found.version > 0:
                return None
            self._remove(found)
            self._former[found.key] = found
            return found

    def _compare(self, client: StoreClient, some: list[Prepared]) -> None:
        for start in range(0, len(some), _BATCH):
            batch = some[start : start + _BATCH]
            current = self._stores.releases.versions([each.mark.address for each in batch], client)
            for each, found in zip(batch, current, strict=True):
                with self._lock:
                    if found != (each.key, each.version):
                        self._remove(each)
                        self._former[each.key] = each
                    elif self._held.get(each.key) is each:
                        # Else another thread loaded it again meanwhile: nobody would ever call this
                        # one old, and answers that were made from it would go on.
                        each.mark.is_valid = True

    def _load(self, key: DeploymentKey) -> Prepared | None:
        address = self._stores.deployments.address(key)
        while address is not None:
            try:
                texts = self._stores.releases.texts(*address)
            except NotFoundError:
                break
            loaded = Prepared(key, *address, texts, self._former.pop(key, None))
            with self._lock:
                self._insert(loaded)
            # Told of a change before it was in, it would be old: look once more, now that it is.
            current = self._stores.releases.versions([address], self._stores.client)[0]
            if current == (key, loaded.version):
                return loaded
            with self._lock:
                self._remove(loaded)
                self._former[key] = loaded
            if current is None or current[0] != key:
                break
        if len(self._unknown) >= _MOST_UNKNOWN:
            self._unknown.clear()
        self._unknown[key] = time.monotonic()
        return None

    def _insert(self, loaded: Prepared) -> None:
        former = self._held.get(loaded.key)
        if former is not None:
            self._remove(former)
        self._held[loaded.key] = loaded
        self._keys[loaded.mark.address[1]] = loaded.key
        self._weight += loaded.weight
        while self._weight > _MOST_RELEASES and len(self._held) > 1:
            self._remove(next(iter(self._held.values())))

    def _remove(self, found: Prepared) -> None:
        found.mark.is_valid = False
        if self._held.get(found.key) is found:
            del self._held[found.key]
            self._keys.pop(found.mark.address[1], None)
            self._weight -= found.weight
