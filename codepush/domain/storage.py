"""What a storage plugin must do. ``tests/storage_contract.py`` is the same in code."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import BinaryIO, Protocol

from codepush.domain.ids import BlobKey

_KEY = re.compile(r"[A-Za-z0-9_-]{22}/[0-9a-f]{64}")


def is_blob_key(text: str) -> bool:
    """Tell whether ``text`` may be a key: an app's id, and the SHA-256 of the blob's bytes.

    Nothing else is a blob: what people or programs keep in the same folder, bucket or container is
    neither listed nor given out, and so never collected.
    """
    return _KEY.fullmatch(text) is not None


def content_sha256(key: BlobKey) -> str:
    """Return the SHA-256 that a blob's bytes must have, in hex."""
    return key.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """One blob of a listing.

    Attributes:
        key: Its key.
        size: In bytes.
        modified_at_ms: When it was last put or touched, by the storage's clock. Some backends
            know the second only, rounded down.
    """

    key: BlobKey
    size: int
    modified_at_ms: int


class BlobStorage(Protocol):
    """Keeps immutable blobs by key; fails with ``StorageError`` only.

    A key is made from the content behind it and never changes its meaning, so a repeated
    ``put`` is harmless and a blob may be cached for ever.
    """

    scheme: str
    """The part of ``STORAGE_URL`` before the colon that picks this plugin."""

    def put(self, key: BlobKey, source: BinaryIO, *, size: int, content_type: str) -> None:
        """Store ``size`` bytes of ``source``.

        Streams: never reads it whole. Durable when it returns. A reader sees the whole blob
        or none, whatever happens meanwhile. Where a blob of this key and size is there already,
        it may be touched instead, and the source left unread.
        """
        ...

    def open(self, key: BlobKey) -> BinaryIO:
        """Open a blob for reading, seekable where the backend can.

        Raises:
            NotFoundError: No such blob.
        """
        ...

    def size(self, key: BlobKey) -> int | None:
        """Return the blob's size in bytes, or None where it is absent."""
        ...

    def touch(self, key: BlobKey) -> bool:
        """Set the blob's time of modification to now; return False where it is absent.

        Who is about to refer to a blob that is already there touches it first, so that it is not
        collected in between: see ``delete``.
        """
        ...

    def list_blobs(self, prefix: str = "") -> Iterator[StoredBlob]:
        """Yield all blobs whose key begins with ``prefix``, in any order.

        Blobs that come or go meanwhile may be missing or there.
        """
        ...

    def download_url(self, key: BlobKey, *, lifetime: timedelta) -> str:
        """Return a URL a device may fetch until ``lifetime`` has passed.

        One that starts with ``/`` is relative to this server's public URL, and this server
        answers it.
        """
        ...

    def delete(self, key: BlobKey, *, unmodified_since_ms: int | None = None) -> bool:
        """Remove a blob. An absent one is success.

        Args:
            key: Its key.
            unmodified_since_ms: Keep the blob if it was put or touched after this; judged in one
                step with the removal. Some backends compare whole seconds.

        Returns:
            False where the blob was kept.
        """
        ...

    def discard_leftovers(self, *, before_ms: int) -> None:
        """Remove what interrupted puts left, if they began before a time by the storage's clock."""
        ...

    def check(self) -> None:
        """Return if the storage can take a blob now; for readiness."""
        ...
