"""Locks on a data folder.

All are ``flock`` locks: the kernel drops one when the last process that holds its descriptor
ends, however it ends, so a lock can be stale in no way. The text inside a lock file is for
people and hints only. Lock files are never removed, because two processes could then lock two
files of one name.

    serve.lock     held by the process that runs ``codepush serve``
    store.lock     held by the Valkey process itself, which inherits the descriptor
    commands.lock  shared by commands that use the store; exclusive while a server starts or
                   stops it, so that neither pulls the store from under the other
    web.lock       shared by the supervisor and its web processes: tells a new server whether
                   those of a killed one are still finishing requests
"""

import fcntl
import json
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

from codepush.server.errors import DataDirInUseError, ServerError

log = logging.getLogger("codepush.server")

SERVE_LOCK = "serve.lock"
STORE_LOCK = "store.lock"
COMMANDS_LOCK = "commands.lock"
WEB_LOCK = "web.lock"

EMBEDDED = "embedded"
EXTERNAL = "external"

_PAUSE_S = 0.02
_PROBE_S = 0.5
"""Patience with a lock that a mere look (``is_held``) may hold for an instant."""
_COMMANDS_S = 60.0
_MENTION_AFTER_S = 2.0


class FileLock:
    """One lock file, and this process's hold on it."""

    def __init__(self, path: Path) -> None:
        """Name the file; nothing is opened yet."""
        self.path = path
        self._fd: int | None = None

    def acquire(
        self,
        *,
        shared: bool = False,
        timeout_s: float = 0.0,
        give_up: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Take the lock, or change a shared hold into an exclusive one and back.

        A change is not atomic: a hold is lost first, also where the answer is False.

        Args:
            shared: Whether others may hold it at the same time.
            timeout_s: How long to try; at least once.
            give_up: Asked between two tries; True ends them early.

        Returns:
            Whether the lock is held now.

        Raises:
            ServerError: This user may not open the file, or it is none.
        """
        if self._fd is None:
            try:
                self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except OSError as exc:
                raise ServerError(
                    f"{self.path} cannot be opened ({exc.strerror}). DATA_DIR and everything in it"
                    " must belong to the user who runs codepush: run it as that user, or give them"
                    " what another one made there."
                ) from exc
        operation = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                fcntl.flock(self._fd, operation)
            except BlockingIOError:
                if time.monotonic() >= deadline or give_up():
                    self.release()
                    return False
                time.sleep(_PAUSE_S)
            else:
                return True

    def release(self) -> None:
        """Close this process's descriptor; one that a child inherited goes on holding."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def fileno(self) -> int:
        """Return the descriptor to pass to a child."""
        if self._fd is None:
            raise ValueError(f"{self.path} is not locked")
        return self._fd

    def write(self, note: dict[str, str | int]) -> None:
        """Leave a note for those who find the lock held."""
        text = json.dumps(note).encode()
        os.ftruncate(self.fileno(), 0)
        os.pwrite(self.fileno(), text, 0)


def is_held(path: Path) -> bool:
    """Tell whether some process holds a lock exclusively, without disturbing its holder."""
    lock = FileLock(path)
    free = lock.acquire(shared=True)
    lock.release()
    return not free


def read_note(path: Path) -> dict[str, object]:
    """Return the note in a lock file; empty where there is none, or none that can be read."""
    try:
        note = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}


def open_data_dir(data_dir: Path) -> Path:
    """Make the data folder where it is missing, and return its absolute path.

    Raises:
        ServerError: It cannot be made or written.
    """
    path = data_dir.resolve()
    try:
        # The store holds hashes of secrets: a folder made here is for this user only.
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = FileLock(path / COMMANDS_LOCK)
        lock.acquire(shared=True)
        lock.release()
    except OSError as exc:
        raise ServerError(
            f"DATA_DIR {path} cannot be used ({exc.strerror}); make it writable for this user, or"
            " set DATA_DIR to another folder."
        ) from exc
    return path


def hold_data_dir(data_dir: Path, *, store: str) -> FileLock:
    """Take the data folder for this process, which is about to serve it.

    Args:
        data_dir: An existing folder.
        store: ``EMBEDDED`` or ``EXTERNAL``: where this server keeps its records.

    Raises:
        DataDirInUseError: Another process serves it.
    """
    lock = FileLock(data_dir / SERVE_LOCK)
    if not lock.acquire(timeout_s=_PROBE_S):
        pid = read_note(lock.path).get("pid", "unknown")
        raise DataDirInUseError(
            f"DATA_DIR {data_dir} is in use by another codepush serve (process {pid}); stop that"
            " one first, or set DATA_DIR to another folder."
        )
    lock.write({"pid": os.getpid(), "store": store})
    return lock


def keep_commands_away(
    data_dir: Path, *, timeout_s: float = _COMMANDS_S, give_up: Callable[[], bool]
) -> FileLock:
    """Wait until no command uses the store, and keep new ones waiting until the release.

    Args:
        data_dir: An existing folder.
        timeout_s: Patience with commands at work.
        give_up: Asked while waiting; True ends it early.

    Raises:
        DataDirInUseError: Commands were still at work in the end.
    """
    lock = FileLock(data_dir / COMMANDS_LOCK)
    if lock.acquire(timeout_s=min(timeout_s, _MENTION_AFTER_S), give_up=give_up):
        return lock
    if not give_up():
        log.warning("waiting for a codepush command that uses %s", data_dir)
    if lock.acquire(timeout_s=timeout_s - _MENTION_AFTER_S, give_up=give_up):
        return lock
    raise DataDirInUseError(
        f"A codepush command is still using DATA_DIR {data_dir}; wait for it to end, then try"
        " again."
    )
