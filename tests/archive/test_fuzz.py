"""The gate on damaged, random and invented zips: a refusal or an answer that holds."""

import hashlib
import io
import os
import struct
import time
import zipfile
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from codepush.archive.gate import inspect
from codepush.archive.recompression import recompress
from codepush.domain.errors import InvalidParameterError
from tests.archive.hostile import HOSTILE
from tests.archive.native_client import Tree
from tests.archive.stream_reader import read_stream
from tests.archive.trees import TREES
from tests.archive.zips import (
    DEFLATED,
    DESCRIPTOR_FLAG,
    STORED,
    Entry,
    build,
    described,
    descriptor,
    tree,
)

FUZZ_S = float(os.environ.get("FUZZ_S", "600"))
LARGE = 50_000


def by_zipfile() -> bytes:
    """A zip with folders and descriptors, as another tool streams it."""

    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.mkdir("CodePush")
        archive.writestr("CodePush/a", b"1" * 99)
        archive.writestr("CodePush/é", b"2")
    return pipe.getvalue()


PLAIN = tree({"CodePush/a": b"a" * 99, "CodePush/b/c": b"", "é": bytes(range(256))})
GOOD = [
    PLAIN,
    tree({"a": b"1", "b": b"2" * 50}, STORED),
    by_zipfile(),
    build(described(name="a"), described(name="b"), comment=b"a comment"),
    build(Entry("__MACOSX/x"), Entry("a\\b"), Entry("a/", b"", STORED)),
]
BAD = [made for make, _ in HOSTILE.values() if len(made := make()) < LARGE]
SEEDS = st.one_of(st.sampled_from(GOOD), st.sampled_from(GOOD), st.sampled_from(BAD))
NUMBERS = st.sampled_from([0, 1, 2, 8, 9, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF])
MAGICS = st.sampled_from(
    [b"PK\3\4", b"PK\1\2", b"PK\5\6", b"PK\7\x08", b"PK\6\7", b"PK\6\6", b"PK"]
)


FIELDS = [
    *((name, 0xFFFF) for name in ("flags", "method", "version", "time", "date")),
    *((name, 0xFFFFFFFF) for name in ("crc", "packed_size", "size")),
]
GOOD_NAMES = st.sampled_from(["a", "b/a", "b\\c", "A", "e\u0301", "é/a", "😀", "c.d", "__MACOSX/a"])
BAD_NAMES = st.one_of(
    st.sampled_from(["..", "/a", "a/../b", "a//b", "b/a/c", "é/a", "b/", "C:a"]),
    st.binary(max_size=12),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
)


