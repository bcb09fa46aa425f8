import dataclasses
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from codepush.server.access import store_url
from codepush.server.embedded import COMMAND, SERVE, EmbeddedStore
from codepush.server.errors import ServerError, StoreStartError
from codepush.server.locks import (
    EMBEDDED,
    EXTERNAL,
    hold_data_dir,
    keep_commands_away,
)
from codepush.settings import Settings, load_settings
from tests.server.processes import Processes, connect, wait_for

COMMAND_SCRIPT = """
import sys
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from codepush.server.access import store_url
from codepush.settings import load_settings

for _ in range(int(sys.argv[1])):
    with store_url(load_settings()) as url:
        with redis.Redis.from_url(url, retry=Retry(NoBackoff(), 0)) as client:
            for _ in range(5):
                client.incr("count")
"""


@pytest.fixture
def settings(processes: Processes) -> Settings:
    return load_settings(processes.environment())


def count(settings: Settings) -> int:
    with store_url(settings) as url, connect(url) as client:
        return int(client.get("count") or 0)


def test_redis_url_is_used_and_nothing_is_started(settings: Settings) -> None:
    settings = dataclasses.replace(settings, redis_url="redis://example.com/3")
    with store_url(settings) as url:
        assert url == "redis://example.com/3"
    assert not list(settings.data_dir.iterdir())


def test_a_store_is_started_for_the_block_and_keeps_what_it_was_given(
    settings: Settings, processes: Processes
) -> None:
    with store_url(settings) as url, connect(url) as client:
        client.incr("count")
        assert len(processes.alive()) == 1
    assert not processes.alive()
    assert count(settings) == 1


def test_a_store_stops_also_when_the_command_fails(
    settings: Settings, processes: Processes
) -> None:
    with pytest.raises(KeyboardInterrupt), store_url(settings):
        raise KeyboardInterrupt
    assert not processes.alive()


def test_the_last_of_several_commands_stops_the_store(
    settings: Settings, processes: Processes
) -> None:
    first, second = store_url(settings), store_url(settings)
    url = first.__enter__()
    assert second.__enter__() == url
    first.__exit__(None, None, None)
    with connect(url) as client:
        assert client.incr("count") == 1
        pid = client.info()["process_id"]
    second.__exit__(None, None, None)
    os.waitpid(pid, 0)
    assert not processes.alive()
    assert count(settings) == 1


def test_a_store_that_a_killed_server_left_is_used_and_left_alone(
    settings: Settings, data_dir: Path
) -> None:
    store = EmbeddedStore(data_dir)
    store.start(SERVE)
    with store_url(settings) as url, connect(url) as client:
        assert client.info()["process_id"] == store.pid
    assert store.poll() is None
    store.stop()


def test_a_store_that_a_killed_command_left_is_used_and_then_stopped(
    settings: Settings, data_dir: Path, processes: Processes
) -> None:
    store = EmbeddedStore(data_dir)
    store.start(COMMAND)
    with store_url(settings) as url, connect(url) as client:
        assert client.info()["process_id"] == store.pid
    wait_for(lambda: store.poll() is not None, "the store has stopped")
    assert not processes.alive()


def test_a_server_with_a_store_elsewhere_is_pointed_out(settings: Settings, data_dir: Path) -> None:
    lock = hold_data_dir(data_dir, store=EXTERNAL)
    with pytest.raises(ServerError, match="set REDIS_URL to the same value"), store_url(settings):
        pass
    lock.release()


def test_a_command_waits_for_a_server_that_is_starting(settings: Settings, data_dir: Path) -> None:
    lock = hold_data_dir(data_dir, store=EMBEDDED)
    counted: list[int] = []
    command = threading.Thread(target=lambda: counted.append(count(settings)))
    command.start()
    time.sleep(0.2)
    # The waiting command must not make the server wait in turn.
    commands = keep_commands_away(data_dir, timeout_s=1.0, give_up=lambda: False)
    store = EmbeddedStore(data_dir)
    store.start(SERVE)
    assert not counted
    commands.release()
    command.join(10)
    assert counted == [0]
    store.stop()
    lock.release()


def test_a_command_whose_store_cannot_start_says_why_and_leaves_no_lock(
    settings: Settings, data_dir: Path
) -> None:
    (data_dir / "store").write_text("not a folder")
    for _ in range(2):
        with pytest.raises(StoreStartError, match="cannot be started"), store_url(settings):
            pass


def test_many_commands_at_once_lose_nothing_and_leave_nothing(
    settings: Settings, processes: Processes
) -> None:
    commands = [processes.python("-c", COMMAND_SCRIPT, "4") for _ in range(6)]
    for command in commands:
        assert command.wait(30) == 0, command.communicate()
    assert count(settings) == 6 * 4 * 5
    assert not processes.alive()


def test_commands_work_while_a_server_starts_runs_and_stops(
    settings: Settings, processes: Processes
) -> None:
    commands = [processes.python("-c", COMMAND_SCRIPT, "40") for _ in range(2)]
    for _ in range(2):
        server = processes.serve().wait_until_ready()
        assert server.stop() == 0
    for command in commands:
        assert command.wait(60) == 0, command.communicate()
    assert count(settings) == 2 * 40 * 5


def test_a_command_that_is_killed_does_not_block_the_next(
    settings: Settings, processes: Processes
) -> None:
    script = COMMAND_SCRIPT.replace("        with redis", "        input()\n        with redis")
    command = processes.python("-c", script.replace("input()", "import time; time.sleep(60)"), "1")
    wait_for(lambda: len(processes.alive()) == 2, "the command and its store")
    time.sleep(0.1)
    command.send_signal(signal.SIGKILL)
    command.wait()
    assert count(settings) == 0
    assert not processes.alive()
