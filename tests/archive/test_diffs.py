"""Diffs that merge, on a model of the native client."""

import io
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise, permutations
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from codepush.archive.diffs import build_diff, meets_leftovers
from codepush.archive.gate import inspect
from codepush.archive.models import Archive, Inspection
from codepush.archive.recompression import recompress
from codepush.archive.zipformat import DEFLATED, STORED
from codepush.domain.diffing import MAX_SHARE
from codepush.domain.errors import StorageError
from tests.archive.native_client import Device, InstallError, Tree, hash_of, install, unzip
from tests.archive.trees import CHAINS, pairs
from tests.archive.zips import Entry, build, tree

BUNDLE = Random(1).randbytes(5_000)


def inspected(files: Tree) -> Inspection:
    return inspect(io.BytesIO(tree(files)))


@contextmanager
def diff_between(old: Tree, new: Tree) -> Iterator[Archive | None]:
    with recompress(inspected(new)) as full:
        diff = build_diff(inspected(old).digests(), full)
        try:
            yield diff
        finally:
            if diff:
                diff.close()


def manifest_of(diff: Archive) -> list[str]:
    manifest = json.loads(unzip(diff.file)["hotcodepush.json"])
    assert list(manifest) == ["deletedFiles"]
    deleted = manifest["deletedFiles"]
    assert isinstance(deleted, list)
    return deleted


@given(pairs())
@settings(max_examples=300, deadline=None)
def test_base_and_diff_merge_to_the_new_package(trees: tuple[Tree, Tree]) -> None:
    old, new = trees
    package = inspected(new)
    with recompress(package) as full, diff_between(old, new) as diff:
        assert hash_of(install(full.file, old)) == package.hash == hash_of(new)
        event("offered" if diff else "not offered")
        if diff:
            merged = install(diff.file, old)
            assert merged == new
            assert hash_of(merged) == package.hash
            assert diff.size < MAX_SHARE * full.size
            assert diff.files[0].path == "hotcodepush.json"


@given(pairs())
@settings(max_examples=100, deadline=None)
def test_a_diff_is_a_plain_zip_of_exactly_what_it_says(trees: tuple[Tree, Tree]) -> None:
    with diff_between(*trees) as diff:
        if diff is None:
            return
        data = diff.file
        data.seek(0)
        content = data.read()
        # The gate knows zips best; only its rule about the manifest is in the way.
        as_upload = content.replace(b"hotcodepush.json", b"HOTCODEPUSH.JSON")
        again = inspect(io.BytesIO(as_upload))
        assert not again.owns_file
        assert again.size == diff.size
        assert again.files[1:] == diff.files[1:]


def test_a_diff_has_what_changed_and_what_is_new_and_says_what_is_gone() -> None:
    old = {
        "CodePush/main.jsbundle": BUNDLE,
        "CodePush/same": b"1",
        "CodePush/changed": b"1",
        "CodePush/gone": b"1",
        "CodePush/assets/gone é.png": b"1",
    }
    new = {
        "CodePush/main.jsbundle": BUNDLE,
        "CodePush/same": b"1",
        "CodePush/changed": b"2",
        "CodePush/new": b"1",
    }
    with diff_between(old, new) as diff:
        assert diff
        assert [file.path for file in diff.files] == [
            "hotcodepush.json",
            "CodePush/changed",
            "CodePush/new",
        ]
        assert manifest_of(diff) == ["CodePush/assets/gone é.png", "CodePush/gone"]


def test_deleted_files_are_always_there() -> None:
    old = {"a": BUNDLE, "b": b"1"}
    with diff_between(old, old | {"b": b"2"}) as diff:
        assert diff
        assert manifest_of(diff) == []


def test_the_signature_is_in_the_diff_when_it_differs() -> None:
    old = {"CodePush/a": BUNDLE, "CodePush/.codepushrelease": b"old"}
    for signature in (b"new", None):
        new = {"CodePush/a": BUNDLE, "CodePush/b": b"1"}
        if signature:
            new["CodePush/.codepushrelease"] = signature
        with diff_between(old, new) as diff:
            assert diff
            assert install(diff.file, old) == new
            deleted = manifest_of(diff)
            assert ("CodePush/.codepushrelease" in deleted) is (signature is None)


def test_an_equal_signature_is_not_in_the_diff() -> None:
    old = {"CodePush/a": BUNDLE, "CodePush/.codepushrelease": b"same"}
    with diff_between(old, old | {"CodePush/b": b"1"}) as diff:
        assert diff
        assert [file.path for file in diff.files] == ["hotcodepush.json", "CodePush/b"]


def test_a_diff_of_nearly_everything_is_not_offered() -> None:
    with diff_between({"a": b"1", "b": b"1"}, {"a": BUNDLE, "b": b"1"}) as diff:
        assert diff is None


def test_a_file_instead_of_a_folder_is_not_offered_as_a_diff() -> None:
    old = {"a": BUNDLE, "b/c": b"1"}
    new = {"a": BUNDLE, "b": b"1"}
    with diff_between(old, new) as diff:
        assert diff is None
    manifest = Entry("hotcodepush.json", b'{"deletedFiles":["b/c"]}')
    made = io.BytesIO(build(manifest, Entry("b", b"1")))
    with pytest.raises(InstallError, match="b would replace a folder"):
        install(made, old)


