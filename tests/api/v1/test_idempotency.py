"""A request that is repeated with its Idempotency-Key is carried out once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from werkzeug.test import TestResponse

from codepush.store.connection import StoreClient
from tests.api.v1.client import SeedClient

PROMOTE = "/apps/App/deployments/Staging/promote"
REPLAYED = "Idempotency-Replayed"


@pytest.fixture
def world(seed: SeedClient) -> SeedClient:
    seed.add_app()
    return seed


def once(key: str) -> dict[str, str]:
    return {"Idempotency-Key": key}


def promote(client: SeedClient, key: str, **fields: Any) -> TestResponse:
    return client.call("POST", PROMOTE, {"to": "Production", **fields}, headers=once(key))


def test_a_repeated_release_gets_the_first_answer(world: SeedClient) -> None:
    first = world.release(headers=once("k"), description="one")
    assert REPLAYED not in first.headers
    for _ in range(3):
        again = world.release(headers=once("k"), description="one")
        assert again.headers[REPLAYED] == "true"
        assert again.get_json() == first.get_json()
    assert len(world.releases()) == 1
    actions = [each["action"] for each in world.entries()]
    assert actions.count("deployment.released") == 1


def test_a_repeat_is_answered_as_it_was_then_whatever_happened_since(world: SeedClient) -> None:
    first = world.release(headers=once("k"), rollout=10)
    world.patch("/apps/App/deployments/Staging/releases/v1", {"rollout": 100})
    world.release(b"2")
    world.delete("/apps/App/deployments/Staging/releases")
    assert world.release(headers=once("k"), rollout=10).get_json() == first.get_json()
    assert world.releases() == []


def test_a_repeated_promotion_gets_the_first_answer(world: SeedClient) -> None:
    world.release()
    first = promote(world, "k")
    again = promote(world, "k")
    assert (first.status_code, again.status_code) == (201, 201)
    assert (REPLAYED in first.headers, again.headers[REPLAYED]) == (False, "true")
    assert again.get_json() == first.get_json()
    assert len(world.releases(deployment="Production")) == 1


def test_a_key_is_for_one_request(world: SeedClient) -> None:
    world.release(headers=once("k"))
    for change in ({"rollout": 5}, {"description": "x"}, {"isMandatory": True}):
        error: Any = world.release(headers=once("k"), expect=409, **change).get_json()
        assert error["error"]["details"]["parameter"] == "Idempotency-Key"
    world.release(b"other", headers=once("k"), expect=409)
    world.release(deployment="Production", headers=once("k"), expect=409)
    assert promote(world, "k").status_code == 409
    assert [len(world.releases(deployment=d)) for d in ("Staging", "Production")] == [1, 0]


def test_a_key_belongs_to_its_user_and_app(world: SeedClient, bob: SeedClient) -> None:
    world.post("/apps/App/collaborators", {"email": bob.email})
    world.add_app("Other")
    world.release(headers=once("k"))
    world.release(app="Other", headers=once("k"))
    bob.release(b"bob", headers=once("k"))
    assert len(world.releases()) == 2


def test_a_refused_request_does_not_use_its_key_up(world: SeedClient) -> None:
    world.release(rollout=10)
    world.release(b"2", headers=once("k"), expect=409)
    world.patch("/apps/App/deployments/Staging/releases/v1", {"rollout": 100})
    assert REPLAYED not in world.release(b"2", headers=once("k")).headers


def test_a_key_is_forgotten_after_a_day(world: SeedClient, redis: StoreClient) -> None:
    world.release(headers=once("k"))
    [held] = redis.scan_iter("*:once:*")  # type: ignore[attr-defined]
    assert 86_390 < redis.ttl(held) <= 86_400  # type: ignore[attr-defined]


@pytest.mark.parametrize("key", ["", "x" * 201, "ümlaut", "a\tb", "\x7f"])
def test_a_key_of_nonsense_is_refused(world: SeedClient, key: str) -> None:
    world.release(headers=once("fine"))
    for response in (world.release(b"2", headers=once(key), expect=400), promote(world, key)):
        assert response.status_code == 400
        error: Any = response.get_json()
        assert error["error"]["details"]["parameter"] == "Idempotency-Key"
    assert len(world.releases()) == 1


@pytest.mark.parametrize("key", ["x", "~ !\"#$%&'()*+,-./:;<=>?@[]^_`{|}", "x" * 200])
def test_a_key_is_any_printable_text(world: SeedClient, key: str) -> None:
    world.release(headers=once(key))
    assert world.release(headers=once(key)).headers[REPLAYED] == "true"


@pytest.mark.parametrize("what", ["release", "promote"])
def test_sixteen_repeats_at_once_make_one_release(world: SeedClient, what: str) -> None:
    if what == "promote":
        world.release()

    def request(client: SeedClient) -> TestResponse:
        if what == "promote":
            return promote(client, "k", description="once")
        return client.release(headers=once("k"), description="once", expect=None)

    answers = at_once(world, request)
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.get_data() for answer in answers}) == 1
    assert sorted(REPLAYED in answer.headers for answer in answers) == [False] + [True] * 15
    deployment = "Production" if what == "promote" else "Staging"
    assert len(world.releases(deployment=deployment)) == 1


def at_once(world: SeedClient, request: Callable[[SeedClient], TestResponse]) -> list[TestResponse]:
    clients = [SeedClient(world.app, world.token) for _ in range(16)]
    with ThreadPoolExecutor(16) as pool:
        return list(pool.map(request, clients))
