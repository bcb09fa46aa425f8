"""The embedded store under a supervisor: started, kept running, stopped last."""

import logging
import time
from collections.abc import Callable
from pathlib import Path

from codepush.server.child import Backoff, log_end
from codepush.server.embedded import SERVE, EmbeddedStore
from codepush.server.errors import DataDirInUseError, StoreStartError
from codepush.server.locks import keep_commands_away
from codepush.server.sockets import Answer, ask

log = logging.getLogger("codepush.server")

STORE_PATIENCE_S = 60.0
COMMANDS_PATIENCE_S = 10.0
_LOOK_S = 0.25
_IDLE_S = 60.0


class StoreKeeper:
    """Keeps one embedded store alive for as long as a server runs."""

    def __init__(self, data_dir: Path) -> None:
        """Name the data folder, which must exist and be held by this server."""
        self._data_dir = data_dir
        self._store = EmbeddedStore(data_dir)
        self._backoff = Backoff()
        self._proven = True

    @property
    def url(self) -> str:
        """URL of the store; the same after each restart."""
        return self._store.url

    def start(self, give_up: Callable[[], bool]) -> None:
        """Start the store when no command uses another one, and wait until it answers.

        Args:
            give_up: Asked while waiting; True ends the wait early.

        Raises:
            ServerError: It cannot be started, or commands do not end.
        """
        commands = keep_commands_away(self._data_dir, give_up=give_up)
        try:
            self._backoff.started()
            self._store.start(SERVE, give_up=give_up)
        finally:
            commands.release()

    def tend(self) -> float:
        """Start the store again if it ended; return when this is to be called again."""
        if self._store.poll() is None:
            return time.monotonic() + (_IDLE_S if self._is_proven() else _LOOK_S)
        if (status := self._store.reap()) is not None:
            log_end(f"store (log: {self._store.log_path})", status, self._backoff.ended())
        if self._backoff.due_at <= time.monotonic():
            self._spawn()
            return time.monotonic() + _LOOK_S
        return self._backoff.due_at

    def stop(self, hurry_wished: Callable[[], bool]) -> None:
        """Stop the store once no command uses it, or soon after."""
        if self._store.pid is None:
            return
        try:
            commands = keep_commands_away(
                self._data_dir, timeout_s=COMMANDS_PATIENCE_S, give_up=hurry_wished
            )
        except DataDirInUseError:
            log.warning("stopping the store under a codepush command")
            self._store.stop(STORE_PATIENCE_S)
        else:
            log.info("stopping the store")
            self._store.stop(STORE_PATIENCE_S)
            commands.release()

    def _spawn(self) -> None:
        # Nobody waits for its answer here: web and worker connect again by themselves.
        self._backoff.started()
        self._proven = False
        try:
            if self._store.spawn(SERVE, lock_s=1.0):
                return
            log.error("the store's lock is still held")
        except StoreStartError as exc:
            log.error("%s", exc)  # noqa: TRY400 - the sentence says it all
        self._backoff.ended()

    def _is_proven(self) -> bool:
        if not self._proven and ask(self._store.socket_path) is Answer.READY:
            self._proven = True
            self._backoff.clear()
        return self._proven
