"""Every package that the gate must refuse, each with the reason that it must give."""

import struct
from collections.abc import Callable
from dataclasses import replace

from tests.archive.zips import (
    DESCRIPTOR_FLAG,
    STORED,
    Entry,
    build,
    described,
    descriptor,
    files,
    squeeze,
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


NAMES: dict[str, tuple[bytes | str, str]] = {
    "leading out": ("../evil", r"'\.\./evil' that leads out of its folder"),
    "leading out from within": ("CodePush/../../evil", "that leads out of its folder"),
    "leading out at the end": ("CodePush/..", "that leads out of its folder"),
    "leading out by backslashes": ("..\\evil", "that leads out of its folder"),
    "leading out by both slashes": ("CodePush\\../..\\evil", "that leads out of its folder"),
    "a folder that leads out": ("CodePush/../", "that leads out of its folder"),
    "leading out of macOS's folder": ("__MACOSX/../evil", "that leads out of its folder"),
    "a dot segment": ("CodePush/./a", r"has \. or \.\. in its path"),
    "a dot alone": (".", r"has \. or \.\. in its path"),
    "an empty segment": ("CodePush//a", "with an empty segment"),
    "an empty segment at the end": ("CodePush/a//", "with an empty segment"),
    "an empty segment of backslashes": ("CodePush\\\\a", "with an empty segment"),
    "no name": ("", "without a name"),
    "absolute": ("/etc/passwd", "'/etc/passwd' whose name is an absolute path"),
    "absolute by a backslash": ("\\Windows\\evil", "is an absolute path"),
    "a slash": ("/", "is an absolute path"),
    "a drive": ("C:/evil", "'C:/evil' whose name begins with a drive"),
    "a drive and backslashes": ("c:\\evil", "begins with a drive"),
    "a drive without a slash": ("C:evil", "begins with a drive"),
    "a network path": ("\\\\server\\share\\evil", "is a network .UNC. path"),
    "a network path of slashes": ("//server/share/evil", "is a network .UNC. path"),
    "a NUL": ("CodePush/a\0.png", r"'CodePush/a\\x00\.png' with a control character"),
    "a NUL at the beginning": ("\0a", "with a control character"),
    "a line break": ("CodePush/a\nb", r"'CodePush/a\\nb' with a control character"),
    "a tab": ("CodePush/a\tb", "with a control character"),
    "DEL": ("CodePush/a\x7f", "with a control character"),
    "a control character of Latin-1": ("CodePush/a\x85", "with a control character"),
    "Latin-1": (
        "CodePush/é".encode("latin-1"),
        r"'CodePush/\\\\xe9' whose name is not valid UTF-8",
    ),
    "a surrogate": (b"CodePush/\xed\xa0\x80", "is not valid UTF-8"),
    "an overlong slash": (b"CodePush/..\xc0\xafevil", "is not valid UTF-8"),
    "half a character": ("CodePush/é".encode()[:-1], "is not valid UTF-8"),
    "a long segment": ("CodePush/" + "a" * 256, "with 256 bytes between two slashes"),
    "a long segment of few characters": ("CodePush/" + "é" * 128, "with 256 bytes between"),
    "a long name": ("/".join(["a" * 204] * 5) + "b", "has 1025 bytes; at most 1024"),
    "too deep": ("a/" * 32 + "b", "that is 33 deep; at most 32"),
    "a diff's manifest": ("hotcodepush.json", "would take the package for a diff"),
    "a folder like a diff's manifest": ("hotcodepush.json/a", "would take the package for a diff"),
    "clients' notes": ("app.json", "keep notes of their own"),
    "clients' notes as a folder": ("app.json\\", "keep notes of their own"),
}

CONTENTS: dict[str, Case] = {
    "a bad checksum": (
        lambda: lying(A, crc=1),
        r"'CodePush/a' whose contents do not match their checksum",
    ),
    "a bad checksum of what is stored": (
        lambda: build(replace(A, method=STORED)).replace(b"a" * 50, b"a" * 49 + b"b"),
        "whose contents do not match their checksum",
    ),
    "a bad checksum in a file left out": (
        lambda: build(A, Entry("__MACOSX/a", local={"crc": 1}, central={"crc": 1})),
        "'__MACOSX/a' whose contents do not match",
    ),
    "damaged contents": (
        lambda: build(replace(A, stream=b"\xff" * 20)),
        "'CodePush/a' whose compressed contents are damaged",
    ),
    "contents that stop early": (
        lambda: build(replace(A, stream=squeeze(A.content)[:-1])),
        "whose compressed contents are cut off",
    ),
    "deflate without a byte": (
        lambda: build(replace(A, content=b"", stream=b"")),
        "whose compressed contents are cut off",
    ),
    "bytes behind the contents": (
        lambda: build(replace(A, stream=squeeze(A.content) + b"!")),
        "that has bytes behind its compressed contents",
    ),
    "two streams in one": (
        lambda: build(replace(A, stream=squeeze(A.content) * 2)),
        "that has bytes behind its compressed contents",
    ),
    "more than it says": (
        lambda: lying(A, size=49),
        "that unpacks to more than the 49 bytes its headers declare",
    ),
    "much more than it says": (
        lambda: build(replace(A, stream=squeeze(bytes(20_000_000)))),
        "that unpacks to more than the 50 bytes",
    ),
    "less than it says": (
        lambda: lying(A, size=51),
        "that unpacks to 50 bytes; its headers declare 51",
    ),
    "stored in more bytes than it has": (
        lambda: build(replace(A, method=STORED, stream=A.content + b"!")),
        "that is stored in 51 bytes and yet said to have 50",
    ),
    "a folder with contents": (
        lambda: build(B, replace(A, name="CodePush/a/")),
        "'CodePush/a/' that is a folder with contents",
    ),
    "an encrypted file": (lambda: build(replace(A, flags=0x0001)), "that is encrypted"),
    "a strongly encrypted file": (lambda: build(replace(A, flags=0x0041)), "that is encrypted"),
    "a hidden directory": (lambda: build(replace(A, flags=0x2000)), "that is encrypted"),
    "a patch": (lambda: build(replace(A, flags=0x0020)), "with flags that devices do not know"),
    "an unused flag": (lambda: build(replace(A, flags=0x0080)), r"do not know \(0x0080\)"),
    **{
        f"method {method}": (
            lambda method=method: build(replace(A, method=method)),
            f"compressed by method {method}, which devices cannot read",
        )
        for method in (1, 6, 9, 12, 14, 93, 95, 99)
    },
    "a link": (lambda: build(replace(A, mode=0o120777)), "'CodePush/a' that is a symbolic link"),
    "a link by its name a folder": (
        lambda: build(B, Entry("CodePush/l/", b"", mode=0o120777)),
        "that is a symbolic link",
    ),
    "a link, said not to be from Unix": (
        lambda: build(replace(A, mode=0o120777, central={"system": 0})),
        "that is a symbolic link",
    ),
    "a link of Windows": (lambda: build(replace(A, dos=0x400)), "that is a link, a device"),
    "a label": (lambda: build(replace(A, dos=0x08)), "that is a link, a device or a label"),
    **{
        f"a special file {mode:o}": (
            lambda mode=mode: build(replace(A, mode=mode)),
            "that is a special file",
        )
        for mode in (0o010644, 0o020644, 0o060644, 0o140755, 0o170644)
    },
    "a folder without a slash": (lambda: build(replace(A, mode=0o040755)), "marked as a folder"),
    "a folder of DOS without a slash": (lambda: build(replace(A, dos=0x10)), "marked as a folder"),
}

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
    "cut off in its end record": (lambda: a_zip()[:-1], "no end record: it is cut off"),
    "cut off before its end record": (lambda: a_zip()[:-22], "no end record"),
    "cut off in its directory": (lambda: a_zip()[:-60], "no end record"),
    "cut off in its contents": (lambda: a_zip()[:50], "no end record"),
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

HOSTILE: dict[str, Case] = {
    **{
        f"name: {what}": (lambda name=name: files("CodePush/ok", name), reason)
        for what, (name, reason) in NAMES.items()
    },
    **{f"contents: {what}": case for what, case in CONTENTS.items()},
    **{f"directory: {what}": case for what, case in DIRECTORY.items()},
    **{f"layout: {what}": case for what, case in LAYOUT.items()},
    **{f"shape: {what}": case for what, case in SHAPE.items()},
}
