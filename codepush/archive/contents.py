"""Reads the contents of entries, in bounded memory, and believes nothing that headers say."""

import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

from codepush.archive.models import Archive, PackedFile
from codepush.archive.zipformat import STORED

CHUNK_BYTES = 64 * 1024
_BLOCK_BYTES = 64 * 1024


class EntryError(Exception):
    """The contents of an entry are not what its headers say; goes on from the entry's name."""


def ignore(_chunk: bytes) -> None:
    """Do nothing with a chunk."""


def packed(file: BinaryIO, size: int, note: Callable[[bytes], object] = ignore) -> Iterator[bytes]:
    """Yield the next ``size`` bytes of ``file``, and let ``note`` have each chunk too.

    Raises:
        EntryError: The file ends before.
    """
    while size:
        chunk = file.read(min(size, CHUNK_BYTES))
        if not chunk:
            raise EntryError("that is cut off.")
        size -= len(chunk)
        note(chunk)
        yield chunk


def unpacked(chunks: Iterable[bytes], method: int, size: int) -> Iterator[bytes]:
    """Yield the contents of an entry in blocks, which are never empty.

    Stops at the first byte over ``size``, so a bomb costs no more than what it declares.

    Raises:
        EntryError: They are damaged, or not exactly ``size`` bytes, or followed by others.
    """
    left = size
    for block in chunks if method == STORED else _inflated(chunks):
        left -= len(block)
        if left < 0:
            raise EntryError(f"that unpacks to more than the {size} bytes its headers declare.")
        yield block
    if left:
        raise EntryError(f"that unpacks to {size - left} bytes; its headers declare {size}.")


def _inflated(chunks: Iterable[bytes]) -> Iterator[bytes]:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    for chunk in chunks:
        rest, is_full = chunk, False
        while rest or is_full:
            if inflater.eof:
                raise EntryError("that has bytes behind its compressed contents.")
            try:
                block = inflater.decompress(rest, _BLOCK_BYTES)
            except zlib.error as exc:
                raise EntryError("whose compressed contents are damaged.") from exc
            if block:
                yield block
            is_full = len(block) == _BLOCK_BYTES and not inflater.eof  # there may be more
            rest = inflater.unconsumed_tail or inflater.unused_data
    if not inflater.eof:
        raise EntryError("whose compressed contents are cut off.")


def blocks_of(archive: Archive, file: PackedFile) -> Iterator[bytes]:
    """Yield the contents of a file in an archive, checked against its CRC at the end.

    Raises:
        EntryError: They are damaged.
    """
    archive.file.seek(file.offset)
    crc = 0
    for block in unpacked(packed(archive.file, file.packed_size), file.method, file.size):
        crc = zlib.crc32(block, crc)
        yield block
    if crc != file.crc:
        raise EntryError("whose contents do not match their checksum (CRC-32).")


def head_of(archive: Archive, file: PackedFile, most: int) -> bytes:
    """Return the first ``most`` bytes of a file in an archive, or all of it if it has fewer.

    Raises:
        EntryError: They are damaged.
    """
    head = b""
    for block in blocks_of(archive, file):
        head += block[: most - len(head)]
        if len(head) == most:
            break
    return head
