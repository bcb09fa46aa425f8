"""The same package in fewer bytes."""

import io
import os
import zipfile
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings

from codepush.archive import recompression
from codepush.archive.gate import inspect
from codepush.archive.models import Archive
from codepush.archive.recompression import recompress
from codepush.archive.zipformat import DEFLATED, STORED
from codepush.domain.errors import StorageError
from tests.archive.native_client import Tree, unzip
from tests.archive.trees import TREES
from tests.archive.zips import Entry, build, squeeze, tree

NOISE = Random(1).randbytes(5_000)
TEXT = b"".join(b"const x%d = require(%d);\n" % (n, n * 7) for n in range(3_000))


def bytes_of(archive: Archive) -> bytes:
    archive.file.seek(0)
    return archive.file.read()


@given(TREES)
@settings(max_examples=100, deadline=None)
def test_contents_and_hash_stay_the_same(files: Tree) -> None:
    package = inspect(io.BytesIO(tree(files, STORED)))
    with recompress(package) as packed:
        assert packed.size <= package.size
        assert unzip(packed.file) == files
        again = inspect(packed.file)
        assert (again.hash, again.owns_file) == (package.hash, False)
        assert (again.size, again.sha256, again.files) == (packed.size, packed.sha256, packed.files)
        assert [file.path for file in packed.files] == [file.path for file in package.files]


def test_it_is_smaller_than_what_clis_make() -> None:
    package = inspect(io.BytesIO(tree({"CodePush/main.jsbundle": TEXT})))
    with recompress(package) as packed:
        assert packed.size < 0.95 * package.size


def test_equal_packages_become_equal_bytes() -> None:
    entry = Entry("CodePush/a", TEXT)
    other = replace(entry, local={"time": 1, "date": 34}, central={"time": 1, "date": 34})
    other.stream = squeeze(TEXT, 1)
    with (
        recompress(inspect(io.BytesIO(build(entry)))) as one,
        recompress(inspect(io.BytesIO(build(other)))) as two,
    ):
        assert bytes_of(one) == bytes_of(two)
        with zipfile.ZipFile(two.file) as archive:
            assert archive.infolist()[0].date_time == (1980, 1, 1, 0, 0, 0)


def test_recompressing_twice_changes_nothing() -> None:
    files = {"a": TEXT, "b": NOISE, "c": b""}
    with (
        recompress(inspect(io.BytesIO(tree(files)))) as once,
        recompress(once) as twice,
    ):
        assert bytes_of(once) == bytes_of(twice)


def test_what_does_not_shrink_is_stored() -> None:
    for method in (STORED, DEFLATED):
        with recompress(inspect(io.BytesIO(tree({"a": NOISE, "b": b""}, method)))) as packed:
            assert [file.method for file in packed.files] == [STORED, STORED]


def test_a_stream_that_is_smaller_already_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recompression, "LEVEL", 1)
    entry = Entry("a", TEXT, stream=squeeze(TEXT, 9))
    with recompress(inspect(io.BytesIO(build(entry)))) as packed:
        file = packed.files[0]
        packed.file.seek(file.offset)
        assert packed.file.read(file.packed_size) == entry.stream


@pytest.mark.parametrize("content", [TEXT, NOISE, b""])
@pytest.mark.parametrize("method", [STORED, DEFLATED])
def test_large_files_are_streamed(
    content: bytes, method: int, monkeypatch: pytest.MonkeyPatch, spool: Path
) -> None:
    monkeypatch.setattr(recompression, "MAX_WHOLE_BYTES", -1)
    package = inspect(io.BytesIO(tree({"CodePush/large": content}, method)))
    with recompress(package, spool) as packed:
        assert packed.size <= package.size
        assert unzip(packed.file) == {"CodePush/large": content}
        assert inspect(packed.file).hash == package.hash
    if content == TEXT and method == STORED:
        assert packed.files[0].packed_size == len(squeeze(TEXT, 9))


@pytest.mark.parametrize("method", [STORED, DEFLATED])
def test_a_package_damaged_in_the_storage_is_an_error_and_leaves_nothing(
    method: int, spool: Path
) -> None:
    content = tree({"a": TEXT}, method)
    package = inspect(io.BytesIO(content))
    for damaged in (content[:500], content[:500] + b"\xff" * 40 + content[540:]):
        broken = Archive(io.BytesIO(damaged), package.size, "", package.files)
        with pytest.raises(StorageError, match=r"^The stored package has an entry 'a' "):
            recompress(broken, spool)


def test_a_compressor_that_loses_something_is_noticed(
    monkeypatch: pytest.MonkeyPatch, spool: Path
) -> None:
    monkeypatch.setattr(
        "codepush.archive.recompression.deflate.deflate_compress",
        lambda data, level: bytearray(squeeze(bytes(len(data)))),
    )
    with pytest.raises(StorageError, match="could not be compressed without a loss"):
        recompress(inspect(io.BytesIO(tree({"a": TEXT}))), spool)


@pytest.mark.acceptance
@pytest.mark.skipif("BUNDLES" not in os.environ, reason="needs three real packages")
@pytest.mark.parametrize("name", ["v1", "v2", "v3"])
def test_real_packages_shrink(name: str) -> None:
    with (Path(os.environ["BUNDLES"]) / f"{name}.zip").open("rb") as file:
        package = inspect(file)
        with recompress(package) as packed:
            assert packed.size <= 0.975 * package.size
            assert inspect(packed.file).hash == package.hash
