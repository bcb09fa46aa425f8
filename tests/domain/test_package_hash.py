"""The hash by which devices know a package, against what the published clients compute."""

import base64
import hashlib
import io
import json
import re
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
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
REWRITTEN = {"macosx", "backslash_in_name"}
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
    if any(CONTROL.search(path) for path, _ in files):  # the one vector of names that are refused
        with pytest.raises(InvalidParameterError, match="control character"):
            examine(upload)
        return
    package = examine(upload)
    assert package.hash == vector["expected_hash"]
    assert package.is_archive
    sent = package.source.read()
    assert package.sha256 == sha256(sent)
    assert package.size == len(sent)
    if vector["name"] in REWRITTEN:
        assert examine(io.BytesIO(sent)).hash == vector["expected_hash"]
    else:
        assert sent == upload.getvalue(), "the upload is taken as it is, rewound"


def test_all_vectors_but_one_may_be_released() -> None:
    refused = [
        vector["name"]
        for vector in VECTORS
        if any(CONTROL.search(file["path"]) for file in vector["files"])
    ]
    assert refused == ["special_characters"]


def test_directory_entries_are_not_hashed() -> None:
    files = [("CodePush/a.txt", b"a\n"), ("CodePush/b.txt", b"b\n")]
    with_folders = [("CodePush/", b""), *files, ("CodePush/dir/", b""), ("CodePush/dir/e/", b"")]
    assert examine(archive(with_folders)).hash == examine(archive(files)).hash
    # Observed on Microsoft's server, for the zip without the folders.
    assert examine(archive(files)).hash == (
        "65e956d9b3169a9f9b5424eae27d7e1185c5ce273570bb3053844664678a76a9"
    )


def test_directory_entries_with_backslashes_are_not_hashed() -> None:
    files = [("CodePush\\a.txt", b"a\n"), ("CodePush\\b.txt", b"b\n")]
    with_folder = [("CodePush\\assets\\", b""), *files]
    assert examine(archive(with_folder)).hash == examine(archive(files)).hash


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
