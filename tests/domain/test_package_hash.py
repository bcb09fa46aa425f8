"""The hash by which devices know a package, against what the published clients compute."""

import base64
import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codepush.domain.errors import InvalidParameterError
from codepush.domain.package_hash import is_hashed, package_hash
from codepush.services.packages import examine

VECTORS: list[dict[str, Any]] = json.loads(
    Path(__file__).with_name("package_hash_vectors.json").read_text("utf-8")
)["vectors"]
each_vector = pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])


def content_of(file: dict[str, Any]) -> bytes:
    if "repeat" in file:
        return bytes([file["repeat"]["byte"]]) * file["repeat"]["count"]
    return base64.b64decode(file["base64"])


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def archive(files: list[tuple[str, bytes]], compression: int = zipfile.ZIP_DEFLATED) -> io.BytesIO:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as made:
        for path, content in files:
            made.writestr(zipfile.ZipInfo(path), content, compression)
    return buffer


def test_there_are_fifteen_vectors() -> None:
    assert len({vector["name"] for vector in VECTORS}) == 15


@each_vector
def test_files_of_a_vector_are_what_it_says(vector: dict[str, Any]) -> None:
    for file in vector["files"]:
        assert sha256(content_of(file)) == file["sha256"]


@each_vector
def test_the_hash_of_a_vector_is_what_devices_compute(vector: dict[str, Any]) -> None:
    # A zip has forward slashes, whatever the file was called where it was made.
    files = [(file["path"].replace("\\", "/"), file["sha256"]) for file in vector["files"]]
    assert package_hash(files) == vector["expected_hash"]
    assert package_hash(reversed(files)) == vector["expected_hash"]


@each_vector
@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_zip_of_a_vector_is_hashed_as_devices_hash_it_unpacked(
    vector: dict[str, Any], compression: int
) -> None:
    files = [(file["path"], content_of(file)) for file in vector["files"]]
    upload = archive(files, compression)
    package = examine(upload)
    assert package.hash == vector["expected_hash"]
    assert package.is_archive
    assert package.sha256 == sha256(upload.getvalue())
    assert package.size == len(upload.getvalue())
    assert package.source.read() == upload.getvalue(), "the upload is rewound"


def test_directory_entries_are_not_hashed() -> None:
    files = [("CodePush/a.txt", b"a\n"), ("CodePush/b.txt", b"b\n")]
    with_folders = [("CodePush/", b""), *files, ("CodePush/dir/", b""), ("CodePush/dir/e/", b"")]
    assert examine(archive(with_folders)).hash == examine(archive(files)).hash
    # Observed on Microsoft's server, for the zip without the folders.
    assert examine(archive(files)).hash == (
        "65e956d9b3169a9f9b5424eae27d7e1185c5ce273570bb3053844664678a76a9"
    )


def test_what_macos_and_the_cli_leave_behind_is_not_hashed() -> None:
    files = [("CodePush/a.txt", b"a\n"), ("CodePush/b.txt", b"b\n")]
    extra = [
        ("CodePush/.codepushrelease", b"a signature"),
        ("CodePush/.DS_Store", b"1"),
        ("__MACOSX/q", b"2"),
    ]
    assert examine(archive([*extra, *files])).hash == examine(archive(files)).hash


@pytest.mark.parametrize(
    ("path", "counts"),
    [
        ("main.jsbundle", True),
        ("CodePush/__MACOSX/f", True),
        ("__MACOSX", True),
        ("__MACOSX/x", False),
        (".DS_Store", False),
        ("a/b/.DS_Store", False),
        ("a.DS_Store", True),
        (".DS_Store/x", True),
        (".codepushrelease", False),
        ("CodePush/.codepushrelease", False),
        ("CodePush/x.codepushrelease", True),
        ("CodePush/.codepushrelease/x", True),
    ],
)
def test_only_whole_names_are_left_out(path: str, counts: bool) -> None:
    assert is_hashed(path) is counts


