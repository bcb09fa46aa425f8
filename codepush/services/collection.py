"""Deletes packages that nothing refers to any more, after a grace period.

A blob may be about to be used by a release in flight, which touches it before it is committed: so
what was put or touched within the grace period stays, and a blob that is touched between the look
at it and its removal is not removed (``BlobStorage.delete``).
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta

from codepush.domain.errors import NotFoundError
from codepush.domain.ids import AppId, BlobKey, DeploymentId
from codepush.domain.storage import BlobStorage, StoredBlob
from codepush.services.clock import Clock
from codepush.services.tenants import contained
from codepush.store.damage import UnreadableError
from codepush.store.stores import Stores

_MS = timedelta(milliseconds=1)


@dataclass(slots=True)
class Collected:
    """What a collection did.

    Attributes:
        deleted: Number of blobs deleted.
        size: Bytes in them.
        waiting: Number of blobs without use whose grace period is not over.
    """

    deleted: int = 0
    size: int = 0
    waiting: int = 0


class Collection:
    """Collects blobs."""

    def __init__(self, stores: Stores, storage: BlobStorage, clock: Clock, grace: timedelta):
        """Delete from ``storage`` what ``stores`` did not refer to for as long as ``grace``."""
        self._stores = stores
        self._storage = storage
        self._clock = clock
        self._grace = grace

    def run(self) -> Collected:
        """Delete what is due, and what interrupted uploads left.

        May be cut off anywhere, and run beside another. Of an app whose records cannot be read,
        nothing is deleted.

        Raises:
            StorageError: The storage failed.
        """
        by_app: dict[AppId, list[StoredBlob]] = defaultdict(list)
        for blob in self._storage.list_blobs():
            by_app[AppId(blob.key.partition("/")[0])].append(blob)
        unused: list[StoredBlob] = []
        for app_id, blobs in by_app.items():
            with contained(f"The app {app_id}"):  # what it uses is not known, so all of it stays
                used = self._used_by(app_id)
                unused += [blob for blob in blobs if blob.key not in used]
        outcome = self._collect(unused)
        self._storage.discard_leftovers(before_ms=self._clock() - self._grace // _MS)
        return outcome

    def _collect(self, unused: list[StoredBlob]) -> Collected:
        now = self._clock()
        due_ms = now - self._grace // _MS
        since = self._stores.garbage.unreferenced()
        outcome = Collected()
        first_seen: dict[BlobKey, int] = {}
        kept = set()
        for blob in unused:
            seen_ms = since.get(blob.key)
            is_due = seen_ms is not None and max(seen_ms, blob.modified_at_ms) <= due_ms
            if is_due and self._storage.delete(blob.key, unmodified_since_ms=blob.modified_at_ms):
                outcome.deleted += 1
                outcome.size += blob.size
                continue
            outcome.waiting += 1
            kept.add(blob.key)
            if seen_ms is None:
                first_seen[blob.key] = now
        self._stores.garbage.note(first_seen)
        self._stores.garbage.forget(since.keys() - kept)
        return outcome

    def _used_by(self, app_id: AppId) -> set[BlobKey]:
        """Return the keys of all blobs that an app needs; forget what it made of other packages.

        Raises:
            UnreadableError: That cannot be known.
        """
        # Asked for by its id: an index of apps may miss one that is being moved.
        app = self._stores.apps.get(app_id)
        if app is None:
            if self._stores.apps.is_lost(app_id):
                raise UnreadableError(f"The record of the app {app_id} is missing.")
            return set()
        used = {each.listing for each in self._stores.binaries.list_of(app.id)}
        uploaded = set()
        for deployment_id in app.deployments.values():
            try:
                history = self._stores.releases.history(app.id, deployment_id)
            except NotFoundError:
                if self._names(app.id, deployment_id):
                    raise UnreadableError(
                        f"The record of the deployment {deployment_id} of the app {app.id} is"
                        " missing, or lacks its version."
                    ) from None
                continue
            for release in history.releases:
                uploaded.add(release.blob_key)
                used.add(release.full.blob_key)
                used.update(diff.blob_key for diff in release.diffs.values() if diff)
        return used | self._stores.packages.keep_only(app.id, uploaded)

    def _names(self, app_id: AppId, deployment_id: DeploymentId) -> bool:
        """Return whether an app still has a deployment: who deletes one strikes it from the app."""
        app = self._stores.apps.get(app_id)
        return app is not None and deployment_id in app.deployments.values()
