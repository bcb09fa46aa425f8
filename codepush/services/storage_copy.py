"""Copies all blobs from one storage to another, while both may be in use.

A copy may be stopped at any moment and run again: blobs appear whole at the target, and those that
are there already are left alone.
"""

import hashlib
import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from threading import Event
from typing import BinaryIO, cast

from codepush.domain.errors import NotFoundError, StorageError
from codepush.domain.ids import BlobKey
from codepush.domain.storage import BlobStorage, StoredBlob, content_sha256

_HEAD_BYTES = 64 * 1024
_ZIP_MAGIC = b"PK"

OnBytes = Callable[[int], None]
"""Told how many more bytes were read; by several threads."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a copy has to do.

    Attributes:
        missing: Blobs that the target lacks, or has with another size.
        present: Number of blobs that it has.
    """

    missing: list[StoredBlob]
    present: int

    @property
    def size(self) -> int:
        """Bytes to copy."""
        return sum(blob.size for blob in self.missing)


@dataclass(slots=True)
class Outcome:
    """What a copy did.

    Attributes:
        copied: Number of blobs copied.
        size: Bytes in them.
        gone: Blobs that were deleted from the source before they were read.
        damaged: Blobs that the source does not have as their key says; they are not copied.
    """

    copied: int = 0
    size: int = 0
    gone: list[BlobKey] = field(default_factory=list)
    damaged: list[BlobKey] = field(default_factory=list)


class DamagedBlobError(StorageError):
    """A blob has not the size or the content that it should."""


class StorageCopy:
    """A copy from ``source`` to ``target``."""

    def __init__(self, source: BlobStorage, target: BlobStorage):
        """Copy from ``source`` to ``target``."""
        self._source = source
        self._target = target

    def plan(self) -> Plan:
        """Compare both sides, by key and size.

        Raises:
            StorageError: One of them cannot be listed.
        """
        there = {blob.key: blob.size for blob in self._target.list_blobs()}
        blobs = sorted(self._source.list_blobs(), key=lambda blob: blob.key)
        missing = [blob for blob in blobs if there.get(blob.key) != blob.size]
        return Plan(missing, len(blobs) - len(missing))

    def run(self, plan: Plan, on_bytes: OnBytes, *, jobs: int) -> Outcome:
        """Copy what is missing, ``jobs`` blobs at once.

        A damaged blob is noted and passed over. Any other failure, and ``KeyboardInterrupt``,
        stops the copy; what was under way leaves nothing.

        Raises:
            StorageError: The source cannot be read or the target cannot be written.
        """
        stop = Event()
        outcome = Outcome()
        pool = ThreadPoolExecutor(jobs, "copy")
        try:
            running = {pool.submit(self._copy, blob, stop, on_bytes): blob for blob in plan.missing}
            for done in as_completed(running):
                blob = running[done]
                try:
                    done.result()
                except NotFoundError:
                    outcome.gone.append(blob.key)
                except DamagedBlobError:
                    outcome.damaged.append(blob.key)
                else:
                    outcome.copied += 1
                    outcome.size += blob.size
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)
        return outcome

    def absent(self, plan: Plan, outcome: Outcome) -> list[BlobKey]:
        """List the target again; return what should be there and is not, whole.

        Raises:
            StorageError: The target cannot be listed.
        """
        there = {blob.key: blob.size for blob in self._target.list_blobs()}
        known = {*outcome.gone, *outcome.damaged}
        return [
            blob.key
            for blob in plan.missing
            if blob.key not in known and there.get(blob.key) != blob.size
        ]

    def _copy(self, blob: StoredBlob, stop: Event, on_bytes: OnBytes) -> None:
        if stop.is_set():
            return
        with self._source.open(blob.key) as file:
            source = _CheckedSource(file, blob, stop, on_bytes)
            self._target.put(
                blob.key,
                cast(BinaryIO, source),
                size=blob.size,
                content_type=source.content_type,
            )


class _CheckedSource(io.RawIOBase):
    """A blob on its way, which fails before its last bytes are given out if it is not sound.

    So the target, which shows a blob only when it has the whole of it, never shows a damaged one.
    """

    def __init__(self, file: BinaryIO, blob: StoredBlob, stop: Event, on_bytes: OnBytes):
        super().__init__()
        self._file = file
        self._blob = blob
        self._stop = stop
        self._on_bytes = on_bytes
        self._left = blob.size
        self._digest = hashlib.sha256()
        self._head = file.read(_HEAD_BYTES)

    @property
    def content_type(self) -> str:
        """What the blob is: storages keep it, but do not all give it back."""
        is_zip = self._head.startswith(_ZIP_MAGIC)
        return "application/zip" if is_zip else "application/octet-stream"

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if self._stop.is_set():
            raise StorageError("The copy was stopped.")
        if self._head:
            size = len(self._head) if size < 0 else size
            chunk, self._head = self._head[:size], self._head[size:]
        else:
            chunk = self._file.read(size)
        self._digest.update(chunk)
        self._left -= len(chunk)
        if self._left <= 0 or not chunk:
            self._check()
        self._on_bytes(len(chunk))
        return chunk

    def _check(self) -> None:
        if self._left or self._digest.hexdigest() != content_sha256(self._blob.key):
            raise DamagedBlobError(f"The package {self._blob.key} is damaged.")
