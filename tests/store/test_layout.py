"""The version of the data, and how it moves up."""

import pytest

from codepush.domain.errors import ConflictError
from codepush.server.errors import ServerError
from codepush.server.start import check_layout
from codepush.store import keys, layout
from codepush.store.connection import StoreClient
from codepush.store.layout import State


def test_an_empty_store_gets_the_servers_version(redis: StoreClient) -> None:
    assert layout.look(redis) is State.FIT
    assert layout.version_of(redis) == layout.VERSION
    assert layout.look(redis, layout.VERSION + 1) is State.OLDER
    assert layout.look(redis, layout.VERSION - 1) is State.NEWER


def test_data_moves_up_step_by_step(redis: StoreClient) -> None:
    layout.look(redis, 1)
    done: list[str] = []
    steps = {
        2: lambda client: done.append(f"to 2 from {layout.version_of(client)}"),
        3: lambda client: done.append(f"to 3 from {layout.version_of(client)}"),
    }
    reached: list[int] = []
    layout.migrate(redis, reached.append, steps=steps, version=3)
    layout.migrate(redis, reached.append, steps=steps, version=3)
    assert done == ["to 2 from 1", "to 3 from 2"]
    assert reached == [2, 3]
    assert layout.look(redis, 3) is State.FIT


def test_a_step_that_failed_is_taken_again(redis: StoreClient) -> None:
    layout.look(redis, 1)

    def fail(_client: StoreClient) -> None:
        raise OSError

    with pytest.raises(OSError):
        layout.migrate(redis, lambda _: None, steps={2: fail}, version=2)
    assert layout.look(redis, 2) is State.OLDER


def test_layout_2_has_no_days_of_devices(redis: StoreClient) -> None:
    layout.look(redis, 1)
    redis.zadd("cp:1:{a:app}:d:dep:seen", {"device": 20_000})
    redis.hset("cp:1:{a:app}:d:dep:devices", "device", "v1|20000||,1,||")
    layout.migrate(redis, lambda _: None, version=2)
    assert list(redis.scan_iter("*:seen")) == []
    assert redis.hget("cp:1:{a:app}:d:dep:devices", "device") == "v1|20000||,1,||"


def test_a_version_that_is_no_number_is_told_in_a_sentence(redis: StoreClient) -> None:
    redis.hset(keys.LAYOUT, "version", "abc")
    with pytest.raises(ConflictError, match=r"version in cp:\{layout\} is 'abc' and no number"):
        layout.look(redis)
    with pytest.raises(ServerError, match="is 'abc' and no number"):
        check_layout(redis)


def test_every_version_has_its_step() -> None:
    assert set(layout.STEPS) == set(range(2, layout.VERSION + 1))


def test_a_store_being_restored_is_nobodys(redis: StoreClient) -> None:
    layout.begin_restore(redis, "digest")
    assert layout.look(redis) is State.RESTORING
    assert layout.restoring(redis) == "digest"
    layout.end_restore(redis, layout.VERSION)
    assert layout.look(redis) is State.FIT


def test_keys_that_are_known_without_looking_are_those_of_the_table() -> None:
    rows = [line.split("``")[1] for line in (keys.__doc__ or "").splitlines() if line[:2] == "``"]
    table: dict[str, set[str]] = {"a": set(), "o": set(), "u": set()}
    for row in rows:
        place = keys.place(f"{keys.ROOT}:{row}")
        if place and place.kind in table and place.name == place.name.lower():
            table[place.kind].add(place.name)
    assert {kind: set(names) for kind, names in keys.OF_TAG.items()} == table
