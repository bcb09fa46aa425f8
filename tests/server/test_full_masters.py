"""A cluster with one master full: what an operation of several slots is told, is what happened."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from codepush.app import create_app
from codepush.services.backups.verification import Verification
from codepush.services.clock import system_clock
from codepush.services.vault import Vault
from codepush.settings import Settings
from codepush.store.connection import connect
from codepush.web.errors import STORE_FULL, STORE_FULL_MIDWAY
from plugins.storage_local import LocalStorage
from tests.api_client import Account, ApiClient
from tests.redis_servers import Cluster, RedisServer

PASSWORD = "correct horse battery"
TIMES = 8


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        yield cluster.start()
    finally:
        cluster.kill()


class Trial:
    """Operations over all slots, while one master takes no writes and after it does again."""

    def __init__(self, api: ApiClient, full: RedisServer) -> None:
        self.api = api
        self.full = full
        self.sentences: set[str] = set()
        full.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")

    def run(self, path: str, bodies: list[dict[str, Any]], expect: int = 201) -> dict[int, bool]:
        """Do something while the master is full.

        Returns:
            By the number of what was refused, whether it may have happened all the same.
        """
        self.full.ask("CONFIG", "SET", "maxmemory", "1mb")
        refused = {}
        for number, body in enumerate(bodies):
            answer = self.api.call("POST", f"/api/v1{path}", body)
            if answer.status_code == expect:
                continue
            assert answer.status_code == 503
            said = answer.get_json()["error"]["message"]
            assert said in {STORE_FULL, STORE_FULL_MIDWAY}
            self.sentences.add(said)
            refused[number] = said == STORE_FULL_MIDWAY
        self.full.ask("CONFIG", "SET", "maxmemory", "0")
        return refused

    def again(self, path: str, body: dict[str, Any]) -> int:
        return self.api.call("POST", f"/api/v1{path}", body).status_code


@pytest.mark.parametrize("master", range(3))
def test_what_a_full_master_refuses_is_told_as_it_is(
    cluster: Cluster, settings: Settings, tmp_path: Path, master: int
) -> None:
    full = cluster.masters[master]
    settings = replace(settings, redis_url=cluster.url, quota_address_per_hour=0)
    app = create_app(settings)
    services = app.extensions["codepush"]
    account = Account.create(services, f"owner{master}@example.com")
    trial = Trial(ApiClient(app.test_client(), account), full)

    people = [
        {
            "email": f"p{master}x{n}@example.com",
            "password": PASSWORD,
            "organization": f"O{master}{n}",
        }
        for n in range(TIMES)
    ]
    for number, may_have in trial.run("/auth/register", people).items():
        # What was not done, can be done at once: neither address nor name are held for it.
        status = trial.again("/auth/register", people[number])
        if status == 201:
            continue
        assert (status, may_have) == (409, True)
        login = {"email": people[number]["email"], "password": PASSWORD}
        assert trial.again("/auth/login", login) == 200

    def named(what: str) -> list[dict[str, Any]]:
        return [{"name": f"{what}{master}x{number}"} for number in range(TIMES)]

    for path, bodies in (("/apps", named("App")), ("/organizations", named("Own"))):
        for number, may_have in trial.run(path, bodies).items():
            assert not may_have, "its record comes last, and in one step"
            assert trial.again(path, bodies[number]) == 201
    keys = [{"friendlyName": f"key {number}"} for number in range(TIMES)]
    for number, may_have in trial.run("/auth/tokens", keys).items():
        # It is logged in another slot, after it was made.
        assert trial.again("/auth/tokens", keys[number]) in ({409, 201} if may_have else {201})

    assert STORE_FULL in trial.sentences
    client = connect(cluster.url, any_bytes=True)
    storage = LocalStorage(tmp_path / "var" / "blobs")
    looking = Verification(client, storage, system_clock, Vault(settings.secret_keys))
    assert looking.run() == []
    client.close()  # type: ignore[no-untyped-call]


def test_a_change_that_is_logged_elsewhere_is_told_as_done_in_part(
    cluster: Cluster, settings: Settings
) -> None:
    """A user's record is in one slot, what their organization logs in another."""
    settings = replace(settings, redis_url=cluster.url, quota_address_per_hour=0)
    app = create_app(settings)
    services = app.extensions["codepush"]
    told = set()
    for number in range(6):
        account = Account.create(services, f"changing{number}@example.com")
        api = ApiClient(app.test_client(), account)
        for full in cluster.masters:
            full.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")
            full.ask("CONFIG", "SET", "maxmemory", "1mb")
            name = f"{number} {full.port}"
            answer = api.call("PATCH", "/api/v1/account", {"name": name})
            full.ask("CONFIG", "SET", "maxmemory", "0")
            said = answer.get_json().get("error", {}).get("message")
            is_new = api.get("/api/v1/account")["account"]["name"] == name
            assert is_new == (said != STORE_FULL)
            told.add(said)
    assert told == {None, STORE_FULL, STORE_FULL_MIDWAY}
