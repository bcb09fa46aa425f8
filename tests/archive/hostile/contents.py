"""Entries that are not what their headers say, or nothing that devices can unpack."""

from dataclasses import replace

from tests.archive.hostile.making import (
    A,
    B,
    Case,
    lying,
)
from tests.archive.zips import (
    STORED,
    Entry,
    build,
    squeeze,
)

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
