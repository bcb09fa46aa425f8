"""Writes zips of one plain form: no descriptors, extra fields, folders or comments."""

import hashlib
import tempfile
from pathlib import Path
from typing import BinaryIO, cast

from codepush.archive import zipformat


def spool_file(folder: Path | None) -> BinaryIO:
    """Open a file without a name, of which nothing is left when it is closed.

    Args:
        folder: On the disk to use; the system's folder for temporary files if None.
    """
    return cast(BinaryIO, tempfile.TemporaryFile("wb+", dir=folder))


class ZipWriter:
    """Writes a zip from streams that are compressed already."""

    def __init__(self, file: BinaryIO):
        """Write to ``file``, which is empty."""
        self._file = file
        self._digest = hashlib.sha256()
        self._offset = 0
        self._directory: list[bytes] = []

    def begin(self, path: str, method: int, crc: int, packed_size: int, size: int) -> int:
        """Begin an entry, of which ``packed_size`` bytes must follow by ``write``.

        Returns:
            Where its compressed contents will begin.
        """
        name = path.encode()
        self._directory.append(
            zipformat.central_header(name, method, crc, packed_size, size, self._offset)
        )
        self.write(zipformat.local_header(name, method, crc, packed_size, size))
        return self._offset

    def write(self, chunk: bytes) -> None:
        """Write a part of an entry."""
        self._file.write(chunk)
        self._digest.update(chunk)
        self._offset += len(chunk)

    def finish(self) -> tuple[int, str]:
        """End the zip with its directory; return its size and hex SHA-256."""
        begin = self._offset
        for header in self._directory:
            self.write(header)
        size, count = self._offset - begin, len(self._directory)
        self._directory.clear()
        self.write(zipformat.end_record(count, size, begin))
        self._file.flush()
        return self._offset, self._digest.hexdigest()
