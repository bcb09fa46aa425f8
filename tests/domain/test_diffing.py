"""Which download a device gets, and which diffs are made unasked."""

import pytest

from codepush.domain.diffing import EAGER_BASES, MAX_DIFFS, eager_bases
from codepush.domain.ids import BlobKey, PackageHash
from codepush.domain.models import Download, History, Release
from codepush.domain.semver import parse_version
from codepush.domain.update_check import Candidates, UpdateAnswer, UpdateRequest
from tests.domain.releases import rel

OLD, NEW = PackageHash("old"), PackageHash("new")
SERVED = Download(BlobKey("app/served"), 1_000)


def answer(offered: Release, package_hash: str = "") -> UpdateAnswer:
    request = UpdateRequest("1.0.0", parse_version("1.0.0"), package_hash)
    return Candidates([offered]).decide(request).answer_for("u1")


def test_until_it_is_recompressed_the_uploaded_package_is_served() -> None:
    assert answer(rel(1, content=NEW)).download == Download(BlobKey("app/new"), 2_000)
    assert answer(rel(1, content=NEW, served=SERVED)).download == SERVED


@pytest.mark.parametrize(("size", "is_offered"), [(1, True), (899, True), (900, False)])
def test_a_diff_is_offered_below_nine_tenths_of_the_package(size: int, is_offered: bool) -> None:
    diff = Download(BlobKey("app/diff"), size)
    offered = rel(1, content=NEW, served=SERVED, diffs={OLD: diff})
    assert answer(offered, OLD).download == (diff if is_offered else SERVED)
    assert not answer(offered, OLD).misses_diff
    assert answer(offered, "another").download == SERVED
    assert answer(offered).download == SERVED


def test_a_device_whose_package_nobody_looked_at_misses_a_diff() -> None:
    offered = rel(1, content=NEW, diffs={OLD: None})
    assert answer(offered, "another").misses_diff
    assert not answer(offered).misses_diff
    assert not answer(offered, OLD).misses_diff
    assert not answer(offered, NEW).misses_diff


def test_no_more_diffs_are_missed_than_are_kept() -> None:
    diffs = {PackageHash(str(number)): None for number in range(MAX_DIFFS)}
    assert not answer(rel(1, content=NEW, diffs=diffs), OLD).misses_diff


@pytest.mark.parametrize(
    ("new", "old", "fits"),
    [
        ("1.0.0", "1.0.0", True),
        ("1.0.0", "^1.0.0", True),
        ("1.0.0", "1.1.0", False),
        ("^1.0.0", "1.2.0", True),
        ("^1.0.0", "2.0.0", False),
        ("^1.0.0", "1.x", True),
        ("^1.0.0", "*", False),
    ],
)
def test_diffs_are_made_between_releases_for_the_same_binaries(
    new: str, old: str, fits: bool
) -> None:
    added = rel(2, new, content=NEW)
    history = History(1, 2, (rel(1, old, content=OLD), added))
    assert eager_bases(history, added) == ((OLD,) if fits else ())


def test_diffs_are_made_for_the_newest_other_packages_before_a_release() -> None:
    contents = ["a", "b", "c", "b", "d", "e", "f", NEW, NEW, "later"]
    releases = [rel(number, content=each) for number, each in enumerate(contents, 1)]
    history = History(1, len(releases), tuple(releases))
    assert EAGER_BASES == 5
    assert eager_bases(history, releases[8]) == ("f", "e", "d", "b", "c")
    assert eager_bases(history, releases[0]) == ()