@st.composite
def damaged(draw: Any) -> bytes:
    """A zip with a few bytes changed, moved, dropped or added."""
    data = bytearray(draw(SEEDS))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        kind = draw(st.integers(0, 6))
        if kind == 0:
            data[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
        elif kind == 1:
            data[at : at + 2] = struct.pack("<H", draw(NUMBERS) & 0xFFFF)
        elif kind == 2:
            data[at : at + 4] = struct.pack("<I", draw(NUMBERS))
        elif kind == 3:
            del data[at : at + draw(st.integers(1, 60))]
        elif kind == 4:
            data[at:at] = draw(st.one_of(MAGICS, st.binary(max_size=30)))
        elif kind == 5:
            begin = draw(st.integers(0, len(data)))
            data[at:at] = data[begin : begin + draw(st.integers(1, 120))]
        else:
            data += draw(SEEDS)
    return bytes(data)


@st.composite
def invented(draw: Any) -> bytes:
    """A zip whose structure is sound but for some fields, so that the faults lie deep."""
    fault = draw(st.integers(0, 7))  # 0 to 2: none
    names = draw(st.lists(GOOD_NAMES, min_size=1, max_size=4, unique=True))
    entries = []
    for name in names:
        entry = Entry(name, draw(st.binary(max_size=60)), draw(st.sampled_from([STORED, DEFLATED])))
        if entry.method == DEFLATED and draw(st.booleans()):
            entry.flags = DESCRIPTOR_FLAG
            entry.local = {"crc": 0, "packed_size": 0, "size": 0}
            entry.behind = descriptor(entry, draw(st.sampled_from([b"", b"PK\7\x08"])))
        entries.append(entry)
    bad = draw(st.sampled_from(entries))
    if fault == 3:
        bad.name = draw(BAD_NAMES)
    elif fault == 4:
        bad.stream = draw(st.binary(max_size=60))
    elif fault == 5:
        bad.offset = draw(st.integers(0, 200))
    elif fault == 6:
        bad.is_listed = False
    elif fault == 7:
        name, bits = draw(st.sampled_from(FIELDS))
        changed = {name: draw(NUMBERS) & bits}
        bad.local |= changed
        bad.central |= changed if draw(st.booleans()) else {}
    return build(*entries, comment=draw(st.one_of(st.just(b""), st.binary(max_size=40))))


RANDOM = st.one_of(
    st.binary(max_size=300),
    st.lists(st.one_of(MAGICS, st.binary(max_size=60)), max_size=8).map(b"".join),
)
ANYTHING = st.one_of(damaged(), invented(), RANDOM)


def check(content: bytes) -> None:
    """Whatever passes is the same for us, for Python, and for Android."""
    try:
        package = inspect(io.BytesIO(content))
    except InvalidParameterError:
        event("refused")
        return
    with package:
        if not package.is_archive:
            event("a single file")
            assert package.hash == hashlib.sha256(content).hexdigest()
            return
        event("rewritten" if package.owns_file else "passed")
        package.file.seek(0)
        clean = package.file.read()
        assert (len(clean), hashlib.sha256(clean).hexdigest()) == (package.size, package.sha256)
        with zipfile.ZipFile(io.BytesIO(clean)) as archive:
            assert archive.testzip() is None
            by_directory = {info.orig_filename: archive.read(info) for info in archive.infolist()}
        assert read_stream(clean) == by_directory
        assert {path: hashlib.sha256(each).hexdigest() for path, each in by_directory.items()} == (
            package.digests()
        )
        for path in by_directory:
            assert not path.startswith(("/", "../", "__MACOSX/"))
            assert "\\" not in path
            assert ".." not in path.split("/")


@given(ANYTHING)
@settings(max_examples=1_500, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_is_uploaded_is_refused_or_read_alike_by_all(content: bytes) -> None:
    check(content)


@pytest.mark.parametrize("cut", range(len(PLAIN)))
def test_a_zip_cut_off_anywhere_is_no_zip(cut: int) -> None:
    if cut < 4:
        assert cut == 0 or not inspect(io.BytesIO(PLAIN[:cut])).is_archive
        return
    with pytest.raises(InvalidParameterError, match="cut off"):
        inspect(io.BytesIO(PLAIN[:cut]))


@given(TREES, st.booleans(), st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))
@settings(max_examples=100, deadline=None)
def test_zips_of_another_tool_are_read_as_it_reads_them(
    files: Tree, is_streamed: bool, method: int
) -> None:
    class File(io.BytesIO):
        def seekable(self) -> bool:
            return not (is_streamed and method == zipfile.ZIP_DEFLATED)

    upload = File()
    with zipfile.ZipFile(upload, "w", method) as archive:
        for path, content in files.items():
            archive.writestr(path, content)
    content = upload.getvalue()
    with inspect(io.BytesIO(content)) as package:
        expected = {path: hashlib.sha256(each).hexdigest() for path, each in files.items()}
        assert package.digests() == expected
        with recompress(package) as packed:
            assert packed.digests() == expected
    check(content)


@pytest.mark.slow
@pytest.mark.timeout(FUZZ_S + 300)
def test_ten_minutes_of_anything_raise_nothing_but_refusals() -> None:
    @given(ANYTHING)
    @settings(
        max_examples=5_000, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    def run(content: bytes) -> None:
        check(content)

    until, rounds = time.monotonic() + FUZZ_S, 0
    while time.monotonic() < until:
        run()
        rounds += 1
    print(f"{rounds} rounds of 5,000 packages")
