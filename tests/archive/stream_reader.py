"""Unpacks a zip as Android's ZipInputStream does: from the front, without its directory."""

import struct
import zlib


class StreamError(Exception):
    """Android would fail, or stop before the end."""


def read_stream(data: bytes) -> dict[str, bytes]:
    """Return the files of a zip by what its local headers say."""
    files: dict[str, bytes] = {}
    position = 0
    while data[position : position + 4] == b"PK\3\4":
        fields = struct.unpack_from("<4s5H3I2H", data, position)
        flags, method, crc, packed_size, size = fields[2], fields[3], *fields[6:9]
        name_at = position + 30
        name = data[name_at : name_at + fields[9]].decode()
        position = name_at + fields[9] + fields[10]
        if method == 0:
            if flags & 8:
                raise StreamError("only DEFLATED entries can have EXT descriptor")
            content = data[position : position + packed_size]
            position += packed_size
        else:
            inflater = zlib.decompressobj(-15)
            content = inflater.decompress(data[position:])
            used = len(data) - position - len(inflater.unused_data)
            position += used
            if flags & 8:
                position += 4 if data[position : position + 4] == b"PK\7\x08" else 0
                crc, packed_size, size = struct.unpack_from("<3I", data, position)
                position += 12
            if used != packed_size:
                raise StreamError("invalid entry compressed size")
        if zlib.crc32(content) != crc or len(content) != size:
            raise StreamError("invalid entry CRC or size")
        if name in files:
            raise StreamError("duplicate")
        files[name] = content
    if data[position : position + 4] != b"PK\1\2":
        raise StreamError("there is more than it would read")
    return files
