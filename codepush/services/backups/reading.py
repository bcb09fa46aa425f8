"""Reads the file of a backup; see ``format.py``."""

import contextlib
import gzip
import hashlib
import json
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from codepush.domain.errors import InvalidParameterError
from codepush.domain.ids import BlobKey
from codepush.services.backups.format import (
    END,
    FORMAT,
    HEAD,
    Head,
    ListedBlob,
    read_entry,
    seal,
)
from codepush.store.entries import Entry

_READ_BYTES = 1 << 20
_MOST_BYTES = 4_000_000


class BackupFileError(InvalidParameterError):
    """A file is no backup, or not all of one, or not the one that was written."""


class BackupFile:
    """A backup to be read. ``check`` comes first: nothing else looks whether the file is sound."""

    def __init__(self, path: Path):
        """Name the file."""
        self._path = path
        self._superseded: frozenset[int] = frozenset()

    @property
    def size(self) -> int:
        """In bytes.

        Raises:
            BackupFileError: There is no such file.
        """
        try:
            return self._path.stat().st_size
        except OSError as exc:
            raise BackupFileError(f"{self._path} cannot be read: {exc.strerror}.") from exc

    def check(self, on_bytes: Callable[[int], None] = lambda _count: None) -> Head:
        """Read the whole file and compare it with what its end says.

        Raises:
            BackupFileError: It is no backup, cut off, or not what was written.
        """
        head, end, end_at = self._outline()
        digest = hashlib.sha256()
        with self._path.open("rb") as file:
            left = end_at
            while left:
                chunk = file.read(min(left, _READ_BYTES))
                digest.update(chunk)
                left -= len(chunk)
                on_bytes(len(chunk))
            rest = file.read()[tarfile.BLOCKSIZE :]  # end.json itself, and what fills up the tar
        content = json.dumps(end).encode()
        if rest.rstrip(b"\0") != content or end.pop("sha256") != (sealed := seal(digest, end)):
            raise BackupFileError(
                f"{self._path} is not what was written: it is damaged, or somebody changed it."
            )
        on_bytes(tarfile.BLOCKSIZE + len(rest))
        if head["format"] > FORMAT:
            raise BackupFileError(
                f"{self._path} was written by a newer server (format {head['format']}); restore it"
                " with that one."
            )
        self._superseded = frozenset(end["superseded"])
        for _ in self.entries():
            pass  # refuses what is of no server of this kind
        return Head(
            layout=head["layout"],
            created_at_ms=head["created_at_ms"],
            groups=end["groups"],
            blobs=end["blobs"],
            includes_blobs=end["includes_blobs"],
            sha256=sealed,
        )

    def entries(self, on_bytes: Callable[[int], None] = lambda _count: None) -> Iterator[Entry]:
        """Yield everything in the store.

        Raises:
            BackupFileError: Some of it is nothing that a backup holds.
        """
        number = -1
        for line in self._lines("data", on_bytes):
            if line[0] == "group":
                number += 1
            elif number not in self._superseded:
                try:
                    yield read_entry(line)
                except (ValueError, TypeError) as exc:
                    raise BackupFileError(
                        f"{self._path} holds something that no backup does: {line[0]!r:.80}."
                    ) from exc

    def blobs(self) -> Iterator[ListedBlob]:
        """Yield the blobs that the storage had."""
        for key, size, sha256 in self._lines("blobs"):
            yield ListedBlob(BlobKey(key), size, sha256)

    def included(self) -> Iterator[tuple[BlobKey, int, IO[bytes]]]:
        """Yield the blobs in the file: key, size and content, which is to be read at once."""
        with self._members() as members:
            for tar, member in members:
                if member.name.startswith("blob/"):
                    content = tar.extractfile(member)
                    assert content is not None  # noqa: S101 - it is a file, as ``check`` found
                    yield BlobKey(member.name.removeprefix("blob/")), member.size, content

    def _lines(
        self, folder: str, on_bytes: Callable[[int], None] = lambda _count: None
    ) -> Iterator[list[Any]]:
        with self._members() as members:
            for tar, member in members:
                if member.name.startswith(f"{folder}/"):
                    packed = tar.extractfile(member)
                    assert packed is not None  # noqa: S101 - as above
                    with gzip.open(packed) as lines:
                        for line in lines:
                            yield json.loads(line)
                    on_bytes(member.size)

    @contextlib.contextmanager
    def _members(self) -> Iterator[Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]]:
        with tarfile.open(self._path, "r:") as tar:

            def each() -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
                while (member := tar.next()) is not None:
                    yield tar, member
                    tar.members.clear()  # type: ignore[attr-defined] # else all stay in memory

            yield each()

    def _outline(self) -> tuple[dict[str, Any], dict[str, Any], int]:
        """Return what the first and the last member say, and where the last one begins."""
        head: dict[str, Any] | None = None
        _ = self.size  # tells why the file cannot be read, if it cannot
        try:
            with self._members() as members:
                for tar, member in members:
                    if head is None:
                        if member.name != HEAD:
                            break
                        head = _object(tar, member)
                    elif member.name == END:
                        return head, _object(tar, member), member.offset
        except (tarfile.TarError, ValueError, OSError) as exc:
            if head is None:
                raise self._no_backup() from exc
        if head is None:
            raise self._no_backup()
        raise BackupFileError(f"{self._path} is cut off: its end is missing. Make another backup.")

    def _no_backup(self) -> BackupFileError:
        return BackupFileError(f"{self._path} is not a backup made by codepush backup.")


def _object(tar: tarfile.TarFile, member: tarfile.TarInfo) -> dict[str, Any]:
    content = tar.extractfile(member)
    found = json.loads(content.read(_MOST_BYTES)) if content else None
    if not isinstance(found, dict):
        raise ValueError(member.name)  # noqa: TRY004 - told to the caller as no backup
    return found
