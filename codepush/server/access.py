"""How a command reaches the store: the server's own, or one started for the command's time.

A command shares ``commands.lock`` while it uses an embedded store. The last one out stops a store
that commands started, and ``codepush serve`` takes the lock exclusively before it starts or stops
one. So no store ends under a command, and two never start on one folder.
"""

import contextlib
import logging
import time
from collections.abc import Iterator
from pathlib import Path

from codepush.server.embedded import COMMAND, EmbeddedStore
from codepush.server.errors import DataDirInUseError, ServerError, StoreStartError
from codepush.server.locks import (
    COMMANDS_LOCK,
    EXTERNAL,
    SERVE_LOCK,
    FileLock,
    is_held,
    open_data_dir,
    read_note,
)
from codepush.server.sockets import Answer, ask
from codepush.settings import Settings

log = logging.getLogger("codepush.server")

_PAUSE_S = 0.05
_MENTION_AFTER_S = 3.0
_PATIENCE_S = 60.0
"""A server may be starting, stopping, or restarting a store that was killed."""


@contextlib.contextmanager
def store_url(settings: Settings) -> Iterator[str]:
    """Yield the URL of the store that the settings mean, running for as long as the block.

    That is REDIS_URL; else the store of the server that runs on DATA_DIR; else one started here.

    Raises:
        ServerError: No store can be had; the message says why.
    """
    if settings.redis_url:
        yield settings.redis_url
        return
    data_dir = open_data_dir(settings.data_dir)
    commands = FileLock(data_dir / COMMANDS_LOCK)
    store = EmbeddedStore(data_dir)
    _enter(data_dir, store, commands)
    try:
        yield store.url
    finally:
        _leave(store, commands)


def _enter(data_dir: Path, store: EmbeddedStore, commands: FileLock) -> None:
    """Return with a shared hold on ``commands`` and a store that answers."""
    mention = time.monotonic() + _MENTION_AFTER_S
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        if time.monotonic() > mention:
            log.warning("waiting for the store in %s", data_dir)
            mention = deadline
        if not commands.acquire(shared=True, timeout_s=_PAUSE_S):
            continue  # a server is starting or stopping its store
        ready = False
        try:
            ready = _find_or_start(data_dir, store)
        finally:
            # Not kept while waiting: a server that starts waits for it.
            if not ready:
                commands.release()
        if ready:
            return
        if ask(store.socket_path) is Answer.LOADING:
            deadline = time.monotonic() + _PATIENCE_S
        time.sleep(_PAUSE_S)
    raise DataDirInUseError(
        f"The store in DATA_DIR {data_dir} does not answer, though its lock is held; if codepush"
        " serve is not starting or stopping there, end the valkey-server process that is left."
    )


def _find_or_start(data_dir: Path, store: EmbeddedStore) -> bool:
    if ask(store.socket_path) is Answer.READY:
        return True
    if is_held(data_dir / SERVE_LOCK):
        if read_note(data_dir / SERVE_LOCK).get("store") == EXTERNAL:
            raise ServerError(
                f"The server on DATA_DIR {data_dir} keeps its records elsewhere; set REDIS_URL to"
                " the same value as for codepush serve."
            )
        return False  # it starts or restarts its store
    if not store.spawn(COMMAND, lock_s=0.0):
        return False  # another command is faster, or a store is still loading
    try:
        store.wait_until_ready()
    except BaseException:  # also Ctrl-C: a store that nobody waits for must not stay
        store.stop()
        raise
    return True


def _leave(store: EmbeddedStore, commands: FileLock) -> None:
    """Stop a store that commands started, unless another command still uses it."""
    try:
        # All leavers ask for the exclusive hold, so the last one gets it.
        if commands.acquire() and store.starter == COMMAND and store.is_alive():
            if store.pid is None:
                store.shut_down()
            else:
                store.stop()
    except StoreStartError as exc:
        log.warning("%s", exc)  # the command itself has done its work
    finally:
        store.let_go()
        commands.release()
