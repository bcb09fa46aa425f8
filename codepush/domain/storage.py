"""What a storage plugin must do. ``tests/storage_contract.py`` is the same in code."""

from datetime import timedelta
from typing import BinaryIO, Protocol

from codepush.domain.ids import BlobKey


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
        or none, whatever happens meanwhile.
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

    def download_url(self, key: BlobKey, *, lifetime: timedelta) -> str:
        """Return a URL a device may fetch until ``lifetime`` has passed.

        One that starts with ``/`` is relative to this server's public URL, and this server
        answers it.
        """
        ...

    def delete(self, key: BlobKey) -> None:
        """Remove a blob. An absent one is success."""
        ...

    def check(self) -> None:
        """Return if the storage can take a blob now; for readiness."""
        ...
