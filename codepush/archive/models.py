"""What is known of a package on disk."""

import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import BinaryIO, Self

from codepush.domain.ids import PackageHash


@dataclass(frozen=True, slots=True)
class PackedFile:
    """A file in a zip.

    Attributes:
        path: With forward slashes, relative to the root of the package.
        sha256: Of its contents, in hex.
        crc: CRC-32 of its contents.
        size: Of its contents, in bytes.
        packed_size: What it takes in the zip, in bytes.
        method: 0 for stored, 8 for deflate.
        offset: Where its compressed contents begin in the zip.
    """

    path: str
    sha256: str
    crc: int
    size: int
    packed_size: int
    method: int
    offset: int


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Archive:
    """A zip on disk, and all that is in it.

    One that this room made has a file of its own, without a name, which is closed with the
    archive or when nobody refers to it any more. Otherwise the file is its lender's to close.

    Attributes:
        file: The zip; its position is anywhere.
        size: Of the zip, in bytes.
        sha256: Of the zip's bytes, in hex.
        files: In the order in which they are in the zip.
        owns_file: Whether ``file`` is closed with it.
    """

    file: BinaryIO
    size: int
    sha256: str
    files: tuple[PackedFile, ...]
    owns_file: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        if self.owns_file:
            weakref.finalize(self, self.file.close)

    def digests(self) -> Mapping[str, str]:
        """Return the SHA-256 of each file by its path."""
        return {file.path: file.sha256 for file in self.files}

    def close(self) -> None:
        """Give the file up, if it is the archive's own."""
        if self.owns_file:
            self.file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection(Archive):
    """A package that passed the gate.

    Attributes:
        hash: By which devices know the contents.
        warnings: Sentences for the person who released it.
        is_archive: A zip; else a single file that devices take for the bundle itself, and then
            ``files`` is empty.
    """

    hash: PackageHash
    warnings: tuple[str, ...]
    is_archive: bool
