"""Files that are merely like a zip."""

from dataclasses import replace

from tests.archive.hostile.making import (
    A,
    B,
    Case,
    a_zip,
    zip64_record,
)
from tests.archive.zips import (
    build,
)

SHAPE: dict[str, Case] = {
    "nothing": (lambda: b"", "is empty"),
    "leading bytes": (lambda: build(A, before=b"#!/bin/sh\n"), "has 10 bytes before the zip"),
    "leading bytes that offsets know of": (
        lambda: build(A, before=b"#!/bin/sh\n", shift=10),
        "has 10 bytes before its first entry",
    ),
    "a picture in front": (
        lambda: build(A, before=b"\x89PNG\r\n\x1a\n" + bytes(100)),
        "has 108 bytes before the zip",
    ),
    "trailing bytes": (lambda: build(A, after=b"hello"), "has 5 bytes behind its end"),
    "leading and trailing bytes": (
        lambda: build(A, before=b"hello", after=b"hello"),
        "has 5 bytes behind its end",
    ),
    "many trailing bytes": (lambda: build(A, after=bytes(70_000)), "no end record"),
    "two zips": (lambda: build(A) + build(B), "bytes before the zip begins"),
    "cut off in its end record": (lambda: a_zip()[:-1], "is cut off at its end"),
    "cut off before its end record": (lambda: a_zip()[:-22], "no end record"),
    "cut off in its directory": (lambda: a_zip()[:-60], "no end record"),
    "cut off in its contents": (lambda: a_zip()[:50], "no end record"),
    "cut off in its end record, behind a script": (
        lambda: (b"#!/bin/sh\n" + a_zip())[:-3],
        "is cut off at its end",
    ),
    "cut off in its comment": (lambda: build(A, comment=b"hello")[:-1], "is cut off at its end"),
    "cut off in front": (lambda: a_zip()[60:], "is cut off: its directory is not where"),
    "cut off in the middle": (lambda: a_zip()[:40] + a_zip()[60:], "is cut off: its directory"),
    "a magic number alone": (lambda: b"PK\3\4", "no end record"),
    "an end record alone, cut off": (lambda: b"PK\5\6", "no end record"),
    "a directory alone": (lambda: A.central_bytes(0), "no end record"),
    "a zip in parts": (lambda: b"PK\7\x08" + a_zip(), "part of a zip on several disks"),
    "a part of a zip": (lambda: b"PK\7\x08" + a_zip()[:70], "part of a zip on several disks"),
    "a zip of one part": (lambda: b"PK00" + a_zip(), "part of a zip on several disks"),
    "several disks": (lambda: build(A, end={"disk": 1}), "part of a zip on several disks"),
    "a directory on another disk": (
        lambda: build(A, end={"directory_disk": 1}),
        "part of a zip on several disks",
    ),
    "entries on other disks": (
        lambda: build(A, B, end={"count_here": 1}),
        "part of a zip on several disks",
    ),
    "two end records": (
        lambda: build(A, comment=build(B)[-22:] + b"!"),
        "has a second end record in its comment",
    ),
    "contents without a directory": (
        lambda: A.local_bytes() + b"PK\5\6" + bytes(18),
        "bytes between its directory and its end record|not in its directory|before the zip",
    ),
    "contents with an empty directory": (
        lambda: build(replace(A, is_listed=False)),
        "has contents that are not in its directory",
    ),
    "a directory beyond the end": (
        lambda: build(A, end={"directory_offset": 1_000}),
        "is cut off: its directory is not where its end record says",
    ),
    "a directory larger than the zip": (
        lambda: build(A, end={"directory_size": 3_000_000}),
        "is cut off: its directory is not where its end record says",
    ),
    "a very large directory": (
        lambda: build(A, end={"directory_size": 4_000_001}),
        "has a directory of 4000001 bytes",
    ),
    "zip64 count": (lambda: build(A, end={"count": 0xFFFF}), "is in the zip64 format"),
    "zip64 directory": (
        lambda: build(A, end={"directory_offset": 0xFFFFFFFF}),
        "is in the zip64 format",
    ),
    "zip64 records": (
        lambda: build(A).replace(b"PK\5\6", zip64_record() + b"PK\5\6"),
        "is in the zip64 format",
    ),
}
