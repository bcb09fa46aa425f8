"""What the hostile packages are made with."""

import struct
from collections.abc import Callable
from dataclasses import replace

from tests.archive.zips import (
    STORED,
    Entry,
    build,
)

Case = tuple[Callable[[], bytes], str]

A = Entry("CodePush/a", b"a" * 50)
B = Entry("CodePush/b", b"b" * 50)


def a_zip() -> bytes:
    return build(A, B)


def zip64_record() -> bytes:
    """The records of zip64 in front of an end record."""
    record = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, 60, 90)
    return record + struct.pack("<4sIQI", b"PK\6\7", 0, 90, 1)


def quoted_overlap() -> bytes:
    """A zip whose second entry lies in the first one's contents."""
    inner = Entry("CodePush/inner", b"x" * 20, STORED)
    outer = Entry("CodePush/outer", inner.local_bytes(), STORED)
    within = len(outer.local_bytes()) - len(inner.local_bytes())
    return build(outer, replace(inner, offset=within, is_written=False))


def many(count: int, name: str = "CodePush/{}") -> list[Entry]:
    return [Entry(name.format(number), b"", STORED) for number in range(count)]


def joined(entries: list[Entry]) -> bytes:
    """As ``build``, for very many."""
    body, directory = [], []
    offset = 0
    for entry in entries:
        local = entry.local_bytes()
        directory.append(entry.central_bytes(offset))
        body.append(local)
        offset += len(local)
    size = sum(map(len, directory))
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, len(entries), len(entries), size, offset, 0)
    return b"".join([*body, *directory, end])


def lying(entry: Entry, **fields: int) -> bytes:
    """Return a zip of an entry both of whose headers say these same things."""
    return build(replace(entry, local=fields, central=fields))
