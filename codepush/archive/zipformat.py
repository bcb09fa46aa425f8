"""The records of a zip, in the one form in which this server writes them.

Numbers and names are those of PKWARE's APPNOTE 6.3.10, section 4.3.
"""

import struct

LOCAL_MAGIC = b"PK\x03\x04"
CENTRAL_MAGIC = b"PK\x01\x02"
END_MAGIC = b"PK\x05\x06"
DESCRIPTOR_MAGIC = b"PK\x07\x08"
ZIP64_LOCATOR_MAGIC = b"PK\x06\x07"

LOCAL = struct.Struct("<4s5H3I2H")
"""Magic, version, flags, method, time, date, CRC, packed size, size, lengths of name and extra."""

CENTRAL = struct.Struct("<4s6H3I5H2I")
"""Magic, made by, version, flags, method, time, date, CRC, packed size, size, lengths of name,
extra and comment, disk, internal and external attributes, offset of the local header."""

END = struct.Struct("<4s4H2IH")
"""Magic, disk, disk of the directory, entries on this disk, entries, size and offset of the
directory, length of the comment."""

DESCRIPTOR = struct.Struct("<3I")
"""CRC, packed size, size; its magic may stand before it."""

STORED = 0
DEFLATED = 8

FLAG_ENCRYPTED = 0x0001 | 0x0040 | 0x2000  # weak, strong, and a hidden directory
FLAG_LEVEL = 0x0006
FLAG_DESCRIPTOR = 0x0008
FLAG_UTF8 = 0x0800

EXTRA_ZIP64 = 0x0001
EXTRA_UNICODE_PATH = 0x7075

VERSION = 20
"""Needed to unpack: 2.0, which knows deflate and folders."""

_MADE_BY = 3 << 8 | VERSION  # Unix
_TIME, _DATE = 0, 1 << 5 | 1  # 1980-01-01, the same for all, so that equal contents are equal bytes
_ATTRIBUTES = 0o100644 << 16


def flags_of(name: bytes) -> int:
    """Return the flags of an entry: whether its name needs UTF-8."""
    return 0 if name.isascii() else FLAG_UTF8


def local_header(name: bytes, method: int, crc: int, packed_size: int, size: int) -> bytes:
    """Return the header that stands before an entry's contents."""
    fixed = LOCAL.pack(
        LOCAL_MAGIC,
        VERSION,
        flags_of(name),
        method,
        _TIME,
        _DATE,
        crc,
        packed_size,
        size,
        len(name),
        0,
    )
    return fixed + name


def central_header(
    name: bytes, method: int, crc: int, packed_size: int, size: int, offset: int
) -> bytes:
    """Return an entry of the directory; ``offset`` is that of the local header."""
    fixed = CENTRAL.pack(
        CENTRAL_MAGIC,
        _MADE_BY,
        VERSION,
        flags_of(name),
        method,
        _TIME,
        _DATE,
        crc,
        packed_size,
        size,
        len(name),
        0,
        0,
        0,
        0,
        _ATTRIBUTES,
        offset,
    )
    return fixed + name


def end_record(count: int, directory_size: int, directory_offset: int) -> bytes:
    """Return the last record of a zip."""
    return END.pack(END_MAGIC, 0, 0, count, count, directory_size, directory_offset, 0)
