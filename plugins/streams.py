"""What the storage plugins for object stores share: blobs in blocks on the way in and out."""

import io
from abc import abstractmethod
from typing import Any, BinaryIO

from codepush.domain.errors import NotFoundError, StorageError
from codepush.domain.ids import BlobKey
from codepush.domain.storage import is_blob_key

_PIECE_BYTES = 1024 * 1024


class RangedReader(io.RawIOBase):
    """Reads a blob by ranges, each of a block at most."""

    def __init__(self, size: int, block_bytes: int):
        """Begin at the start of a blob of ``size`` bytes."""
        super().__init__()
        self._size = size
        self._block_bytes = block_bytes
        self._position = 0

    @abstractmethod
    def fetch(self, start: int, length: int) -> bytes:
        """Return ``length`` bytes from ``start`` on; the blob has them.

        Raises:
            StorageError: They cannot be had.
        """

    def readable(self) -> bool:
        """Tell that this can be read."""
        return True

    def seekable(self) -> bool:
        """Tell that this can be read from anywhere."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a position, which may lie behind the end."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if start + offset < 0:
            raise ValueError("a position is never negative")
        self._position = start + offset
        return self._position

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Fetch one block at most."""
        length = min(len(buffer), self._block_bytes, self._size - self._position)
        if length <= 0:
            return 0
        content = self._next(length)
        buffer[: len(content)] = content
        return len(content)

    def readall(self) -> bytes:
        """Fetch what is left, block by block; the base class would ask for 8 KB at a time."""
        parts = []
        while (length := min(self._block_bytes, self._size - self._position)) > 0:
            parts.append(self._next(length))
        return b"".join(parts)

    def _next(self, length: int) -> bytes:
        content = self.fetch(self._position, length)
        if len(content) != length:
            raise StorageError(
                "The package could not be read, because it changed meanwhile. Please try again."
            )
        self._position += length
        return content


def read_block(source: BinaryIO, block_bytes: int) -> bytes:
    """Read one block; a shorter one is the last."""
    parts = []
    missing = block_bytes
    while missing and (part := source.read(min(missing, _PIECE_BYTES))):
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


def check_size(sent: int, size: int, *, complete: bool = False) -> None:
    """Check that a source has not given more than was said, or less when it is ``complete``.

    Raises:
        StorageError: It has.
    """
    if sent > size or (complete and sent != size):
        raise StorageError(
            f"The package could not be stored: {sent} of {size} bytes arrived. Please try again."
        )


def check_key(key: BlobKey) -> None:
    """Check that a key leads nowhere else.

    Raises:
        NotFoundError: It may.
    """
    if not is_blob_key(key):
        raise NotFoundError("There is no such package.")