@pytest.mark.parametrize("content", [b"console.log(1)", b"P", b"PK", b"PK\x03", bytes(100_000)])
def test_a_single_file_that_is_no_zip_has_the_sha256_of_its_bytes(content: bytes) -> None:
    package = examine(io.BytesIO(content))
    assert package.hash == package.sha256 == sha256(content)
    assert not package.is_archive


NAMES = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="/\\"), min_size=1, max_size=6
)
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
DIGESTS = st.binary(max_size=4).map(sha256)


@given(st.dictionaries(PATHS, DIGESTS, max_size=8), st.randoms())
def test_the_order_of_files_does_not_matter(files: dict[str, str], random: Any) -> None:
    shuffled = list(files.items())
    random.shuffle(shuffled)
    assert package_hash(shuffled) == package_hash(files.items())


@given(st.dictionaries(PATHS, DIGESTS, min_size=1, max_size=8), st.data())
def test_another_content_of_a_counted_file_makes_another_hash(
    files: dict[str, str], data: st.DataObject
) -> None:
    path = data.draw(st.sampled_from(sorted(files)))
    changed = files | {path: sha256(b"something else")}
    same = package_hash(files.items()) == package_hash(changed.items())
    assert same is not is_hashed(path)


# Uploads that devices could not unpack.


def a_zip(*paths: str) -> bytes:
    return archive([(path, b"1") for path in paths]).getvalue()


def with_name(old: bytes, new: bytes) -> bytes:
    """A zip whose one entry has a name that zipfile would not write."""
    assert len(old) == len(new)
    return a_zip(old.decode()).replace(old, new)


UNUSABLE = {
    "empty": b"",
    "a zip of nothing": archive([]).getvalue(),
    "a zip of folders": a_zip("CodePush/", "CodePush/assets/"),
    "a zip cut off": a_zip("CodePush/a", "CodePush/b")[:-40],
    "a zip's beginning": a_zip("CodePush/a")[:10],
    "a magic number alone": b"PK\x03\x04",
    "an end record alone, cut off": b"PK\x05\x06",
    "leading out": a_zip("../evil"),
    "leading out from within": a_zip("CodePush/../../evil"),
    "leading out by backslashes": a_zip("..\\evil"),
    "absolute": a_zip("/etc/passwd"),
    "a drive letter": a_zip("C:/evil"),
    "a dot segment": a_zip("CodePush/./a"),
    "an empty segment": a_zip("CodePush//a"),
    "one file twice": a_zip("CodePush/a", "CodePush\\a"),
    "a NUL in a name": with_name(b"CodePush/abc", b"CodePush/a\0c"),
    "damaged contents": archive([("a", b"the contents")], zipfile.ZIP_STORED)
    .getvalue()
    .replace(b"the contents", b"not the same"),
}

UNUSABLE_YET_TAKEN = {
    "a name that begins with NUL": with_name(b"abc", b"\0bc"),
    "bzip2, which Java cannot unpack": archive([("a", b"1")], zipfile.ZIP_BZIP2).getvalue(),
    "LZMA, which Java cannot unpack": archive([("a", b"1")], zipfile.ZIP_LZMA).getvalue(),
    "damaged LZMA": archive([("a", bytes(99))], zipfile.ZIP_LZMA)
    .getvalue()
    .replace(b"\x5d\0\0", b"\xff\0\0"),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", UNUSABLE)
def test_a_package_that_devices_could_not_unpack_is_refused(name: str) -> None:
    with pytest.raises(InvalidParameterError, match=r"^The package .*\.$"):
        examine(io.BytesIO(UNUSABLE[name]))


@pytest.mark.parametrize("name", UNUSABLE_YET_TAKEN)
def test_a_package_of_an_odd_make_is_refused(name: str) -> None:
    with pytest.raises(InvalidParameterError, match=r"^The package .*\.$"):
        examine(io.BytesIO(UNUSABLE_YET_TAKEN[name]))
