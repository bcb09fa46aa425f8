"""Writes the file of a backup; see ``format.py``."""

import contextlib
import gzip
import hashlib
import io
import json
import os
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from codepush.domain.errors import ConflictError, StorageError
from codepush.domain.ids import BlobKey
from codepush.services.backups.format import END, FORMAT, HEAD, ListedBlob, seal
from codepush.store.entries import Entry

_CHUNK_BYTES = 4_000_000


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

        What a killed process leaves is beside it, under its name and one that ends in ``.partial``.

        Raises:
            ConflictError: It exists.
            StorageError: The disk refuses.
        """
        self._path = path
        if path.exists():
            raise self._exists()
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
            # New, of this process alone and private: it holds hashes of passwords and tokens.
            descriptor, name = tempfile.mkstemp(".partial", f"{path.name}.", path.parent)
            self._partial = Path(name)
            self._file = os.fdopen(descriptor, "wb")
        try:
            self._begin(layout, created_at_ms)
        except BaseException:
            self._drop()
            raise

    def _begin(self, layout: int, created_at_ms: int) -> None:
        with _disk(self._path):
            self._out = _Hashing(self._file)
            self._tar = tarfile.open(fileobj=self._out, mode="w", format=tarfile.GNU_FORMAT)  # noqa: SIM115
            head = {"format": FORMAT, "layout": layout, "created_at_ms": created_at_ms}
            self._add(HEAD, json.dumps(head).encode())

    def __enter__(self) -> "BackupWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self._drop()

    def _drop(self) -> None:
        """Let go of the file, and of what is not whole."""
        with contextlib.suppress(OSError):  # a full disk refuses what is left to write
            self._file.close()
        with contextlib.suppress(OSError):
            self._partial.unlink()

    def _exists(self) -> ConflictError:
        return ConflictError(f"{self._path} exists already. Name a new file, or remove that one.")

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
        end["sha256"] = seal(self._out.digest, end)
        with _disk(self._path):
            self._add(END, json.dumps(end).encode())
            self._tar.close()
            self._file.flush()
            os.fsync(self._file.fileno())
            self._name_it()
            folder = os.open(self._path.resolve().parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        return str(end["sha256"])

    def _name_it(self) -> None:
        """Give the file its name, unless another backup has it by now."""
        try:
            self._path.hardlink_to(self._partial)
        except FileExistsError:
            raise self._exists() from None
        except OSError:  # disks of other systems have no links
            if self._path.exists():
                raise self._exists() from None
            self._partial.rename(self._path)

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


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size = size
    member.mode = 0o600
    return member


@contextlib.contextmanager
def _disk(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise StorageError(
            f"{path} could not be written: {exc.strerror or exc}. The backup was not made."
        ) from exc
