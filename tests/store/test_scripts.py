"""Scripts and stores that forget them."""

import pytest
from redis import ConnectionError as ConnectionLost

from codepush.store.connection import StoreClient
from codepush.store.scripts import Scripts


def test_a_store_that_forgets_scripts_is_told_them_again(redis: StoreClient) -> None:
    scripts = Scripts(redis)
    for _ in range(2):
        assert scripts.run("dump_group", ["cp:1:{odd}:text"], [10]) == []
        redis.execute_command("SCRIPT", "FLUSH")  # type: ignore[attr-defined]


def test_one_that_is_replaced_in_between_was_away(
    redis: StoreClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripts = Scripts(redis)
    load = redis.script_load  # type: ignore[attr-defined]

    def load_in_vain(source: str) -> str:
        digest = str(load(source))
        redis.execute_command("SCRIPT", "FLUSH")  # type: ignore[attr-defined]
        return digest

    redis.execute_command("SCRIPT", "FLUSH")  # type: ignore[attr-defined]
    monkeypatch.setattr(redis, "script_load", load_in_vain)
    with pytest.raises(ConnectionLost, match="restarted"):
        scripts.run("dump_group", ["cp:1:{odd}:text"], [10])
