"""The unix socket of an embedded store: where it is, and a few words through it.

Plain sockets, because importing redis-py would take longer than starting the store.
"""

import contextlib
import hashlib
import os
import socket
import stat
from enum import Enum
from pathlib import Path

from codepush.server.errors import StoreStartError

MAX_SOCKET_PATH_BYTES = 103
"""sun_path is 108 bytes on Linux and 104 on macOS, with its closing NUL."""
SHORT_SOCKETS = Path("/tmp")  # noqa: S108 - not $TMPDIR, which differs between two shells
_REPLY_S = 2.0


class Answer(Enum):
    """What a store's socket says to PING."""

    READY = "ready"
    LOADING = "loading"
    SILENT = "silent"


def socket_path(data_dir: Path) -> Path:
    """Return where the store of a data folder listens: in it, or where a short path is.

    The same for every process that asks, as long as the data folder is the same.
    """
    path = data_dir / "valkey.sock"
    if len(os.fsencode(path)) <= MAX_SOCKET_PATH_BYTES:
        return path
    digest = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:20]
    return SHORT_SOCKETS / f"codepush-{os.getuid()}" / f"{digest}.sock"


def make_private(folder: Path) -> None:
    """Make a folder in a place where other users may write, and check that it is our own.

    Raises:
        StoreStartError: Someone else made it, or may enter it.
    """
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise StoreStartError(
            f"{folder} is not a private folder of this user; remove it, or set DATA_DIR to a"
            " shorter path."
        )


def ask(path: Path) -> Answer:
    """Ask whoever listens on a socket whether it is ready."""
    reply = say(path, b"PING\r\n")
    if reply.startswith(b"-LOADING"):
        return Answer.LOADING
    return Answer.READY if reply else Answer.SILENT


def say(path: Path, command: bytes) -> bytes:
    """Send one inline command; return the reply, empty where nobody answers."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(_REPLY_S)
            connection.connect(str(path))
            connection.sendall(command)
            return connection.recv(256)
    except OSError:
        return b""
