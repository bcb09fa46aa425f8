"""Diffs: what a device that has one package needs in order to have another.

A device copies the folder of its package, deletes the ``deletedFiles`` that ``hotcodepush.json``
lists, copies the diff's files over it, and checks the hash of what came out.
"""

import json
import zlib
from collections.abc import Collection, Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO
from zipfile import BadZipFile, ZipFile

import deflate

from codepush.archive.contents import CHUNK_BYTES, EntryError
from codepush.archive.models import Archive, PackedFile
from codepush.archive.recompression import LEVEL, copy_file
from codepush.archive.refusals import show
from codepush.archive.writer import ZipWriter, spool_file
from codepush.archive.zipformat import CENTRAL, DEFLATED, END, LOCAL, STORED
from codepush.domain.diffing import MAX_SHARE
from codepush.domain.errors import StorageError

MANIFEST = "hotcodepush.json"


def build_diff(base: Mapping[str, str], new: Archive, spool: Path | None = None) -> Archive | None:
    """Return the diff from one package to another, or None where the full one serves better.

    That is where the diff would have ``MAX_SHARE`` of its size or more, or where a file is to
    take the place of a folder: devices delete files only, and Android cannot copy over a folder.

    Args:
        base: SHA-256 of each file of the package that the device has, by path.
        new: The package to come, best recompressed: its streams are copied as they are.
        spool: Folder on the disk for files without names; the system's own if None.

    Raises:
        StorageError: ``new`` is cut off.
    """
    if not base or not new.files:
        return None  # a single file, which devices keep in no known place
    changed = [file for file in new.files if base.get(file.path) != file.sha256]
    if not _folders(base).isdisjoint(file.path for file in changed):
        return None
    deleted = sorted(base.keys() - new.digests().keys())
    # In ASCII, since a device reads the manifest in the character set of its system.
    manifest = json.dumps({"deletedFiles": deleted}, separators=(",", ":")).encode()
    stream = bytes(deflate.deflate_compress(manifest, LEVEL))
    method = DEFLATED
    if len(stream) >= len(manifest):
        stream, method = manifest, STORED
    if _size_of(changed, len(stream)) >= MAX_SHARE * new.size:
        return None
    target = spool_file(spool)
    try:
        writer = ZipWriter(target)
        crc = zlib.crc32(manifest)
        offset = writer.begin(MANIFEST, method, crc, len(stream), len(manifest))
        writer.write(stream)
        digest = sha256(manifest).hexdigest()
        files = [PackedFile(MANIFEST, digest, crc, len(manifest), len(stream), method, offset)]
        for file in changed:
            try:
                files.append(copy_file(new, file, writer))
            except EntryError as exc:
                raise StorageError(
                    f"The stored package has an entry {show(file.path)} {exc}"
                ) from exc
        return Archive(target, *writer.finish(), tuple(files), owns_file=True)
    except BaseException:
        target.close()
        raise


def apply_diff(base: Mapping[str, str], diff: BinaryIO) -> dict[str, str]:
    """Return what a device has that puts a diff onto a package: SHA-256 of each file by path.

    By Python's own reader of zips, so that what wrote the diff does not judge it.

    Args:
        base: SHA-256 of each file of the package that the device has, by path.
        diff: Seekable.

    Raises:
        ValueError: It is no diff, or damaged.
    """
    try:
        with ZipFile(diff) as archive:
            deleted = set(json.loads(archive.read(MANIFEST))["deletedFiles"])
            files = {path: digest for path, digest in base.items() if path not in deleted}
            for entry in archive.infolist():
                if entry.filename != MANIFEST and not entry.is_dir():
                    digest = sha256()
                    with archive.open(entry) as file:
                        while chunk := file.read(CHUNK_BYTES):
                            digest.update(chunk)
                    files[entry.filename] = digest.hexdigest()
    except (BadZipFile, KeyError, TypeError, EOFError, zlib.error) as exc:
        raise ValueError(str(exc)) from exc
    return files


def meets_leftovers(
    base: Collection[str], new: Collection[str], others: Iterable[Collection[str]]
) -> bool:
    """Tell whether a diff could meet a folder that another diff left empty, or leave one.

    Devices delete files, not folders: one whose files are all gone stays, through any number of
    diffs, until a full package is installed. Neither Android nor Cordova can copy a file to its
    path, and so they fail on that diff for ever. To list folders as deleted would not do for
    Cordova, which skips them. So a file may not come by a diff where any other package has a
    folder; and a folder may not go by a diff where any other package has a file, which makes the
    order in which diffs are made no matter.

    Args:
        base: Paths of the files that the device has.
        new: Paths of the files to come.
        others: Paths of the files of every other package that devices may have had; read only
            where it matters.
    """
    added = set(new).difference(base)
    emptied = _folders(base) - _folders(new)
    if not added and not emptied:
        return False
    return any(
        not emptied.isdisjoint(other) or not added.isdisjoint(_folders(other)) for other in others
    )


def _folders(paths: Iterable[str]) -> set[str]:
    folders = set()
    for path in paths:
        folder = path.rpartition("/")[0]
        while folder and folder not in folders:
            folders.add(folder)
            folder = folder.rpartition("/")[0]
    return folders


def _size_of(files: Iterable[PackedFile], manifest_size: int) -> int:
    """Return what the zip of a diff will measure."""
    entry_size = LOCAL.size + CENTRAL.size
    size = entry_size + 2 * len(MANIFEST) + manifest_size + END.size
    return size + sum(entry_size + 2 * len(file.path.encode()) + file.packed_size for file in files)
