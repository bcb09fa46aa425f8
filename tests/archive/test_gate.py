"""What the gate refuses, and what it lets pass."""

import hashlib
import io
import re
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from codepush.archive.gate import inspect
from codepush.archive.models import Inspection
from codepush.domain.errors import InvalidParameterError
from codepush.domain.package_hash import package_hash
from tests.archive.hostile import HOSTILE
from tests.archive.hostile.making import joined, many
from tests.archive.zips import (
    DEFLATED,
    STORED,
    Entry,
    build,
    files,
    tree,
)

MAX_REFUSAL_S = 0.1


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def inspect_bytes(content: bytes) -> Inspection:
    return inspect(io.BytesIO(content))


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


def test_a_zip_that_nobody_finds_is_a_bundle(spool: Path) -> None:
    content = b"//js\n" + tree({"a": b"1"}) + b"\n" * 70_000
    assert not inspect_bytes(content).is_archive
    assert not zipfile.is_zipfile(io.BytesIO(content))


def test_a_large_single_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "large.jsbundle"
    with path.open("wb+") as file:
        file.truncate(512_000_001)
        with pytest.raises(InvalidParameterError, match="is a file of 512 MB; at most 512 MB"):
            inspect(file)
