"""Builds zips byte by byte, so that any of their fields may lie."""

import struct
import zlib
from dataclasses import dataclass, field
from typing import Any

STORED, DEFLATED = 0, 8
DESCRIPTOR_FLAG, UTF8_FLAG = 0x0008, 0x0800


def squeeze(content: bytes, level: int = 6) -> bytes:
    """Compress as zips do."""
    compressor = zlib.compressobj(level, zlib.DEFLATED, -15)
    return compressor.compress(content) + compressor.flush()


@dataclass
class Entry:
    """One entry; what is None follows from the others, and ``local`` and ``central`` override.

    Attributes:
        behind: Bytes after its contents: its data descriptor, or what should not be there.
        is_listed: Whether the directory has it.
        is_written: Whether it has bytes of its own.
        offset: Where the directory says that it is.
    """

    name: bytes | str = "CodePush/index.android.bundle"
    content: bytes = b"console.log(1)"
    method: int = DEFLATED
    flags: int | None = None
    stream: bytes | None = None
    mode: int = 0o100644
    dos: int = 0
    comment: bytes = b""
    behind: bytes = b""
    is_listed: bool = True
    is_written: bool = True
    offset: int | None = None
    local: dict[str, Any] = field(default_factory=dict)
    central: dict[str, Any] = field(default_factory=dict)

    def fields(self, overrides: dict[str, Any]) -> dict[str, Any]:
        name = self.name.encode() if isinstance(self.name, str) else self.name
        made: dict[str, Any] = {
            "magic": b"PK\x03\x04",
            "version": 20,
            "flags": self.flags if self.flags is not None else 0 if name.isascii() else UTF8_FLAG,
            "method": self.method,
            "time": 0x6000,
            "date": 0x5921,
            "crc": zlib.crc32(self.content),
            "packed_size": len(self.packed),
            "size": len(self.content),
            "name": name,
            "extra": b"",
        }
        return made | overrides

    @property
    def packed(self) -> bytes:
        if self.stream is not None:
            return self.stream
        return squeeze(self.content) if self.method == DEFLATED else self.content

    def local_bytes(self) -> bytes:
        f = self.fields(self.local)
        head = struct.pack(
            "<4s5H3I2H",
            *(f[key] for key in ("magic", "version", "flags", "method", "time", "date")),
            *(f[key] for key in ("crc", "packed_size", "size")),
            len(f["name"]),
            len(f["extra"]),
        )
        return bytes(head + f["name"] + f["extra"] + self.packed + self.behind)

    def central_bytes(self, offset: int) -> bytes:
        f = self.fields({"magic": b"PK\x01\x02", "disk": 0, "system": 3} | self.central)
        head = struct.pack(
            "<4s6H3I5H2I",
            f["magic"],
            f["system"] << 8 | 20,
            *(f[key] for key in ("version", "flags", "method", "time", "date")),
            *(f[key] for key in ("crc", "packed_size", "size")),
            len(f["name"]),
            len(f["extra"]),
            len(self.comment),
            f["disk"],
            0,
            self.mode << 16 | self.dos,
            offset,
        )
        return bytes(head + f["name"] + f["extra"] + self.comment)


def described(content: bytes = b"console.log(1)", **options: Any) -> Entry:
    """An entry whose sizes follow in a data descriptor, as stream writers make it."""
    zeros = {"crc": 0, "packed_size": 0, "size": 0}
    entry = Entry(content=content, flags=DESCRIPTOR_FLAG, local=zeros, **options)
    entry.behind = entry.behind or descriptor(entry)
    return entry


def descriptor(entry: Entry, magic: bytes = b"PK\x07\x08") -> bytes:
    crc, sizes = zlib.crc32(entry.content), (len(entry.packed), len(entry.content))
    return magic + struct.pack("<3I", crc, *sizes)


def build(
    *entries: Entry,
    before: bytes = b"",
    between: bytes = b"",
    comment: bytes = b"",
    after: bytes = b"",
    shift: int = 0,
    end: dict[str, Any] | None = None,
) -> bytes:
    """Return a zip.

    Args:
        entries: In the order in which they lie in the zip.
        before: Bytes in front of everything, which offsets know nothing of.
        between: Bytes between the entries and the directory.
        comment: Of the zip.
        after: Bytes behind everything.
        shift: What to add to every offset.
        end: Fields of the end record to override.
    """
    body = b""
    offsets = []
    for entry in entries:
        offsets.append(len(body) + shift if entry.offset is None else entry.offset)
        body += entry.local_bytes() if entry.is_written else b""
    listed = [pair for pair in zip(entries, offsets, strict=True) if pair[0].is_listed]
    directory = b"".join(entry.central_bytes(offset) for entry, offset in listed)
    body += between
    f: dict[str, Any] = {
        "magic": b"PK\x05\x06",
        "disk": 0,
        "directory_disk": 0,
        "count_here": len(listed),
        "count": len(listed),
        "directory_size": len(directory),
        "directory_offset": len(body) + shift,
        "comment_size": len(comment),
    }
    f |= end or {}
    record = struct.pack("<4s4H2IH", *f.values())
    return before + body + directory + record + comment + after


def files(*names: bytes | str, **options: Any) -> bytes:
    """Return a zip of small files with these names."""
    return build(*(Entry(name, **options) for name in names))


def tree(contents: dict[str, bytes], method: int = DEFLATED) -> bytes:
    """Return a zip of these files."""
    return build(*(Entry(path, content, method) for path, content in contents.items()))
