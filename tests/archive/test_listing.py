"""Lists of files that are kept beside packages."""

import io
import json
import zlib

import pytest
from hypothesis import given

from codepush.archive.gate import inspect
from codepush.archive.listing import dump_listing, load_listing
from tests.archive.hostile.making import joined, many
from tests.archive.native_client import Tree
from tests.archive.trees import TREES
from tests.archive.zips import tree


@given(TREES)
def test_a_listing_comes_back_as_it_was(files: Tree) -> None:
    package = inspect(io.BytesIO(tree(files)))
    assert load_listing(dump_listing(package.files)) == package.files


def test_a_listing_of_the_most_files_is_small() -> None:
    files = inspect(io.BytesIO(joined(many(20_000)))).files
    assert len(dump_listing(files)) < 2_000_000
    assert load_listing(dump_listing(files)) == files


def test_an_empty_listing_comes_back() -> None:
    assert load_listing(dump_listing(())) == ()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x",
        zlib.compress(b"x"),
        *(zlib.compress(json.dumps(x).encode()) for x in (1, [], [2], [1, [2]])),
    ],
)
def test_something_else_is_not_a_listing(data: bytes) -> None:
    with pytest.raises(ValueError):
        load_listing(data)
