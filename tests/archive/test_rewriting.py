"""What the gate rewrites, and what it warns of."""

import hashlib
import io
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from codepush.archive.gate import inspect
from codepush.archive.models import Inspection
from codepush.domain.errors import InvalidParameterError
from tests.archive.zips import (
    DESCRIPTOR_FLAG,
    STORED,
    Entry,
    build,
    described,
    descriptor,
    files,
)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def inspect_bytes(content: bytes) -> Inspection:
    return inspect(io.BytesIO(content))


def unzipped(package: Inspection) -> dict[str, bytes]:
    """Unpack with another implementation."""
    package.file.seek(0)
    with zipfile.ZipFile(package.file) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


A = Entry("CodePush/main.jsbundle", b"console.log(1)" * 20)
PLAIN = build(A, Entry("CodePush/b", b"2", STORED))

REWRITTEN: dict[str, Callable[[], bytes]] = {
    "backslashes": lambda: build(
        replace(A, name="CodePush\\main.jsbundle"), Entry("CodePush\\b", b"2")
    ),
    "mixed slashes": lambda: build(
        replace(A, name="CodePush\\main.jsbundle"), Entry("CodePush/b", b"2")
    ),
    "folders": lambda: build(
        Entry("CodePush/", b"", STORED, mode=0o040755, dos=0x10),
        A,
        Entry("CodePush/b", b"2"),
        Entry("CodePush/empty/", b""),
        Entry("CodePush/empty/", b""),
    ),
    "folders with backslashes": lambda: build(
        A, Entry("CodePush\\assets\\", b""), Entry("CodePush/b", b"2")
    ),
    "folders with data descriptors": lambda: build(
        described(b"", name="CodePush/", method=STORED), A, Entry("CodePush/b", b"2")
    ),
    "macOS's folder": lambda: build(
        Entry("__MACOSX/", b"", STORED),
        A,
        Entry("__MACOSX/CodePush/._main.jsbundle", b"junk"),
        Entry("CodePush/b", b"2"),
    ),
    "data descriptors": lambda: build(
        described(A.content, name=A.name), described(b"2", name="CodePush/b")
    ),
    "a data descriptor without its magic": lambda: build(
        described(A.content, name=A.name, behind=descriptor(A, b"")), Entry("CodePush/b", b"2")
    ),
    "a data descriptor that repeats the header": lambda: build(
        replace(A, flags=DESCRIPTOR_FLAG, behind=descriptor(A)), Entry("CodePush/b", b"2")
    ),
    "a comment": lambda: build(A, Entry("CodePush/b", b"2"), comment=b"made on a Monday"),
    "comments of files": lambda: build(A, Entry("CodePush/b", b"2", comment=b"why")),
    "extra fields": lambda: build(
        replace(A, local={"extra": b"UT\5\0\3abcd"}, central={"extra": b"UT\1\0\3"}),
        Entry("CodePush/b", b"2"),
    ),
    "malformed extra fields": lambda: build(
        replace(A, local={"extra": b"\0" * 7}), Entry("CodePush/b", b"2", central={"extra": b"!"})
    ),
    "a later version needed": lambda: build(
        replace(A, local={"version": 63}, central={"version": 63}), Entry("CodePush/b", b"2")
    ),
    "a file that nobody may read": lambda: build(
        replace(A, mode=0o100000), Entry("CodePush/b", b"2")
    ),
    "another time in its own header": lambda: build(
        replace(A, local={"time": 0}), Entry("CodePush/b", b"2")
    ),
}


@pytest.mark.parametrize("name", REWRITTEN)
def test_what_is_better_left_out_is_rewritten(name: str, spool: Path) -> None:
    upload = REWRITTEN[name]()
    with inspect_bytes(upload) as package:
        assert package.owns_file
        expected = {"CodePush/main.jsbundle": A.content, "CodePush/b": b"2"}
        assert unzipped(package) == expected
        assert package.hash == inspect_bytes(PLAIN).hash
        package.file.seek(0)
        written = package.file.read()
        assert (package.size, package.sha256) == (len(written), sha256(written))
        again = inspect_bytes(written)
        assert not again.owns_file, "it needs no second rewriting"
        assert again.files == package.files
        assert b"__MACOSX" not in written
        assert b"PK\7\x08" not in written
    assert package.file.closed


