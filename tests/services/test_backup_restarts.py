"""Backups of a store that is killed and restarted while it is looked through."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from codepush.services.backups.backup import make_backup
from codepush.services.backups.ledger import Ledger
from codepush.services.backups.reading import BackupFile
from codepush.services.clock import system_clock
from codepush.store import keys
from codepush.store.connection import StoreClient, connect
from codepush.store.scanning import StoreMovedError, every_key
from plugins.storage_local import LocalStorage
from tests.redis_servers import RedisServer

GROUPS, FIELDS = 4_000, 4_000
Spoil = Callable[[str, int], list[int]]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path / "store", "--appendonly", "yes")
    try:
        yield server.start()
    finally:
        server.kill()


@pytest.fixture
def store(server: RedisServer) -> Any:
    """A store with many groups, and a large one."""
    client: Any = connect(server.url, any_bytes=True)
    pipe = client.pipeline(transaction=False)
    for number in range(GROUPS):
        pipe.set(f"{keys.ROOT}:{{odd{number}}}:text", number)
        pipe.hset(f"{keys.ROOT}:{{odd}}:hash", f"field{number}", number)
    pipe.execute()
    return client


@pytest.fixture
def restarting(
    store: Any, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str, int], list[int]]:
    """Restart the store at the second and third steps of a command, or at more of them."""

    def prepare(command: str, times: int = 2) -> list[int]:
        real, steps = getattr(store, command), [0]

        def step(*args: Any, **kwargs: Any) -> Any:
            steps[0] += 1
            if 1 < steps[0] <= 1 + times:
                server.kill()
                server.start()
            return real(*args, **kwargs)

        monkeypatch.setattr(store, command, step)
        return steps

    return prepare


def held(path: Path) -> tuple[int, int]:
    """Return how many groups and how many fields of the large one a backup holds."""
    file = BackupFile(path)
    file.check()
    entries = list(file.entries(lambda _count: None))
    fields = {field for entry in entries if entry.type == "hash" for field in entry.items[::2]}
    return len({entry.key for entry in entries if entry.type == "string"}), len(fields)


@pytest.mark.parametrize("command", ["scan", "hscan"])
def test_a_store_that_restarts_on_the_way_costs_no_record(
    command: str, store: StoreClient, restarting: Spoil, tmp_path: Path
) -> None:
    steps = restarting(command, 2)
    storage = LocalStorage(tmp_path / "blobs")
    make_backup(store, storage, system_clock, tmp_path / "b", with_blobs=False)
    assert steps[0] > 3
    assert held(tmp_path / "b") == (GROUPS, FIELDS)


def test_a_store_that_restarts_for_ever_is_told(store: StoreClient, restarting: Spoil) -> None:
    restarting("scan", 1_000)
    with pytest.raises(StoreMovedError, match="again and again"):
        set(every_key(store, f"{keys.ROOT}:*"))


def test_looking_at_a_group_does_not_look_at_all_others() -> None:
    ledger = Ledger()
    plan = ledger._tables.execute("EXPLAIN QUERY PLAN SELECT key FROM keys WHERE tag = x''")
    assert all("SEARCH" in row[3] for row in plan.fetchall())
    ledger.close()
