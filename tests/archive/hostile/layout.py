"""Entries that do not lie end to end as their directory says."""

from dataclasses import replace

from tests.archive.hostile.making import (
    A,
    B,
    Case,
    lying,
    quoted_overlap,
)
from tests.archive.zips import (
    DESCRIPTOR_FLAG,
    STORED,
    Entry,
    build,
    described,
    descriptor,
)

LAYOUT: dict[str, Case] = {
    "two entries in one place": (
        lambda: build(A, replace(B, offset=0)),
        "that overlaps another one",
    ),
    "an entry in another's contents": (quoted_overlap, "that overlaps another one"),
    "an entry that reaches into the next": (
        lambda: build(
            replace(A, local={"packed_size": 30}, central={"packed_size": 30}),
            B,
        ),
        "'CodePush/b' that overlaps another one",
    ),
    "an entry that reaches into the directory": (
        lambda: lying(A, packed_size=99),
        "'CodePush/a' that reaches into the directory",
    ),
    "an entry that is not in the directory": (
        lambda: build(A, replace(B, is_listed=False)),
        "'CodePush/a' followed by another one that is not in the directory",
    ),
    "an entry in between that is not in the directory": (
        lambda: build(A, replace(B, is_listed=False), Entry("CodePush/c")),
        "'CodePush/a' followed by another one that is not in the directory",
    ),
    "a hidden entry behind a descriptor": (
        lambda: build(described(name="CodePush/d"), replace(B, is_listed=False)),
        "'CodePush/d' followed by another one that is not in the directory",
    ),
    "a hidden first entry": (
        lambda: build(replace(B, is_listed=False), A),
        "bytes before its first entry",
    ),
    "a gap": (
        lambda: build(replace(A, behind=b"hello"), B),
        "'CodePush/a' followed by 5 bytes that belong to no entry",
    ),
    "a gap before the directory": (
        lambda: build(A, between=b"hello"),
        "'CodePush/a' followed by 5 bytes that belong to no entry",
    ),
    "a gap behind a descriptor": (
        lambda: build(described(behind=descriptor(Entry()) + b"hello")),
        "followed by 5 bytes that belong to no entry",
    ),
    "a gap behind the directory": (
        lambda: build(A).replace(b"PK\5\6", b"helloPK\5\6"),
        "has 5 bytes between its directory and its end record",
    ),
    "a descriptor nobody announced": (
        lambda: build(replace(A, behind=descriptor(A))),
        "followed by 16 bytes that belong to no entry",
    ),
    "a descriptor that is missing": (
        lambda: build(replace(described(), behind=b"")),
        "without the data descriptor it should have",
    ),
    "a descriptor with other values": (
        lambda: build(described(behind=descriptor(A))),
        "whose data descriptor says something else",
    ),
    "a descriptor of zip64": (
        lambda: build(described(behind=b"PK\7\x08" + bytes(20))),
        "with a data descriptor of zip64",
    ),
    "a stored file with a descriptor": (
        lambda: build(described(method=STORED)),
        "that is stored with its size behind it",
    ),
    "no local header": (
        lambda: build(replace(A, local={"magic": b"PK\3\5"})),
        "that is not where the directory says",
    ),
    **{
        f"another {what} in its own header ({fields})": (
            lambda fields=fields: build(replace(A, local=fields)),
            f"'CodePush/a' whose own header has another {what} than the directory",
        )
        for what, *all_fields in (
            ("name", {"name": b"CodePush/b"}, {"name": b"CodePush/longer"}, {"name": b""}),
            ("flags", {"flags": DESCRIPTOR_FLAG}, {"flags": 0x0800}, {"flags": 1}),
            ("compression method", {"method": STORED}),
            ("checksum", {"crc": 1}, {"crc": 0}),
            ("compressed size", {"packed_size": 1}, {"packed_size": 0}),
            ("size", {"size": 51}, {"size": 0}),
        )
        for fields in all_fields
    },
    "another checksum before its descriptor": (
        lambda: build(
            Entry(
                content=A.content,
                flags=DESCRIPTOR_FLAG,
                local={"crc": 1},
                behind=descriptor(A),
            )
        ),
        "whose own header has another checksum",
    ),
}
