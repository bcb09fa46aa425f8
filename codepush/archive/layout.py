"""Checks that the entries of a zip lie end to end, each as the directory says.

Android reads local headers from the front and never sees the directory; iOS goes by the directory.
Where both are the same, and no byte is left over, both unpack the same files.
"""

from itertools import pairwise
from typing import BinaryIO

from codepush.archive import zipformat
from codepush.archive.directory import Directory, Entry, check_extra
from codepush.archive.refusals import refused, refused_entry

_NONE_32 = 0xFFFFFFFF
_DESCRIPTOR_SIZES = {zipformat.DESCRIPTOR.size, 4 + zipformat.DESCRIPTOR.size}
_ZIP64_DESCRIPTOR_SIZES = {20, 24}


def check_layout(source: BinaryIO, directory: Directory) -> None:
    """Read all local headers, and note in each entry where its contents begin.

    Raises:
        InvalidParameterError: A header disagrees with the directory, or bytes between entries
            belong to two of them or to none.
    """
    first = directory.entries[0]
    if first.offset:
        raise refused(f"has {first.offset} bytes before its first entry.")
    for entry, following in pairwise(directory.entries):
        _check_entry(source, directory, entry, following.offset, following)
    _check_entry(source, directory, directory.entries[-1], directory.offset, None)


def _check_entry(
    source: BinaryIO, directory: Directory, entry: Entry, until: int, following: Entry | None
) -> None:
    if until - entry.offset < zipformat.LOCAL.size:
        raise _overlap(entry, following)
    source.seek(entry.offset)
    expected = entry.header + b"\0\0" + entry.raw  # with no extra fields
    found = source.read(len(expected))
    entry.data_offset = entry.offset + len(expected)
    if found != expected:
        directory.is_plain = False
        _check_header(source, entry, found)
    gap = until - entry.data_offset - entry.packed_size
    if gap < 0:
        raise _overlap(entry, following)
    if gap or entry.flags & zipformat.FLAG_DESCRIPTOR:
        source.seek(until - gap)
        _check_gap(entry, source.read(min(gap, 64)), gap)


def _overlap(entry: Entry, following: Entry | None) -> Exception:
    if following is None:
        return refused_entry(entry.raw, "that reaches into the directory: it is cut off.")
    return refused_entry(following.raw, "that overlaps another one.")


def _check_header(source: BinaryIO, entry: Entry, found: bytes) -> None:
    """Refuse a local header that says anything else than the directory.

    Only the least version needed, the time and the extra fields may differ: they mean nothing
    to devices, and are not copied.
    """
    fields = zipformat.LOCAL.unpack_from(found)
    magic, _, flags, method, _, _, crc, packed_size, size, name_size, extra_size = fields
    if magic != zipformat.LOCAL_MAGIC:
        raise refused_entry(entry.raw, "that is not where the directory says.")
    if name_size != len(entry.raw) or not found.endswith(entry.raw):
        raise refused_entry(
            entry.raw, "whose own header has another name than the directory, so devices differ."
        )
    if _NONE_32 in (packed_size, size):
        raise refused_entry(entry.raw, "in the zip64 format, which not all devices can read.")
    compared = [
        ("flags", flags, entry.flags),
        ("compression method", method, entry.method),
        ("checksum", crc, entry.crc),
        ("compressed size", packed_size, entry.packed_size),
        ("size", size, entry.size),
    ]
    if flags & zipformat.FLAG_DESCRIPTOR:  # a zero stands for "see behind"
        compared[2:] = [(what, here or there, there) for what, here, there in compared[2:]]
    for what, here, there in compared:
        if here != there:
            raise refused_entry(
                entry.raw,
                f"whose own header has another {what} than the directory, so devices differ.",
            )
    if extra_size:
        check_extra(entry.raw, source.read(extra_size))
        entry.data_offset += extra_size


def _check_gap(entry: Entry, gap: bytes, size: int) -> None:
    """Refuse bytes behind an entry that are not its data descriptor, or one that is wrong."""
    if entry.flags & zipformat.FLAG_DESCRIPTOR:
        values = gap.removeprefix(zipformat.DESCRIPTOR_MAGIC) if size != 12 else gap
        expected = zipformat.DESCRIPTOR.pack(entry.crc, entry.packed_size, entry.size)
        if size in _DESCRIPTOR_SIZES:
            if values != expected:
                raise refused_entry(
                    entry.raw, "whose data descriptor says something else than the directory."
                )
            return
        if size in _ZIP64_DESCRIPTOR_SIZES:
            raise refused_entry(
                entry.raw, "with a data descriptor of zip64, which not all devices can read."
            )
        if size < zipformat.DESCRIPTOR.size:
            raise refused_entry(entry.raw, "without the data descriptor it should have.")
        size -= 16 if gap.startswith(zipformat.DESCRIPTOR_MAGIC) else 12
        gap = gap[16:] if gap.startswith(zipformat.DESCRIPTOR_MAGIC) else gap[12:]
    if gap.startswith(zipformat.LOCAL_MAGIC):
        raise refused_entry(
            entry.raw, "followed by another one that is not in the directory, so devices differ."
        )
    raise refused_entry(entry.raw, f"followed by {size} bytes that belong to no entry.")
