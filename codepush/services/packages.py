"""Looks into an uploaded package, without ever holding it in memory."""

import hashlib
import struct
import zipfile
import zlib
from dataclasses import dataclass
from typing import IO, BinaryIO

from codepush.domain.errors import InvalidParameterError
from codepush.domain.ids import PackageHash
from codepush.domain.package_hash import package_hash

_CHUNK_BYTES = 256 * 1024
_ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
MAX_ENTRIES = 20_000
MAX_UNPACKED_BYTES = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Package:
    """An upload that was looked into.

    Attributes:
        source: The upload, rewound.
        size: In bytes.
        sha256: Of the bytes uploaded; names the blob.
        hash: By which devices know the contents.
        is_archive: A zip; else a single file that devices take for the bundle itself.
    """

    source: BinaryIO
    size: int
    sha256: str
    hash: PackageHash
    is_archive: bool

    @property
    def content_type(self) -> str:
        """Media type for the storage."""
        return "application/zip" if self.is_archive else "application/octet-stream"


def examine(source: BinaryIO) -> Package:
    """Hash an upload.

    Args:
        source: Seekable; read twice at most.

    Raises:
        InvalidParameterError: It is empty, or a zip that devices could not unpack.
    """
    source.seek(0)
    digest = _digest(source)
    size = source.tell()
    source.seek(0)
    magic = source.read(4)
    if size == 0:
        raise _refused("The package is empty; upload a zip of the folder to release, or one file.")
    is_archive = magic in _ZIP_MAGIC
    contents = _hash_archive(source) if is_archive else PackageHash(digest)
    source.seek(0)
    return Package(source, size, digest, contents, is_archive)


def _hash_archive(source: BinaryIO) -> PackageHash:
    try:
        with zipfile.ZipFile(source) as archive:
            entries = archive.infolist()
            _check_bounds(entries)
            files = []
            for entry in entries:
                _check_method(entry)
                if not entry.is_dir():
                    with archive.open(entry) as file:
                        files.append((_path_of(entry), _digest(file)))
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        OSError,
        ValueError,
        RuntimeError,  # zipfile's word for an encrypted entry
        NotImplementedError,
        IndexError,  # a name that begins with NUL
        struct.error,
    ) as exc:
        raise _refused(
            "The package is not a zip that devices can unpack; it may be damaged or encrypted."
            " Please make it again."
        ) from exc
    if not files:
        raise _refused("The package has no files in it; release a folder that has some.")
    paths = [path for path, _ in files]
    if len(set(paths)) < len(paths):
        raise _refused("The package has two files of one name; devices would keep only one.")
    return package_hash(files)


def _check_bounds(entries: list[zipfile.ZipInfo]) -> None:
    if len(entries) > MAX_ENTRIES:
        raise _refused(f"The package has {len(entries)} files; at most {MAX_ENTRIES} are allowed.")
    if sum(entry.file_size for entry in entries) > MAX_UNPACKED_BYTES:
        raise _refused(
            f"The package unpacks to more than {MAX_UNPACKED_BYTES // 1_000_000} MB, which is the"
            " limit."
        )


def _check_method(entry: zipfile.ZipInfo) -> None:
    if entry.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise _refused(
            f"The package has an entry {entry.orig_filename[:100]!r} that is compressed in a way"
            " devices cannot read. Make the zip with the usual method, deflate."
        )


def _path_of(entry: zipfile.ZipInfo) -> str:
    path = entry.orig_filename.replace("\\", "/")
    segments = path.split("/")
    if "\0" in path or path[1:2] == ":" or any(each in {"", ".", ".."} for each in segments):
        raise _refused(
            f"The package has an entry {path[:100]!r}, which leads out of its folder. Entries must"
            " have relative paths without .. in them."
        )
    return path


def _digest(file: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while chunk := file.read(_CHUNK_BYTES):
        digest.update(chunk)
    return digest.hexdigest()


def _refused(message: str) -> InvalidParameterError:
    return InvalidParameterError(message, parameter="package", reason="Not a usable package")
