"""Finds the end record of a zip, and tells zips from files that are none."""

from dataclasses import dataclass
from typing import BinaryIO

from codepush.archive import zipformat
from codepush.archive.refusals import refused

MAX_ENTRIES = 20_000
MAX_DIRECTORY_BYTES = 4_000_000
"""Bounds what names take in memory: 200 bytes each, for the most entries allowed."""

_MAX_COMMENT_BYTES = 0xFFFF
_NONE_16, _NONE_32 = 0xFFFF, 0xFFFFFFFF
_SPLIT_MAGICS = (zipformat.DESCRIPTOR_MAGIC, b"PK00")
_MAGICS = (
    zipformat.LOCAL_MAGIC,
    zipformat.CENTRAL_MAGIC,
    zipformat.END_MAGIC,
    *_SPLIT_MAGICS,
)


@dataclass(frozen=True, slots=True)
class End:
    """What the end record says.

    Attributes:
        count: Of entries, at least one.
        is_plain: Whether it has no comment.
    """

    count: int
    directory_size: int
    directory_offset: int
    is_plain: bool


def find_end(source: BinaryIO, size: int) -> End | None:
    """Return the end record of a zip, or None for a file that is no zip to anybody.

    Whatever looks like a zip from either end, and is not exactly one, is refused: devices go by
    the first four bytes, other tools by the last 64 KiB. What begins as something else, and has
    its end record further from its end, is a zip to neither: devices run it as a script. It is not
    searched for zips within, as every bundle with a library for zips has their signatures in it.

    Args:
        source: Seekable.
        size: Of ``source``, at least 1.

    Raises:
        InvalidParameterError: It is damaged, or more than one zip, or too large.
    """
    source.seek(0)
    magic = source.read(4)
    tail_size = min(size, zipformat.END.size + _MAX_COMMENT_BYTES)
    source.seek(size - tail_size)
    tail = source.read(tail_size)
    position = _whole_record(tail)
    misplaced = "" if position is not None else _misplaced_record(tail)
    if position is None and magic not in _MAGICS and not misplaced:
        return None
    if magic in _SPLIT_MAGICS:
        raise refused("is a part of a zip on several disks; it must be one whole file.")
    if position is None:
        raise refused(
            misplaced or "begins like a zip but has no end record: it is cut off or damaged."
        )
    if tail.find(zipformat.END_MAGIC, position + 1) >= 0:
        raise refused("has a second end record in its comment; tools would not agree on one.")
    return _checked(tail, position, size)


def _whole_record(tail: bytes) -> int | None:
    """Return where the end record begins whose comment ends with the file."""
    position = len(tail)
    while (position := tail.rfind(zipformat.END_MAGIC, 0, position)) >= 0:
        comment_at = position + zipformat.END.size
        if comment_at <= len(tail):
            comment_size = zipformat.END.unpack_from(tail, position)[-1]
            if comment_at + comment_size == len(tail):
                return position
    return None


def _misplaced_record(tail: bytes) -> str:
    """Return what is wrong, if there is an end record with its directory right before it."""
    position = len(tail)
    while (position := tail.rfind(zipformat.END_MAGIC, 0, position)) >= 0:
        record = tail[position : position + zipformat.END.size]
        # A cut one is filled up: its directory may be where its first 16 bytes say.
        fields = zipformat.END.unpack(record.ljust(zipformat.END.size, b"\0"))
        *_, directory_size, _, comment_size = fields
        begin = position - directory_size
        if begin < 0 or not tail.startswith(zipformat.CENTRAL_MAGIC, begin):
            continue
        if len(record) < zipformat.END.size:
            return "is cut off at its end."
        comment_at = position + zipformat.END.size
        surplus = len(tail) - comment_at - comment_size
        return f"has {surplus} bytes behind its end." if surplus > 0 else "is cut off at its end."
    return ""


def _checked(tail: bytes, position: int, size: int) -> End:
    record = zipformat.END.unpack_from(tail, position)
    _, disk, directory_disk, count_here, count, directory_size, offset, comment_size = record
    locator = tail[max(0, position - 20) : position]
    if (
        _NONE_16 in {disk, directory_disk, count_here, count}
        or _NONE_32 in {directory_size, offset}
        or locator.startswith(zipformat.ZIP64_LOCATOR_MAGIC)
    ):
        raise refused("is in the zip64 format, which not all devices can read.")
    if disk or directory_disk or count_here != count:
        raise refused("is a part of a zip on several disks; it must be one whole file.")
    if count > MAX_ENTRIES:
        raise refused(f"has {count} entries; at most {MAX_ENTRIES} are allowed.")
    if directory_size > MAX_DIRECTORY_BYTES:
        raise refused(
            f"has a directory of {directory_size} bytes; at most {MAX_DIRECTORY_BYTES} are"
            " allowed. Shorten the names in it."
        )
    begin = size - len(tail) + position
    if offset + directory_size < begin:
        surplus = begin - offset - directory_size
        before_end = tail[max(0, position - directory_size) :]
        if directory_size and not before_end.startswith(zipformat.CENTRAL_MAGIC):
            raise refused(f"has {surplus} bytes between its directory and its end record.")
        raise refused(f"has {surplus} bytes before the zip begins.")
    if offset + directory_size > begin:
        raise refused("is cut off: its directory is not where its end record says.")
    if not count and not begin:
        raise refused("has no files in it; release a folder that has some.")
    if not count:
        raise refused("has contents that are not in its directory.")
    return End(count, directory_size, offset, is_plain=not comment_size)
