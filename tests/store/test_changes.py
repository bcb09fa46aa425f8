"""The feed of changes: what it says of a store that hangs, in the log of each process."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from codepush.domain.ids import DeploymentId
from codepush.store import changes
from codepush.store.changes import ChangeFeed
from codepush.store.connection import StoreClient, connect
from tests.redis_servers import RedisServer, wait_for


class Listener:
    def __init__(self) -> None:
        self.losses = 0
        self.is_connected = False

    def connected(self, _client: StoreClient) -> None:
        self.is_connected = True

    def lost(self) -> None:
        self.losses += 1
        self.is_connected = False

    def changed(self, deployment_id: DeploymentId, version: int) -> None:
        pass

    def poll(self, client: StoreClient) -> None:
        client.ping()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    started = RedisServer(tmp_path / "redis").start()
    yield started
    started.kill()


def test_a_store_that_hangs_is_told_once_then_rarely_and_once_when_it_is_back(
    server: RedisServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "_TIMEOUT_S", 0.1)
    monkeypatch.setattr(changes, "POLL_S", 0.1)

    def told(words: str) -> int:
        return sum(words in record.getMessage() for record in caplog.records)

    assert server.process
    listener = Listener()
    feed = ChangeFeed(connect(server.url), listener)
    feed.start()
    wait_for(lambda: listener.is_connected, "a connection")
    for times in (1, 2):
        server.process.send_signal(signal.SIGSTOP)
        losses = listener.losses
        wait_for(lambda n=losses: listener.losses >= n + 4, "tries that fail")
        assert told("the store is away (Timeout") == times
        server.process.send_signal(signal.SIGCONT)
        wait_for(lambda n=times: told("the store is back, after") == n, "the good news")
    monkeypatch.setattr(changes, "_WARN_EVERY_S", 0.0)
    server.process.send_signal(signal.SIGSTOP)
    wait_for(lambda: told("the store is away") >= 5, "reminders")
    assert told("the store is back") == 2
    feed.stop()
    server.process.send_signal(signal.SIGCONT)
