"""Reads the directory of a zip, and refuses all that devices might read differently."""

import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from codepush.archive import zipformat
from codepush.archive.endrecord import End
from codepush.archive.names import path_of
from codepush.archive.refusals import refused, refused_entry

MAX_FILE_BYTES = 512_000_000
MAX_UNPACKED_BYTES = 1_000_000_000
MAX_RATIO = 200
MAX_UNSUSPICIOUS_BYTES = 10_000_000
"""What an entry may unpack to, however small it is packed."""

_NONE_32 = 0xFFFFFFFF
_MAX_EXTRAS = 64
_DOS_FOLDER = 0x10
_DOS_SPECIAL = 0x08 | 0x40 | 0x400  # a volume's label, a device, a link
_KINDS = {
    stat.S_IFLNK: "that is a symbolic link",
    stat.S_IFDIR: "that is marked as a folder, but has the name of a file",
}


@dataclass(slots=True)
class Entry:
    """What the directory says of an entry.

    Attributes:
        raw: The name as it is in the zip.
        path: With forward slashes; a folder's ends with one.
        header: What its local header should begin with, up to the length of its extra fields.
        offset: Of the local header.
        data_offset: Of the compressed contents; known once the local headers are read.
    """

    raw: bytes
    path: str
    header: bytes
    flags: int
    method: int
    crc: int
    packed_size: int
    size: int
    offset: int
    data_offset: int = 0

    @property
    def is_folder(self) -> bool:
        """Whether it stands for a folder, which devices make anyway."""
        return self.path.endswith("/")


@dataclass(slots=True)
class Directory:
    """The directory of a zip.

    Attributes:
        entries: In the order of their contents in the zip.
        offset: Where it begins, which is where the last entry has to end.
        is_plain: Whether it has nothing that is better left out.
    """

    entries: list[Entry]
    offset: int
    is_plain: bool


def read_directory(source: BinaryIO, end: End) -> Directory:
    """Return the directory that ``end`` speaks of.

    Raises:
        InvalidParameterError: It is damaged, or has an entry that may not be.
    """
    source.seek(end.directory_offset)
    data = source.read(end.directory_size)
    directory = Directory([], end.directory_offset, end.is_plain)
    position = unpacked_size = 0
    for _ in range(end.count):
        if len(data) - position < zipformat.CENTRAL.size:
            raise refused("has a directory with fewer entries than its end record says.")
        (
            magic,
            _made_by,
            version,
            flags,
            method,
            _time,
            _date,
            crc,
            packed_size,
            size,
            name_size,
            extra_size,
            comment_size,
            disk,
            _internal,
            attributes,
            offset,
        ) = zipformat.CENTRAL.unpack_from(data, position)
        if magic != zipformat.CENTRAL_MAGIC:
            raise refused("has a damaged directory.")
        header = zipformat.LOCAL_MAGIC + data[position + 6 : position + 30]
        name_at = position + zipformat.CENTRAL.size
        extra_at = name_at + name_size
        position = extra_at + extra_size + comment_size
        if position > len(data):
            raise refused("has a directory that is cut off.")
        raw = data[name_at:extra_at]
        entry = Entry(raw, path_of(raw), header, flags, method, crc, packed_size, size, offset)
        _check_kind(entry, attributes)
        _check_packing(entry, disk)
        if extra_size:
            check_extra(raw, data[extra_at : extra_at + extra_size])
        unpacked_size += size
        if directory.is_plain:
            directory.is_plain = (
                not extra_size
                and not comment_size
                and version <= zipformat.VERSION
                and _is_plain(entry, attributes)
            )
        directory.entries.append(entry)
    if position != len(data):
        raise refused("has bytes in its directory that belong to no entry.")
    if unpacked_size > MAX_UNPACKED_BYTES:
        raise refused(
            f"unpacks to {unpacked_size // 1_000_000} MB; at most"
            f" {MAX_UNPACKED_BYTES // 1_000_000} MB are allowed."
        )
    directory.entries.sort(key=lambda entry: entry.offset)
    return directory


