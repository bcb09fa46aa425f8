"""Trees of files for Hypothesis, and pairs of them that are alike, as releases are."""

from random import Random
from typing import Any

from hypothesis import strategies as st

from tests.archive.native_client import Tree, folders_of

BUNDLE = Random(1).randbytes(3_000)
NAMES = st.sampled_from(
    ["a", "b", "c", "A", "é", "日本", "😀", "\ufb01", "x y", ".codepushrelease"]
)
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
CONTENTS = st.one_of(
    st.sampled_from([b"", b"1", b"2", bytes(2_000), b"abc" * 700]),
    st.binary(max_size=40),
    st.integers(0, 9).map(lambda seed: bytes((seed * i * i) % 251 for i in range(1_500))),
)


def _without_clashes(files: Tree) -> Tree:
    """Leave out files that are in a file, and see that one file counts towards the hash."""
    kept = {path: each for path, each in files.items() if files.keys().isdisjoint(folders_of(path))}
    if all(path.endswith(".codepushrelease") for path in kept):
        kept["main.jsbundle"] = b"1"
    return kept


TREES = st.dictionaries(PATHS, CONTENTS, max_size=8).map(_without_clashes)


@st.composite
def pairs(draw: Any) -> tuple[Tree, Tree]:
    """Two trees: any two, or one made from the other by a few changes."""
    old = draw(TREES)
    if draw(st.booleans()):
        return old, draw(TREES)
    # A large file that stays, so that a diff is worth it.
    old = old | {"bundle": BUNDLE}
    changed = draw(st.dictionaries(PATHS, CONTENTS, max_size=3))
    gone = draw(st.lists(st.sampled_from(sorted(old)), max_size=3))
    new = {path: each for path, each in (old | changed).items() if path not in gone}
    return old, _without_clashes(new | {"bundle": BUNDLE})


_FEW_PATHS = st.lists(st.sampled_from("ab"), min_size=1, max_size=3).map("/".join)
_FEW = st.dictionaries(_FEW_PATHS, st.sampled_from([b"1", b"2"]), max_size=4).map(_without_clashes)

CHAINS = st.lists(_FEW.map(lambda files: files | {"bundle": BUNDLE}), min_size=2, max_size=5)
"""Packages that follow each other; a name is a file in one and a folder in another."""
