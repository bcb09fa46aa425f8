"""What the gate refuses, lets pass, rewrites and warns of."""

import hashlib
import io
import re
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from codepush.archive.gate import inspect
from codepush.archive.models import Inspection
from codepush.domain.errors import InvalidParameterError
from codepush.domain.package_hash import package_hash
from tests.archive.hostile import HOSTILE, joined, many
from tests.archive.zips import (
    DEFLATED,
    DESCRIPTOR_FLAG,
    STORED,
    Entry,
    build,
    described,
    descriptor,
    files,
    tree,
)

MAX_REFUSAL_S = 0.1


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def inspect_bytes(content: bytes) -> Inspection:
    return inspect(io.BytesIO(content))


def contents(package: Inspection) -> dict[str, bytes]:
    """Unpack with another implementation."""
    package.file.seek(0)
    with zipfile.ZipFile(package.file) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def refusal_of(content: bytes) -> tuple[str, float]:
    """Return the sentence, and the seconds of CPU it took."""
    upload = io.BytesIO(content)
    began = time.process_time()
    with pytest.raises(InvalidParameterError) as caught:
        inspect(upload)
    took = time.process_time() - began
    assert caught.value.status == 400
    assert caught.value.details["parameter"] == "package"
    return caught.value.message, took


def test_the_table_has_more_than_a_hundred_hostile_packages() -> None:
    assert len(HOSTILE) > 100


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_package_is_refused_at_once_with_its_own_reason(name: str, spool: Path) -> None:
    make, reason = HOSTILE[name]
    content = make()
    sentence, took = refusal_of(content)
    assert re.fullmatch(r"The package [^\n]*\.", sentence)
    assert re.search(reason, sentence), sentence
    if took >= MAX_REFUSAL_S:  # the machine was busy
        took = min(refusal_of(content)[1] for _ in range(5))
    assert took < MAX_REFUSAL_S


def test_names_in_refusals_are_escaped_and_cut(spool: Path) -> None:
    sentence, _ = refusal_of(files("x" * 1_000 + "\x1b[31m\u202e/../"))
    assert f"'{'x' * 100}'..." in sentence
    sentence, _ = refusal_of(files("\x1b[31m\u202e"))
    assert r"'\x1b[31m\u202e'" in sentence


@pytest.mark.parametrize(
    "last",
    [
        Entry("CodePush/0", b"", STORED),
        Entry("CodePush/5/x", b"", STORED),
        Entry("../x", b"", STORED),
        Entry("CodePush/x", b"1", STORED, local={"crc": 1}),
    ],
)
def test_a_fault_in_the_last_of_very_many_entries_is_found_soon(last: Entry) -> None:
    content = joined([*many(19_999, "CodePush/{}"), last])
    # Some 80 ms on an idle machine, and several times that under coverage.
    assert min(refusal_of(content)[1] for _ in range(2)) < 10 * MAX_REFUSAL_S


# What passes.


@pytest.mark.parametrize("method", [STORED, DEFLATED])
def test_a_plain_zip_stays_as_it_is(method: int, spool: Path) -> None:
    trees = {"CodePush/main.jsbundle": b"x" * 9, "CodePush/a/b.png": bytes(300), "CodePush/e": b""}
    upload = tree(trees, method)
    package = inspect_bytes(upload)
    assert package.is_archive
    assert not package.owns_file
    assert package.sha256 == sha256(upload)
    assert package.size == len(upload)
    assert package.warnings == ()
    assert package.hash == package_hash((path, sha256(each)) for path, each in trees.items())
    assert package.digests() == {path: sha256(each) for path, each in trees.items()}
    for file in package.files:
        stream = upload[file.offset : file.offset + file.packed_size]
        entry = Entry(file.path, trees[file.path], method)
        assert stream == entry.packed
        assert (file.size, file.method) == (len(entry.content), method)


def test_the_order_of_the_directory_may_differ_from_that_of_the_contents() -> None:
    first, second = Entry("a", b"1"), Entry("b", b"2")
    begin = len(first.local_bytes())
    swapped = build(
        replace(first, is_listed=False),
        second,
        replace(first, is_written=False, offset=0),
    )
    package = inspect_bytes(swapped)
    assert [file.path for file in package.files] == ["a", "b"]
    assert package.files[1].offset == begin + 31


@pytest.mark.parametrize(
    "name",
    [
        "x" * 255,
        "/".join(["x" * 204] * 5),
        "/".join(["x"] * 32),
        "a b & c+d%20#.txt",
        "CodePush/hotcodepush.json",
        "CodePush/app.json",
        "App.json",
        "CodePush/...",
        "CodePush/..a",
        "CodePush/日本語/ファイル😀.png",
        "CodePush/\u2028",
        "é:x",
    ],
)
def test_an_unusual_but_harmless_name_passes(name: str) -> None:
    assert [file.path for file in inspect_bytes(files(name)).files] == [name]


def test_twenty_thousand_files_pass() -> None:
    assert len(inspect_bytes(joined(many(20_000))).files) == 20_000


def test_ten_megabytes_of_zeros_pass() -> None:
    package = inspect_bytes(tree({"CodePush/zeros": bytes(10_000_000)}))
    assert package.files[0].size == 10_000_000


@pytest.mark.parametrize(
    "content",
    [b"console.log(1)", b"P", b"PK", b"PK\x03", b"PKZ", bytes(200_000), b"x" * 30 + b"PK\5\6"],
)
def test_a_file_that_is_no_zip_is_a_bundle(content: bytes, spool: Path) -> None:
    package = inspect_bytes(content)
    assert not package.is_archive
    assert package.hash == package.sha256 == sha256(content)
    assert (package.size, package.files, package.warnings) == (len(content), (), ())


def test_a_large_single_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "large.jsbundle"
    with path.open("wb+") as file:
        file.truncate(512_000_001)
        with pytest.raises(InvalidParameterError, match="is a file of 512 MB; at most 512 MB"):
            inspect(file)


# What is rewritten.


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
        assert contents(package) == expected
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
        assert list(contents(package)) == ["CodePush/é"]


def test_an_ascii_name_that_says_utf8_is_rewritten(spool: Path) -> None:
    with inspect_bytes(build(Entry("CodePush/e", flags=0x0800))) as package:
        assert list(contents(package)) == ["CodePush/e"]


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
        sentence, _ = refusal_of(build(Entry("CodePush/", b""), A, bad))
        assert "do not match their checksum" in sentence


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