def _is_plain(entry: Entry, attributes: int) -> bool:
    mode = attributes >> 16  # iOS applies it, so a file that its owner may not read is of no use
    return (
        entry.flags & ~zipformat.FLAG_LEVEL == zipformat.flags_of(entry.raw)
        and (not mode or bool(mode & stat.S_IRUSR))
        and b"\\" not in entry.raw
        and not entry.is_folder
    )


def _check_kind(entry: Entry, attributes: int) -> None:
    """Refuse all but files and folders, by what Unix (above) and DOS (below) call them."""
    kind = stat.S_IFMT(attributes >> 16)
    if kind not in {0, stat.S_IFREG} and not (kind == stat.S_IFDIR and entry.is_folder):
        raise refused_entry(
            entry.raw,
            f"{_KINDS.get(kind, 'that is a special file')}; only files may be in a package.",
        )
    if attributes & _DOS_SPECIAL:
        raise refused_entry(
            entry.raw, "that is a link, a device or a label; only files may be in a package."
        )
    if attributes & _DOS_FOLDER and not entry.is_folder:
        raise refused_entry(entry.raw, f"{_KINDS[stat.S_IFDIR]}; only files may be in a package.")


def _check_packing(entry: Entry, disk: int) -> None:
    """Refuse what devices cannot unpack, and what would fill them."""
    raw, flags, size = entry.raw, entry.flags, entry.size
    if flags & zipformat.FLAG_ENCRYPTED:
        raise refused_entry(raw, "that is encrypted; devices have no password.")
    if entry.method not in {zipformat.STORED, zipformat.DEFLATED}:
        raise refused_entry(
            raw,
            f"compressed by method {entry.method}, which devices cannot read. Make the zip with"
            " the usual one, deflate.",
        )
    if flags & ~(zipformat.FLAG_LEVEL | zipformat.FLAG_DESCRIPTOR | zipformat.FLAG_UTF8):
        raise refused_entry(raw, f"with flags that devices do not know ({flags:#06x}).")
    if _NONE_32 in (entry.packed_size, size, entry.offset):
        raise refused_entry(raw, "in the zip64 format, which not all devices can read.")
    if disk:
        raise refused_entry(raw, "on another disk; a package must be one whole file.")
    if entry.method == zipformat.STORED:
        if flags & zipformat.FLAG_DESCRIPTOR and not entry.is_folder:  # which is left out
            raise refused_entry(
                raw, "that is stored with its size behind it, where Android cannot find its end."
            )
        if entry.packed_size != size:
            raise refused_entry(
                raw, f"that is stored in {entry.packed_size} bytes and yet said to have {size}."
            )
    if entry.is_folder and (size or entry.crc):
        raise refused_entry(raw, "that is a folder with contents.")
    if size > MAX_FILE_BYTES:
        raise refused_entry(
            raw,
            f"of {size // 1_000_000} MB; at most {MAX_FILE_BYTES // 1_000_000} MB are allowed.",
        )
    if size > MAX_UNSUSPICIOUS_BYTES and size > MAX_RATIO * entry.packed_size:
        raise refused_entry(
            raw,
            f"that unpacks to more than {MAX_RATIO} times its size, as archives do that are made"
            " to fill disks.",
        )


def check_extra(raw: bytes, extra: bytes) -> None:
    """Refuse extra fields that say more than the headers do.

    Raises:
        InvalidParameterError: They hold zip64 sizes, or another name for the entry.
    """
    for kind, field in _fields(extra):
        if kind == zipformat.EXTRA_ZIP64:
            raise refused_entry(raw, "in the zip64 format, which not all devices can read.")
        if kind == zipformat.EXTRA_UNICODE_PATH and field[5:] != raw:
            raise refused_entry(raw, "with another name in its extra fields.")


def _fields(extra: bytes) -> Iterator[tuple[int, bytes]]:
    position = count = 0
    while len(extra) - position >= 4 and count < _MAX_EXTRAS:
        kind = int.from_bytes(extra[position : position + 2], "little")
        size = int.from_bytes(extra[position + 2 : position + 4], "little")
        yield kind, extra[position + 4 : position + 4 + size]
        position += 4 + size
        count += 1