def test_a_name_in_utf8_that_does_not_say_so_is_rewritten_to_say_so(spool: Path) -> None:
    with inspect_bytes(build(Entry("CodePush/é", flags=0))) as package:
        assert list(unzipped(package)) == ["CodePush/é"]


def test_an_ascii_name_that_says_utf8_is_rewritten(spool: Path) -> None:
    with inspect_bytes(build(Entry("CodePush/e", flags=0x0800))) as package:
        assert list(unzipped(package)) == ["CodePush/e"]


def test_compressed_streams_are_copied_not_made_again(spool: Path) -> None:
    entry = described(b"hello" * 99, name="a")
    with inspect_bytes(build(entry)) as package:
        file = package.files[0]
        package.file.seek(file.offset)
        assert package.file.read(file.packed_size) == entry.packed


def test_equal_uploads_are_rewritten_to_equal_bytes(spool: Path) -> None:
    earlier = described(b"1", name="a")
    later = described(b"1", name="a")
    later.central = {"time": 1, "date": 0x5A21}
    later.local |= later.central
    with inspect_bytes(build(earlier)) as one, inspect_bytes(build(later)) as other:
        assert one.sha256 == other.sha256


def test_a_rewritten_file_is_closed_when_nobody_needs_it(spool: Path) -> None:
    package = inspect_bytes(REWRITTEN["folders"]())
    file = package.file
    del package
    assert file.closed


def test_an_upload_is_not_closed_with_its_inspection() -> None:
    upload = io.BytesIO(PLAIN)
    with inspect(upload):
        pass
    assert not upload.closed


def test_nothing_is_left_of_a_package_refused_while_it_is_rewritten(spool: Path) -> None:
    bad = Entry("CodePush/z", local={"crc": 1}, central={"crc": 1})
    for _ in range(3):
        with pytest.raises(InvalidParameterError, match="do not match their checksum"):
            inspect_bytes(build(Entry("CodePush/", b""), A, bad))


# Warnings.


def test_names_that_differ_in_case_alone_are_warned_of() -> None:
    warnings = inspect_bytes(files("CodePush/Logo.png", "CodePush/logo.png", "b")).warnings
    assert len(warnings) == 1
    assert "'CodePush/Logo.png' and 'CodePush/logo.png' differ only in case" in warnings[0]


def test_names_that_differ_in_the_case_of_other_letters_are_warned_of() -> None:
    (warning,) = inspect_bytes(files("straße", "STRASSE")).warnings
    assert "differ only in case" in warning


@pytest.mark.parametrize(
    "name", ["CON", "CodePush/nul.txt", "aux/b", "a/COM1", "lpt¹.x", "a.", "b /c", 'a"b', "a:b.c"]
)
def test_names_that_windows_reserves_are_warned_of(name: str) -> None:
    name = f"CodePush/{name}"
    (warning,) = inspect_bytes(files(name)).warnings
    assert "reserved on Windows" in warning
    assert repr(name) in warning


@pytest.mark.parametrize("name", ["icon", "CodePush/console.log", "nul_.txt", "com10", "a.b.c"])
def test_other_names_are_not_warned_of(name: str) -> None:
    assert inspect_bytes(files(name)).warnings == ()


def test_a_decomposed_name_is_warned_of() -> None:
    package = inspect_bytes(files("CodePush/e\u0301.png"))
    (warning,) = package.warnings
    assert "not in Unicode's composed form (NFC)" in warning
    assert package.files[0].path == "CodePush/e\u0301.png", "and it stays as it is"


def test_many_warnings_are_cut_short() -> None:
    warnings = inspect_bytes(files(*(f"{n}/aux" for n in range(40)))).warnings
    assert len(warnings) == 6
    assert warnings[-1] == "There are 35 more names that Windows cannot hold."
