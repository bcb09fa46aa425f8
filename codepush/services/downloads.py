"""Keeps what devices download, and finds again what was made of a package before."""

import logging
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import BinaryIO

from codepush.domain.diffing import eager_bases
from codepush.domain.errors import NotFoundError, StorageError
from codepush.domain.ids import AppId, BlobKey, PackageHash
from codepush.domain.models import Download, History, Release
from codepush.domain.storage import BlobStorage
from codepush.store.stores import Stores

log = logging.getLogger("codepush.packages")

_AT_ONCE = 8
"""Requests to the storage: some need 20 ms for each."""


class Downloads:
    """The blobs of each app, under the SHA-256 of their bytes."""

    def __init__(self, stores: Stores, storage: BlobStorage):
        """Use ``stores`` and ``storage``."""
        self._stores = stores
        self._storage = storage

    def keep(
        self, app_id: AppId, file: BinaryIO, *, size: int, sha256: str, content_type: str
    ) -> Download:
        """Store a file, or see to it that it stays where it is stored already.

        Args:
            app_id: Owner of the blob.
            file: Seekable.
            size: In bytes.
            sha256: Of its bytes, in hex; names the blob.
            content_type: Media type.

        Raises:
            StorageError: It could not be stored.
        """
        key = BlobKey(f"{app_id}/{sha256}")
        if self._storage.size(key) != size or not self._storage.touch(key):
            file.seek(0)
            self._storage.put(key, file, size=size, content_type=content_type)
        return Download(key, size)

    def supplied(
        self, app_id: AppId, release: Release, history: History, *, is_stored: bool
    ) -> Release:
        """Return a release to be with all that was made of its package before.

        What it names is touched, so that it is not collected before the release is committed.

        Args:
            app_id: Owner of the release.
            release: Uploaded, or a copy of another, with what that one has.
            history: Which it will be added to.
            is_stored: Whether its uploaded package was stored just now.

        Raises:
            NotFoundError: Its package is gone.
        """
        prepared = self._stores.packages.prepared(app_id, release.blob_key)
        served = release.served or (prepared.served if prepared else None)
        bases = [each for each in eager_bases(history, release) if each not in release.diffs]
        found = self._stores.packages.diffs(app_id, release.blob_key, bases)
        diffs = {**release.diffs, **found}
        lost = self._lost(each for each in (served, *diffs.values()) if each)
        if served in lost:
            served = None
        if (
            served is None
            and not is_stored
            and self._lost([Download(release.blob_key, release.size)])
        ):
            raise NotFoundError(
                "The package of this release is gone from the storage; release it anew."
            )
        return replace(release, served=served, diffs=_without(diffs, lost))

    def _lost(self, downloads: Iterable[Download]) -> set[Download]:
        """Touch blobs; return those that are gone."""
        wanted = list(downloads)
        try:
            if len(wanted) < 2:
                there = [self._storage.touch(each.blob_key) for each in wanted]
            else:
                with ThreadPoolExecutor(min(_AT_ONCE, len(wanted)), "touch") as pool:
                    keys = [each.blob_key for each in wanted]
                    there = list(pool.map(self._storage.touch, keys))
        except StorageError as exc:
            # Rolling back must not wait for that: blobs in use stay for the grace period anyway.
            log.warning("packages could not be touched (%s)", exc)
            return set()
        return {each for each, is_there in zip(wanted, there, strict=True) if not is_there}


def _without(
    diffs: dict[PackageHash, Download | None], lost: set[Download]
) -> dict[PackageHash, Download | None]:
    return {base: each for base, each in diffs.items() if each is None or each not in lost}