def test_a_folder_instead_of_a_file_is_offered_as_a_diff() -> None:
    old = {"a": BUNDLE, "b": b"1"}
    new = {"a": BUNDLE, "b/c": b"1"}
    with diff_between(old, new) as diff:
        assert diff
        assert install(diff.file, old) == new


def install_chain(chain: list[Tree], folder: Path, order: Random | None = None) -> int:
    """Install packages one after the other, by diffs where there are any; return how many."""
    pairs_ = [*pairwise(chain)]
    numbers = list(range(len(pairs_)))
    if order:
        order.shuffle(numbers)
    known: list[Tree] = []
    offered = {}
    for number in numbers:  # a diff is judged by the packages that are known when it is made
        old, new = pairs_[number]
        known += [old, new]
        if not meets_leftovers(old.keys(), new.keys(), [each.keys() for each in known]):
            with recompress(inspected(new)) as full:
                offered[number] = build_diff(inspected(old).digests(), full)
    device = Device(folder)
    device.install(io.BytesIO(tree(chain[0])))
    for number, (_, new) in enumerate(pairs_):
        diff = offered.get(number)
        device.install(diff.file if diff else io.BytesIO(tree(new)))
        assert device.files() == new
    return sum(1 for each in offered.values() if each)


@given(CHAINS, st.randoms(use_true_random=False))
@settings(max_examples=200, deadline=None)
def test_installs_that_follow_each_other_never_get_stuck(chain: list[Tree], order: Random) -> None:
    with TemporaryDirectory() as folder:
        event(f"{install_chain(chain, Path(folder), order)} diffs")


def test_an_empty_folder_that_a_diff_left_is_in_no_other_diffs_way(tmp_path: Path) -> None:
    rest = {"bundle": BUNDLE}
    chain = [rest | {"res/deep/x": b"1"}, rest, rest | {"res": b"2"}]
    device = Device(tmp_path / "stuck")
    device.install(io.BytesIO(tree(chain[0])))
    with diff_between(*chain[:2]) as diff:
        assert diff
        device.install(diff.file)
    with diff_between(*chain[1:]) as diff:
        assert diff
        with pytest.raises(IsADirectoryError):
            device.install(diff.file)
    assert install_chain(chain, tmp_path / "forward") == 1
    assert install_chain(chain, tmp_path / "backward", Random(1)) == 1


def test_a_folder_that_empties_is_no_reason_without_a_file_of_its_name(tmp_path: Path) -> None:
    rest = {"bundle": BUNDLE}
    chain = [rest | {"res/x": b"1"}, rest, rest | {"res/x": b"2"}, rest | {"other": b"3"}]
    assert install_chain(chain, tmp_path) == 3


def test_there_is_no_diff_from_or_to_a_single_file() -> None:
    with recompress(inspected({"a": BUNDLE})) as full:
        assert build_diff({}, full) is None
    assert build_diff({"a": "0" * 64}, inspect(io.BytesIO(b"1"))) is None


def test_streams_are_copied_as_they_are() -> None:
    old = {"a": BUNDLE, "b": b"1" * 99}
    with recompress(inspected(old | {"b": b"2" * 99})) as full:
        diff = build_diff(inspected(old).digests(), full)
        assert diff
        with diff:
            streams = []
            for archive in (full, diff):
                file = archive.files[1]
                assert file.path == "b"
                archive.file.seek(file.offset)
                streams.append(archive.file.read(file.packed_size))
            assert streams[0] == streams[1]


@pytest.mark.parametrize(("count", "method"), [(1, STORED), (100, DEFLATED)])
def test_the_manifest_is_packed_where_that_makes_it_smaller(count: int, method: int) -> None:
    old = {"a": BUNDLE, **{f"CodePush/assets/{n}": b"1" for n in range(count)}}
    with diff_between(old, {"a": BUNDLE}) as diff:
        assert diff
        assert diff.files[0].method == method
        assert len(manifest_of(diff)) == count


def test_a_package_that_is_cut_off_in_the_storage_is_an_error_and_leaves_nothing(
    spool: Path,
) -> None:
    old = {"a": BUNDLE, "b": b"1"}
    content = tree(old | {"b": bytes(900)})
    package = inspect(io.BytesIO(content))
    cut = Archive(io.BytesIO(content[:4_000]), package.size, "", package.files)
    with pytest.raises(StorageError, match="'b' that is cut off"):
        build_diff(inspected(old).digests(), cut)


@pytest.mark.acceptance
@pytest.mark.skipif("BUNDLES" not in os.environ, reason="needs three real packages")
@pytest.mark.parametrize("pair", [*permutations(("v1", "v2", "v3"), 2)], ids="->".join)
def test_all_pairs_of_the_real_packages_merge(pair: tuple[str, str]) -> None:
    folder = Path(os.environ["BUNDLES"])
    with (
        (folder / f"{pair[0]}.zip").open("rb") as old,
        (folder / f"{pair[1]}.zip").open("rb") as new,
    ):
        before, after = inspect(old), inspect(new)
        device = install(old, {})
        assert hash_of(device) == before.hash
        with recompress(after) as full:
            assert hash_of(install(full.file, device)) == after.hash
            diff = build_diff(before.digests(), full)
            assert diff
            with diff:
                assert hash_of(install(diff.file, device)) == after.hash
                assert diff.size <= 0.4 * after.size
