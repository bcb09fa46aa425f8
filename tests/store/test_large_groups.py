"""Groups that are read in pieces: what that costs the store, and what comes in between."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from codepush.services.backups.backup import make_backup
from codepush.services.clock import system_clock
from codepush.store import keys
from codepush.store.connection import StoreClient, connect, server_of
from codepush.store.groups import GroupReader
from codepush.store.large_groups import GroupChangedError, as_of_now
from codepush.store.scanning import StoreMovedError
from codepush.store.scripts import Scripts
from plugins.storage_local import LocalStorage

TAG, FIELDS = "odd", 4_000
KEY = f"{keys.ROOT}:{{{TAG}}}:hash"
Limit = Callable[[int], None]


@pytest.fixture
def store(redis: StoreClient, redis_url: str) -> Any:
    """A store with one group, of about 2 MB."""
    client: Any = connect(redis_url, any_bytes=True)
    pipe = client.pipeline(transaction=False)
    for number in range(FIELDS):
        pipe.hset(KEY, f"field{number}", "x" * 400)
    pipe.execute()
    return client


@pytest.fixture
def limit(store: Any) -> Iterator[Limit]:
    """Leave the server that holds the group so many bytes."""
    server: Any = server_of(store, KEY)

    def leave(count: int) -> None:
        server.config_set("maxmemory", server.info("memory")["used_memory"] + count)

    yield leave
    server.config_set("maxmemory", 0)


def fields_of(entries: Any) -> list[str]:
    return sorted(field for entry in entries for field in entry.items[::2])


ALL = sorted(f"field{number}" for number in range(FIELDS))


def copies(store: Any) -> list[str]:
    return list(store.scan_iter("*:copy:*"))


def test_a_group_is_copied_where_there_is_room_for_a_little_while(store: Any, limit: Limit) -> None:
    limit(20_000_000)
    entries = GroupReader(store).read(TAG, [KEY])
    first = next(entries)
    (copy,) = copies(store)
    assert 0 < store.ttl(copy) <= 120
    store.hset(KEY, "later", "")
    assert fields_of([first, *entries]) == ALL
    assert copies(store) == []


@pytest.mark.parametrize("left", [3_000_000, -100_000])
def test_a_group_is_read_without_a_copy_where_there_is_no_room(
    left: int, store: Any, limit: Limit
) -> None:
    """With a store that is full already, too."""
    limit(left)
    found = []
    for entry in GroupReader(store).read(TAG, [KEY]):
        assert copies(store) == []
        found.append(entry)
    assert len(found) > 1
    assert fields_of(found) == ALL


def test_a_group_that_changes_while_it_is_read_without_a_copy_is_read_again(
    store: Any, limit: Limit, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit(3_000_000)
    entries = GroupReader(store).read(TAG, [KEY])
    next(entries)
    store.hset(KEY, "field0", "x")
    with pytest.raises(GroupChangedError, match=r"no room .*maxmemory"):
        list(entries)
    hscan = store.hscan
    changes = iter(range(3))

    def changing(*args: Any, **kwargs: Any) -> Any:
        if next(changes, None) is not None:
            store.hincrby(KEY, "changes", 1)
        return hscan(*args, **kwargs)

    monkeypatch.setattr(store, "hscan", changing)
    storage = LocalStorage(tmp_path / "blobs")
    make_backup(store, storage, system_clock, tmp_path / "b", with_blobs=False)
    assert store.hget(KEY, "changes") == "3"
    assert next(changes, None) is None


def test_a_group_without_room_that_never_stands_still_is_refused(
    store: Any, limit: Limit, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit(3_000_000)
    hscan = store.hscan

    def changing(*args: Any, **kwargs: Any) -> Any:
        store.hincrby(KEY, "changes", 1)
        return hscan(*args, **kwargs)

    monkeypatch.setattr(store, "hscan", changing)
    storage = LocalStorage(tmp_path / "blobs")
    with pytest.raises(GroupChangedError, match="or try again when fewer devices report"):
        make_backup(store, storage, system_clock, tmp_path / "b", with_blobs=False)
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("by", ["store", "client"])
def test_a_watch_whose_connection_broke_is_no_proof(by: str, store: Any, limit: Limit) -> None:
    limit(3_000_000)
    large = as_of_now(store, Scripts(store), TAG, [KEY], "b")
    entries = large.entries()
    next(entries)
    watch: Any = large._keeper
    if by == "store":
        server_of(store, KEY).client_kill_filter(_id=watch._id)
    else:
        watch._pipe.connection.disconnect()
    with pytest.raises(StoreMovedError):
        list(entries)


def test_copies_that_went_away_are_no_end_of_the_group(store: Any) -> None:
    entries = GroupReader(store).read(TAG, [KEY])
    next(entries)
    store.delete(*copies(store))
    with pytest.raises(GroupChangedError, match="noeviction"):
        list(entries)


def test_copies_are_renewed_while_they_are_read(store: Any) -> None:
    large = as_of_now(store, Scripts(store), TAG, [KEY], "b")
    entries = large.entries()
    next(entries)
    (copy,) = copies(store)
    store.expire(copy, 60)
    keeper: Any = large._keeper
    keeper._renewed_at -= 31
    next(entries)
    assert store.ttl(copy) > 60
    assert len(list(entries)) > 1


def test_a_copy_whose_answer_was_lost_leaves_none_behind(
    store: Any, limit: Limit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second run may find no room, because of the copies of the first."""
    reader = GroupReader(store)
    run = reader._scripts.run
    limit(5_000_000)

    def twice(name: str, *args: Any) -> Any:
        if name == "copy_group" and args[1] != [0]:
            run(name, *args)
            assert copies(store)
        return run(name, *args)

    monkeypatch.setattr(reader._scripts, "run", twice)
    assert fields_of(reader.read(TAG, [KEY])) == ALL
    assert copies(store) == []
