"""The file of a backup: a tar archive whose last member says what all before it must be.

====================  ==================================================================
``backup.json``       ``format``, ``layout``, ``created_at_ms``
``data/N.jsonl.gz``   lines ``["group", tag]``, then for each of its keys or parts of a
                      key ``[key, type, items, expires_at_ms, about, is_first]``
``blobs/N.jsonl.gz``  lines ``[key, size, sha256]``
``blob/KEY``          the blob, where they are included
``end.json``          ``superseded`` groups, by number in order of appearance, which were
                      read again further on; ``groups``; ``blobs``; ``includes_blobs``;
                      ``sha256`` over all bytes before this member and over itself without
                      this field
====================  ==================================================================
"""

import contextlib
import gzip
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO

from codepush.domain.errors import ConflictError, InvalidParameterError, StorageError
from codepush.domain.ids import BlobKey
from codepush.store.groups import Entry

FORMAT = 1
_CHUNK_BYTES = 4_000_000
_READ_BYTES = 1 << 20
_HEAD, _END = "backup.json", "end.json"


class BackupFileError(InvalidParameterError):
    """A file is no backup, or not all of one, or not the one that was written."""


@dataclass(frozen=True, slots=True)
class Head:
    """What a backup says of itself.

    Attributes:
        layout: Version of the layout of its data.
        sha256: Of the backup; two with the same hold the same.
    """

    layout: int
    created_at_ms: int
    groups: int
    blobs: int
    includes_blobs: bool
    sha256: str


@dataclass(frozen=True, slots=True)
class ListedBlob:
    """A blob that the storage had."""

    key: BlobKey
    size: int
    sha256: str


class _Hashing(io.RawIOBase):
    """Passes bytes on, and counts and hashes them."""

    def __init__(self, file: BinaryIO):
        self._file = file
        self.digest = hashlib.sha256()
        self._at = 0

    def writable(self) -> bool:
        return True

    def write(self, chunk: Any) -> int:
        self.digest.update(chunk)
        self._at += len(chunk)
        return self._file.write(chunk)

    def tell(self) -> int:
        return self._at


class BackupWriter:
    """Writes a backup, which has its name only when it is whole and on the disk."""

    def __init__(self, path: Path, *, layout: int, created_at_ms: int):
        """Begin ``path``.

        Raises:
            ConflictError: It exists.
            StorageError: The disk refuses.
        """
        self._path = path
        self._partial = path.with_name(f"{path.name}.partial")
        if path.exists():
            raise ConflictError(f"{path} exists already. Name a new file, or remove that one.")
        self._lines: list[bytes] = []
        self._size = 0
        self._members = 0
        self._folder = "data"
        self._numbers: dict[str, int] = {}
        self._superseded: list[int] = []
        self._groups = 0
        self._blobs = 0
        self._includes_blobs = False
        with _disk(path):
            # It holds hashes of passwords and tokens: nobody else may read it.
            descriptor = os.open(self._partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            self._file = os.fdopen(descriptor, "wb")
            self._out = _Hashing(self._file)
            self._tar = tarfile.open(fileobj=self._out, mode="w", format=tarfile.GNU_FORMAT)  # noqa: SIM115
            head = {"format": FORMAT, "layout": layout, "created_at_ms": created_at_ms}
            self._add(_HEAD, json.dumps(head).encode())

    def __enter__(self) -> "BackupWriter":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._file.close()
        if kind is not None:
            with contextlib.suppress(OSError):
                self._partial.unlink()

    def group(self, tag: str, entries: Iterable[Entry]) -> None:
        """Write a group, in place of what was written of it before."""
        if tag in self._numbers:
            self._superseded.append(self._numbers.pop(tag))
        self._numbers[tag] = self._groups
        self._groups += 1
        self._line(["group", tag])
        for entry in entries:
            self._line(
                [
                    entry.key,
                    entry.type,
                    entry.items,
                    entry.expires_at_ms,
                    entry.about,
                    entry.is_first,
                ]
            )

    def list_blob(self, blob: ListedBlob) -> None:
        """Note that the storage has a blob."""
        self._turn_to("blobs")
        self._blobs += 1
        self._line([blob.key, blob.size, blob.sha256])

    def include_blob(self, key: BlobKey, size: int, source: BinaryIO) -> None:
        """Write a blob itself, which must have ``size`` bytes."""
        self._flush()
        self._includes_blobs = True
        with _disk(self._path):
            self._tar.addfile(_member(f"blob/{key}", size), source)
            self._tar.members.clear()  # type: ignore[attr-defined]

    def finish(self) -> str:
        """End the file; it is durable when this returns. Return its SHA-256."""
        self._flush()
        end: dict[str, Any] = {
            "superseded": self._superseded,
            "groups": len(self._numbers),
            "blobs": self._blobs,
            "includes_blobs": self._includes_blobs,
        }
        end["sha256"] = _seal(self._out.digest, end)
        with _disk(self._path):
            self._add(_END, json.dumps(end).encode())
            self._tar.close()
            self._file.flush()
            os.fsync(self._file.fileno())
            self._partial.replace(self._path)
            folder = os.open(self._path.resolve().parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        return str(end["sha256"])

    def _turn_to(self, folder: str) -> None:
        if self._folder != folder:
            self._flush()
            self._folder = folder

    def _line(self, value: list[Any]) -> None:
        line = json.dumps(value, separators=(",", ":")).encode() + b"\n"
        self._lines.append(line)
        self._size += len(line)
        if self._size >= _CHUNK_BYTES:
            self._flush()

    def _flush(self) -> None:
        if self._lines:
            packed = gzip.compress(b"".join(self._lines), 6, mtime=0)
            self._lines, self._size = [], 0
            with _disk(self._path):
                self._add(f"{self._folder}/{self._members:08}.jsonl.gz", packed)
            self._members += 1

    def _add(self, name: str, content: bytes) -> None:
        self._tar.addfile(_member(name, len(content)), io.BytesIO(content))
        self._tar.members.clear()  # type: ignore[attr-defined]


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
        if rest.rstrip(b"\0") != content or end.pop("sha256") != (sealed := _seal(digest, end)):
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
        return Head(
            layout=head["layout"],
            created_at_ms=head["created_at_ms"],
            groups=end["groups"],
            blobs=end["blobs"],
            includes_blobs=end["includes_blobs"],
            sha256=sealed,
        )

    def entries(self, on_bytes: Callable[[int], None] = lambda _count: None) -> Iterator[Entry]:
        """Yield everything in the store."""
        number = -1
        for line in self._lines("data", on_bytes):
            if line[0] == "group":
                number += 1
            elif number not in self._superseded:
                key, kind, items, expires_at_ms, about, is_first = line
                about = tuple(about) if about else None
                yield Entry(key, kind, items, expires_at_ms, about, is_first)

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
                        if member.name != _HEAD:
                            break
                        head = _object(tar, member)
                    elif member.name == _END:
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
    found = json.loads(content.read(_CHUNK_BYTES)) if content else None
    if not isinstance(found, dict):
        raise ValueError(member.name)  # noqa: TRY004 - told to the caller as no backup
    return found


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size = size
    member.mode = 0o600
    return member


def _seal(digest: Any, end: dict[str, Any]) -> str:
    sealed = digest.copy()
    sealed.update(json.dumps(end).encode())
    return str(sealed.hexdigest())


@contextlib.contextmanager
def _disk(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise StorageError(
            f"{path} could not be written: {exc.strerror or exc}. The backup was not made."
        ) from exc
