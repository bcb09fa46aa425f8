"""The gate: an upload is looked into once, and refused unless devices can unpack all of it."""

import hashlib
import io
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from codepush.archive.contents import CHUNK_BYTES, EntryError, ignore, packed, unpacked
from codepush.archive.directory import MAX_FILE_BYTES, Directory, Entry, read_directory
from codepush.archive.endrecord import find_end
from codepush.archive.layout import check_layout
from codepush.archive.models import Inspection, PackedFile
from codepush.archive.names import MACOS_FOLDER, check_distinct, warnings_about
from codepush.archive.refusals import refused, refused_entry
from codepush.archive.writer import ZipWriter, spool_file
from codepush.domain.ids import PackageHash
from codepush.domain.package_hash import is_hashed, package_hash


def inspect(source: BinaryIO, spool: Path | None = None) -> Inspection:
    """Look into an upload.

    What devices could stumble over but need not is left out: the package is then another zip, in
    a file of its own, with the same compressed streams.

    Args:
        source: Seekable; its position is anywhere afterwards.
        spool: Folder on the disk for files without names; the system's own if None.

    Raises:
        InvalidParameterError: It may not be released; the message names the entry and the reason.
    """
    size = source.seek(0, io.SEEK_END)
    if not size:
        raise refused("is empty; upload a zip of the folder to release, or one file.")
    end = find_end(source, size)
    if end is None:
        return _inspect_single_file(source, size)
    directory = read_directory(source, end)
    check_distinct([entry.path for entry in directory.entries])
    check_layout(source, directory)
    kept = [entry.path for entry in directory.entries if _is_kept(entry)]
    if not any(map(is_hashed, kept)):
        raise refused("has no files in it; release a folder that has some.")
    if directory.is_plain and len(kept) == len(directory.entries):
        return _verify(source, directory, size)
    return _rewrite(source, directory, spool)


def _inspect_single_file(source: BinaryIO, size: int) -> Inspection:
    if size > MAX_FILE_BYTES:
        raise refused(
            f"is a file of {size // 1_000_000} MB; at most {MAX_FILE_BYTES // 1_000_000} MB are"
            " allowed."
        )
    digest = hashlib.sha256()
    source.seek(0)
    while chunk := source.read(CHUNK_BYTES):
        digest.update(chunk)
    return Inspection(
        source,
        size,
        digest.hexdigest(),
        (),
        hash=PackageHash(digest.hexdigest()),
        warnings=(),
        is_archive=False,
    )


def _is_kept(entry: Entry) -> bool:
    return not entry.is_folder and not entry.path.startswith(MACOS_FOLDER)


def _taken(directory: Directory) -> Iterator[Entry]:
    """Yield all entries and let each go: very many take more memory than their contents do."""
    directory.entries.reverse()
    while directory.entries:
        yield directory.entries.pop()


def _verify(source: BinaryIO, directory: Directory, size: int) -> Inspection:
    """Check the contents of a zip that can stay as it is, and hash it on the way."""
    digest = hashlib.sha256()
    files = []
    for entry in _taken(directory):
        source.seek(entry.offset)
        digest.update(source.read(entry.data_offset - entry.offset))
        sha256 = _check_contents(source, entry, digest.update)
        files.append(_packed_file(entry, sha256, entry.data_offset))
    source.seek(directory.offset)
    digest.update(source.read(size - directory.offset))
    return _passed(source, size, digest.hexdigest(), tuple(files), owns_file=False)


def _rewrite(source: BinaryIO, directory: Directory, spool: Path | None) -> Inspection:
    """Check the contents of a zip, and copy what is kept of it."""
    target = spool_file(spool)
    try:
        writer = ZipWriter(target)
        files = []
        for entry in _taken(directory):
            source.seek(entry.data_offset)
            if not _is_kept(entry):
                _check_contents(source, entry, ignore)
                continue
            offset = writer.begin(
                entry.path, entry.method, entry.crc, entry.packed_size, entry.size
            )
            sha256 = _check_contents(source, entry, writer.write)
            files.append(_packed_file(entry, sha256, offset))
        return _passed(target, *writer.finish(), tuple(files), owns_file=True)
    except BaseException:
        target.close()
        raise


def _check_contents(source: BinaryIO, entry: Entry, note: Callable[[bytes], object]) -> str:
    """Return the SHA-256 of an entry's contents; ``source`` is where they begin."""
    digest = hashlib.sha256()
    crc = 0
    try:
        chunks = packed(source, entry.packed_size, note)
        for block in unpacked(chunks, entry.method, entry.size):
            digest.update(block)
            crc = zlib.crc32(block, crc)
    except EntryError as exc:
        raise refused_entry(entry.raw, str(exc)) from exc
    if crc != entry.crc:
        raise refused_entry(entry.raw, "whose contents do not match their checksum (CRC-32).")
    return digest.hexdigest()


def _packed_file(entry: Entry, sha256: str, offset: int) -> PackedFile:
    return PackedFile(
        entry.path, sha256, entry.crc, entry.size, entry.packed_size, entry.method, offset
    )


def _passed(
    file: BinaryIO, size: int, sha256: str, files: tuple[PackedFile, ...], *, owns_file: bool
) -> Inspection:
    return Inspection(
        file,
        size,
        sha256,
        files,
        owns_file=owns_file,
        hash=package_hash((file.path, file.sha256) for file in files),
        warnings=warnings_about([file.path for file in files]),
        is_archive=True,
    )
