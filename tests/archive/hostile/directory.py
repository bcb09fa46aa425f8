"""Directories with entries that may not be, or not together."""

import struct
from dataclasses import replace

from tests.archive.hostile.making import (
    A,
    B,
    Case,
    joined,
    lying,
    many,
)
from tests.archive.zips import (
    STORED,
    Entry,
    build,
    files,
)

DIRECTORY: dict[str, Case] = {
    "the same name twice": (lambda: build(A, B, A), "'CodePush/a' twice"),
    "the same name twice, once with a backslash": (
        lambda: files("CodePush/a", "CodePush\\a"),
        "'CodePush/a' twice",
    ),
    "names that are composed differently": (
        lambda: files("CodePush/\u00e9", "CodePush/e\u0301"),
        r"the same but for the way Unicode composes them \('CodePush/\\xe9' and",
    ),
    "folders that are composed differently": (
        lambda: files("\u00e9/a", "e\u0301/a"),
        "the same but for the way Unicode composes them",
    ),
    "a file in a file": (
        lambda: files("CodePush/a", "CodePush/a/b"),
        "'CodePush/a' that is a file and also a folder",
    ),
    "a file deep in a file": (
        lambda: files("CodePush/a/b/c/d", "CodePush/a.png", "CodePush/a"),
        "'CodePush/a' that is a file and also a folder",
    ),
    "a file and a folder of one name": (
        lambda: build(A, Entry("CodePush/a/", b"", STORED)),
        "that is a file and also a folder",
    ),
    "a file in a file, composed differently": (
        lambda: files("\u00e9", "e\u0301/b"),
        "that is a file and also a folder",
    ),
    "a file at the place of all": (
        lambda: files("CodePush/a", "CodePush"),
        "'CodePush' that is a file and also a folder",
    ),
    "no files": (lambda: b"PK\5\6" + bytes(18), "has no files in it"),
    "folders alone": (
        lambda: build(Entry("CodePush/", b"", STORED), Entry("CodePush/a/", b"")),
        "has no files in it",
    ),
    "nothing but what is left out": (lambda: files("__MACOSX/a"), "has no files in it"),
    "nothing that is hashed": (
        lambda: files("CodePush/.DS_Store", "CodePush/.codepushrelease"),
        "has no files in it",
    ),
    "too many files": (lambda: joined(many(20_001)), "has 20001 entries; at most 20000"),
    "too many files, said to be few": (
        lambda: build(*many(3), end={"count": 2, "count_here": 2}),
        "has bytes in its directory that belong to no entry",
    ),
    "fewer files than it says": (
        lambda: build(A, end={"count": 2, "count_here": 2}),
        "has a directory with fewer entries",
    ),
    "very long names": (
        lambda: joined(many(20_000, "CodePush/" + "a" * 140 + "/{:06}")),
        "has a directory of 4040000 bytes",
    ),
    "a large file": (
        lambda: lying(A, size=512_000_001),
        "of 512 MB; at most 512 MB",
    ),
    "a large package": (
        lambda: build(
            *(
                Entry(
                    f"CodePush/{number}",
                    b"",
                    stream=bytes(100),
                    local={"size": 10_000_000},
                    central={"size": 10_000_000},
                )
                for number in range(101)
            )
        ),
        "unpacks to 1010 MB; at most 1000 MB",
    ),
    "a bomb": (
        lambda: build(Entry("CodePush/bomb", bytes(10_000_001))),
        "'CodePush/bomb' that unpacks to more than 200 times its size",
    ),
    "a damaged directory": (
        lambda: build(A, replace(B, central={"magic": b"PK\1\3"})),
        "has a damaged directory",
    ),
    "an entry over the directory's end": (
        lambda: (
            build(A, end={"directory_size": len(A.central_bytes(0)) - 1}, between=b"")[:-23]
            + build(A, end={"directory_size": len(A.central_bytes(0)) - 1})[-22:]
        ),
        "has a directory that is cut off",
    ),
    "another name in the extra fields": (
        lambda: build(
            replace(A, central={"extra": struct.pack("<HHBI", 0x7075, 9, 1, 0) + b"evil"})
        ),
        "with another name in its extra fields",
    ),
    "another name in its own extra fields": (
        lambda: build(replace(A, local={"extra": struct.pack("<HHBI", 0x7075, 9, 1, 0) + b"evil"})),
        "with another name in its extra fields",
    ),
    "zip64 sizes": (
        lambda: build(replace(A, central={"size": 0xFFFFFFFF})),
        "'CodePush/a' in the zip64 format",
    ),
    "zip64 sizes in its own header": (
        lambda: build(replace(A, local={"size": 0xFFFFFFFF, "packed_size": 0xFFFFFFFF})),
        "'CodePush/a' in the zip64 format",
    ),
    "zip64 fields": (
        lambda: build(replace(A, central={"extra": struct.pack("<HHQ", 1, 8, 50)})),
        "'CodePush/a' in the zip64 format",
    ),
    "zip64 fields in its own header": (
        lambda: build(replace(A, local={"extra": struct.pack("<HHQ", 1, 8, 50)})),
        "'CodePush/a' in the zip64 format",
    ),
    "zip64 offset": (lambda: build(replace(A, offset=0xFFFFFFFF)), "in the zip64 format"),
    "an entry on another disk": (
        lambda: build(replace(A, central={"disk": 1})),
        "'CodePush/a' on another disk",
    ),
}
