"""Keeps what devices download, and finds again what was made of a package before."""

import hashlib
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from codepush.archive.contents import ignore
from codepush.archive.writer import spool_file
from codepush.domain.diffing import eager_bases
from codepush.domain.errors import DamagedError, NotFoundError, StorageError
from codepush.domain.ids import AppId, BlobKey, PackageHash
from codepush.domain.models import Download, History, Release
from codepush.domain.storage import BlobStorage, content_sha256
from codepush.store.stores import Stores

log = logging.getLogger("codepush.packages")

_CHUNK_BYTES = 1024 * 1024
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
        if not self._is_kept(key, size, sha256):
            file.seek(0)
            self._storage.put(key, file, size=size, content_type=content_type)
        return Download(key, size)

    def _is_kept(self, key: BlobKey, size: int, sha256: str) -> bool:
        """Tell whether a blob is there and whole; a damaged one goes, since puts would touch it."""
        if self._storage.size(key) != size or not self._storage.touch(key):
            return False
        try:
            if self._digest(key) == sha256:
                return True
        except NotFoundError:
            return False
        log.warning("the stored package %s is damaged, and stored anew", key)
        self._storage.delete(key)
        return False

    def _digest(self, key: BlobKey, note: Callable[[bytes], object] = ignore) -> str:
        """Return the SHA-256 of a blob's bytes, and let ``note`` have them."""
        digest = hashlib.sha256()
        with self._storage.open(key) as source:
            while chunk := source.read(_CHUNK_BYTES):
                digest.update(chunk)
                note(chunk)
        return digest.hexdigest()

    @contextmanager
    def fetch(self, download: Download, spool: Path) -> Iterator[BinaryIO]:
        """Copy a blob to a file without a name: only such a one can surely be sought in.

        Args:
            download: What to fetch.
            spool: Folder for the file while it is in use.

        Raises:
            NotFoundError: It is gone.
            StorageError: The storage failed.
            DamagedError: Its bytes are not what its key says.
        """
        spool.mkdir(parents=True, exist_ok=True)
        with spool_file(spool) as file:
            if self._digest(download.blob_key, file.write) != content_sha256(download.blob_key):
                raise DamagedError(
                    f"The stored package {download.blob_key} is damaged. Release the same contents"
                    " again to mend it."
                )
            yield file

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
        # These are in use until now, and so stay for the grace period at least.
        in_use = {each for each in (release.served, *release.diffs.values()) if each}
        lost = self._lost({each for each in (served, *diffs.values()) if each}, in_use)
        if served in lost:
            served = None
        if served is None and not is_stored:
            uploaded = Download(release.blob_key, release.size)
            if self._lost({uploaded}, {uploaded} if release.served is None else set()):
                raise NotFoundError(
                    "The package of this release is gone from the storage; release it anew."
                )
        return replace(release, served=served, diffs=_without(diffs, lost))

    def _lost(self, downloads: set[Download], in_use: set[Download]) -> set[Download]:
        """Touch blobs; return those that are gone.

        Where the storage fails, what is not in use counts as gone: it may have been collected.
        What is in use does not, since rolling back must not wait for the storage.
        """

        def is_lost(download: Download) -> bool:
            try:
                return not self._storage.touch(download.blob_key)
            except StorageError as exc:
                log.warning("the package %s could not be touched (%s)", download.blob_key, exc)
                return download not in in_use

        wanted = list(downloads)
        if len(wanted) < 2:
            return {each for each in wanted if is_lost(each)}
        with ThreadPoolExecutor(min(_AT_ONCE, len(wanted)), "touch") as pool:
            return {
                each for each, lost in zip(wanted, pool.map(is_lost, wanted), strict=True) if lost
            }


def _without(
    diffs: dict[PackageHash, Download | None], lost: set[Download]
) -> dict[PackageHash, Download | None]:
    return {base: each for base, each in diffs.items() if each is None or each not in lost}
