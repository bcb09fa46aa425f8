"""Packages on local disk, served by this server.

A blob is written to a temporary name, flushed to the disk and then renamed, so that a reader sees
the whole of it or nothing, whatever is killed meanwhile.
"""
# Paths of blobs are texts: ``LocalStorage._path`` says why.
# ruff: noqa: PTH105, PTH108, PTH116, PTH123

import contextlib
import fcntl
import os
import shutil
import stat
import uuid
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from codepush.domain.errors import NotFoundError, StorageError
from codepush.domain.ids import BlobKey
from codepush.domain.storage import StoredBlob, is_blob_key

_CHUNK_BYTES = 1024 * 1024
_INCOMING = ".incoming"
_PROBE_BYTES = 65_536
URL_PREFIX = "/blobs/"


class LocalStorage:
    """Keeps blobs as files below one folder."""

    scheme = "local"

    def __init__(self, folder: Path):
        """Keep blobs below ``folder``, which is made when first needed."""
        self._folder = folder

    @classmethod
    def from_url(
        cls,
        url: str,
        secrets: Mapping[str, str],  # noqa: ARG003
    ) -> "LocalStorage":
        """Return the storage of ``local:///absolute/folder``, which needs no secrets.

        Raises:
            ValueError: The URL names no absolute folder, or more than that.
        """
        parts = urlsplit(url)
        path = Path(unquote(parts.path))
        if parts.netloc or not path.is_absolute() or path == Path("/"):
            raise ValueError(
                "it must name an absolute folder with three slashes, such as"
                " local:///var/lib/codepush/blobs"
            )
        if parts.query or parts.fragment:
            raise ValueError(
                "it has no parameters; in the name of a folder, ? is written as %3F and # as %23"
            )
        return cls(path)

    def put(
        self,
        key: BlobKey,
        source: BinaryIO,
        *,
        size: int,
        content_type: str,  # noqa: ARG002
    ) -> None:
        """Store a blob, durably."""
        target = self._path(key)
        try:
            incoming = self._folder / _INCOMING
            incoming.mkdir(parents=True, exist_ok=True)
            temporary = f"{incoming}/{uuid.uuid4().hex}"
            try:
                with open(temporary, "xb") as file:
                    shutil.copyfileobj(source, file, _CHUNK_BYTES)
                    written = file.tell()
                    file.flush()
                    os.fsync(file.fileno())
                if written != size:
                    raise StorageError(
                        f"The package could not be stored: {written} of {size} bytes arrived."
                        " Please try again."
                    )
                folder = self._folder / key.partition("/")[0]
                folder.mkdir(exist_ok=True)
                with self._changing():
                    os.replace(temporary, target)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(temporary)
                raise
            for each in (folder, self._folder):
                _sync_folder(each)
        except OSError as exc:
            raise _failed("stored", exc) from exc

    def open(self, key: BlobKey) -> BinaryIO:
        """Open a blob."""
        try:
            return open(self._path(key), "rb")
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as exc:
            raise NotFoundError("There is no such package.") from exc
        except OSError as exc:
            raise _failed("read", exc) from exc

    def size(self, key: BlobKey) -> int | None:
        """Return a blob's size in bytes."""
        try:
            path = self._path(key)
            return os.stat(path).st_size if _is_file(path) else None
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as exc:
            raise _failed("read", exc) from exc

    def touch(self, key: BlobKey) -> bool:
        """Set a blob's time of modification to now."""
        path = self._path(key)
        try:
            if not _is_file(path):
                return False
            with self._changing():
                os.utime(path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as exc:
            raise _failed("kept", exc) from exc
        return True

    def list_blobs(self, prefix: str = "") -> Iterator[StoredBlob]:
        """Yield the blobs whose key begins with ``prefix``."""
        try:
            for folder, _, names in os.walk(self._folder, onerror=_raise_unless_gone):
                for name in names:
                    path = Path(folder, name)
                    key = path.relative_to(self._folder).as_posix()
                    if is_blob_key(key) and key.startswith(prefix):
                        with contextlib.suppress(FileNotFoundError):
                            found = path.stat()
                            yield StoredBlob(
                                BlobKey(key), found.st_size, found.st_mtime_ns // 1_000_000
                            )
        except OSError as exc:
            raise _failed("listed", exc) from exc

    def download_url(self, key: BlobKey, *, lifetime: timedelta) -> str:  # noqa: ARG002
        """Return the path under which this server serves the blob, at any time."""
        return URL_PREFIX + key

    def delete(self, key: BlobKey, *, unmodified_since_ms: int | None = None) -> bool:
        """Remove a blob, unless it was put or touched after a time."""
        path = self._path(key)
        try:
            if not _is_file(path):
                return True
            with self._changing():
                if (
                    unmodified_since_ms is not None
                    and os.stat(path).st_mtime_ns // 1_000_000 > unmodified_since_ms
                ):
                    return False
                os.unlink(path)
        except (FileNotFoundError, NotADirectoryError):
            return True
        except OSError as exc:
            raise _failed("deleted", exc) from exc
        return True

    def discard_leftovers(self, *, before_ms: int) -> None:
        """Remove files of puts that were cut off."""
        try:
            for path in (self._folder / _INCOMING).glob("*"):
                with contextlib.suppress(FileNotFoundError):
                    if path.stat().st_mtime_ns // 1_000_000 < before_ms:
                        path.unlink()
        except OSError as exc:
            raise _failed("deleted", exc) from exc

    def check(self) -> None:
        """Return if the folder can be written to, and its disk has room for a small file."""
        probe = self._folder / _INCOMING / f"check-{uuid.uuid4().hex}"
        try:
            probe.parent.mkdir(parents=True, exist_ok=True)
            try:
                probe.write_bytes(bytes(_PROBE_BYTES))
            finally:
                probe.unlink(missing_ok=True)
        except OSError as exc:
            raise _failed("stored", exc, which="Packages") from exc

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        """Keep other processes from putting, touching and deleting, for an instant.

        Else a blob could be touched between the look at its age and its removal.
        """
        descriptor = os.open(self._folder, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _path(self, key: BlobKey) -> str:
        """Return where a blob is; as text.

        Python interns each part of a ``Path``, and its table of interned texts doubles, to 2 MB,
        where thousands come and go, as with downloads.
        """
        if not is_blob_key(key):
            raise NotFoundError("There is no such package.")
        return f"{self._folder}/{key}"


def _is_file(path: str) -> bool:
    return stat.S_ISREG(os.stat(path).st_mode)


def _sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _raise_unless_gone(exc: OSError) -> None:
    if not isinstance(exc, FileNotFoundError):
        raise exc


def _failed(what: str, exc: OSError, *, which: str = "The package") -> StorageError:
    return StorageError(
        f"{which} could not be {what}, because the server's disk refused:"
        f" {exc.strerror or 'unknown error'}. Please tell the operator of the server."
    )
