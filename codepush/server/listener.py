"""The listening socket of the web server, owned by the supervisor.

While the supervisor holds it, no other program can take the port, and requests that arrive while
the web server restarts wait instead of being refused.
"""

import errno
import logging
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

from codepush.server.errors import ListenError
from codepush.server.locks import WEB_LOCK, FileLock
from codepush.settings import Settings

log = logging.getLogger("codepush.server")

BACKLOG = 2048
_FORMER_WEB_S = 45.0
"""More than gunicorn's graceful timeout: then the web processes of a killed server are gone."""
_PAUSE_S = 0.05
_FIRST_FD = 3


class Listener:
    """A bound, listening socket, and the lock that goes with it to the web processes."""

    def __init__(self, listening: socket.socket, web_lock: FileLock) -> None:
        """Keep both; see ``listen``."""
        self._socket = listening
        self._web_lock = web_lock

    @property
    def fds(self) -> tuple[int, int]:
        """Descriptors that a web process inherits; the first is the socket."""
        return self._socket.fileno(), self._web_lock.fileno()

    @property
    def address(self) -> tuple[str, int]:
        """Host and port where a client on this machine reaches it."""
        host, port = self._socket.getsockname()[:2]
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port  # noqa: S104

    def close(self) -> None:
        """Close this process's part; web processes keep theirs until they end."""
        self._socket.close()
        self._web_lock.release()


def listen(
    settings: Settings, data_dir: Path, *, give_up: Callable[[], bool] = lambda: False
) -> Listener:
    """Listen on the host and port of the settings.

    A socket that systemd passed on is taken as it is. Waits for the web processes of a server that
    was killed on this data folder, which may still be finishing requests on the port.

    Args:
        settings: Their host and port are used, unless a socket was passed on.
        data_dir: An existing folder.
        give_up: Asked while waiting; True ends it early.

    Raises:
        ListenError: The port is taken, or the address cannot be used.
    """
    web_lock = FileLock(data_dir / WEB_LOCK)
    passed = _passed_on()
    deadline = time.monotonic() + _FORMER_WEB_S
    mentioned = False
    while True:
        # Exclusive: only to learn whether web processes of a former server share it.
        alone = web_lock.acquire()
        if web_lock.acquire(shared=True):
            try:
                return Listener(passed or bind(settings.host, settings.port), web_lock)
            except OSError as exc:
                web_lock.release()
                in_use = exc.errno == errno.EADDRINUSE
                if not in_use or alone or give_up() or time.monotonic() > deadline:
                    raise ListenError(sentence("PORT", settings.port, settings.host, exc)) from exc
        if not mentioned:
            log.warning("waiting for the web processes of a killed server to end")
            mentioned = True
        time.sleep(_PAUSE_S)


def _passed_on() -> socket.socket | None:
    """Return the socket that a service manager listens on for us, as sd_listen_fds(3) has it.

    It keeps the port open between two servers, so what arrives meanwhile waits for the next one.
    """
    count, pid = os.environ.pop("LISTEN_FDS", ""), os.environ.pop("LISTEN_PID", "")
    os.environ.pop("LISTEN_FDNAMES", None)
    if count != "1" or pid != str(os.getpid()):
        return None
    passed = socket.socket(fileno=_FIRST_FD)
    passed.set_inheritable(False)
    return passed


def bind(host: str, port: int) -> socket.socket:
    """Return a listening socket; raises OSError."""
    # As gunicorn does: the family by the look of the host, and no other option.
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening


def sentence(setting: str, port: int, host: str, exc: OSError) -> str:
    """Return why nobody can listen on the port of a setting, and what to do."""
    if exc.errno == errno.EADDRINUSE:
        return (
            f"{setting} {port} is already in use on {host}; stop the program that listens there, or"
            f" set {setting} to a free one."
        )
    if exc.errno == errno.EACCES:
        return f"{setting} {port} is not allowed for this user; set {setting} to 1024 or above."
    return (
        f"HOST {host} is not an address of this machine ({exc.strerror}); set HOST to 127.0.0.1, or"
        " to 0.0.0.0 for all addresses."
    )
