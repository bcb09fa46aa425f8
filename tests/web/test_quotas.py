"""Quotas, over a real Valkey; those of several processes are in tests/server."""

import dataclasses
import json
import math
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from click.testing import CliRunner, Result
from flask import Flask
from werkzeug.test import TestResponse

from codepush.app import create_app
from codepush.cli import codepush
from codepush.domain.errors import CodePushError
from codepush.domain.permissions import Role
from codepush.services.container import Services
from codepush.settings import Settings
from codepush.store import quotas as quota_store
from codepush.store.connection import StoreClient
from codepush.web import quotas
from tests.api_client import Account, ApiClient, bundle
from tests.conftest import FakeClock
from tests.told_by_store import told

HEADERS = {
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
    "X-RateLimit-Reset",
    "RateLimit",
    "RateLimit-Policy",
}
USER = 50
ADDRESS = 6
HOUR_S = 3_600
DEAD = "redis://127.0.0.1:1/0"

Make = Callable[..., "World"]


def services_of(app: Flask) -> Services:
    found: Services = app.extensions["codepush"]
    return found


class World:
    """An app with quotas, and Alice with a client of it."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.http = app.test_client()
        self.services = services_of(app)

    def join(self, email: str, organization: str = "") -> ApiClient:
        return ApiClient(self.http, Account.create(self.services, email, organization))

    def stranger(self, token: str = "") -> ApiClient:
        return ApiClient(self.http, Account("", "", token) if token else None)

    def call(self, method: str, path: str, **options: Any) -> TestResponse:
        """Send a request without a token."""
        return self.stranger().call(method, path, **options)


@pytest.fixture
def make(settings: Settings, redis: StoreClient, clock: FakeClock) -> Make:
    """Makes an app, as another worker process would, with its own settings."""

    def make_world(**changes: Any) -> World:
        usual = {"quota_user_per_hour": USER, "quota_address_per_hour": ADDRESS}
        return World(create_app(dataclasses.replace(settings, **(usual | changes)), clock))

    return make_world


@pytest.fixture
def world(make: Make) -> World:
    return make()


@pytest.fixture
def alice(world: World) -> ApiClient:
    return world.join("alice@example.com")


def remaining(response: TestResponse) -> int:
    return int(response.headers["X-RateLimit-Remaining"])


def left_for(client: ApiClient) -> int:
    return remaining(client.call("GET", "/authenticated", expect=200))


def use_up(client: ApiClient) -> TestResponse:
    """Send requests until one is refused."""
    for _ in range(USER + 1):
        response = client.call("GET", "/authenticated")
        if response.status_code == 429:
            return response
    raise AssertionError("never refused")


def evaluations(redis: Any) -> int:
    """How many scripts the store has run."""
    stats = told(redis, "commandstats")
    return sum(int(each.get("cmdstat_evalsha", {"calls": 0})["calls"]) for each in stats)


# What is said.


def test_an_answer_says_what_is_left_in_both_spellings(alice: ApiClient) -> None:
    before = time.time()
    headers = alice.call("GET", "/authenticated", expect=200).headers
    assert headers["X-RateLimit-Limit"] == "50"
    assert headers["X-RateLimit-Remaining"] == "49"
    reset = int(headers["X-RateLimit-Reset"])
    assert before + HOUR_S - 1 <= reset <= time.time() + HOUR_S + 1
    assert headers["RateLimit-Policy"] == '"user";q=50;w=3600'
    left = re.fullmatch(r'"user";r=49;t=(\d+)', headers["RateLimit"])
    assert left
    assert HOUR_S - 5 <= int(left[1]) <= HOUR_S
    assert "Retry-After" not in headers


def test_without_a_token_it_is_the_address_s(world: World) -> None:
    headers = world.call("GET", "/apps", expect=401).headers
    assert headers["X-RateLimit-Limit"] == "6"
    assert headers["RateLimit-Policy"] == '"address";q=6;w=3600'
    assert headers["RateLimit"].startswith('"address";r=5;t=')


def test_reset_stays_put_within_the_window(alice: ApiClient) -> None:
    resets = set()
    for _ in range(5):
        resets.add(alice.call("GET", "/apps", expect=200).headers["X-RateLimit-Reset"])
        time.sleep(0.25)
    assert len(resets) == 1


def test_a_clock_that_jumps_back_makes_no_window_longer(
    alice: ApiClient, redis: StoreClient
) -> None:
    for _ in range(USER):
        alice.call("GET", "/authenticated", expect=200)
    # What ends at a time ends so much later by a clock that went back.
    (counter,) = redis.scan_iter("cp:1:quota:*")
    ends_ms = int(redis.pexpiretime(counter)) + HOUR_S * 1_000  # type: ignore[attr-defined]
    redis.pexpireat(counter, ends_ms)
    assert left_for(alice) == USER - 1
    assert left_for(alice) == USER - 2
    assert redis.ttl(counter) <= HOUR_S


def test_every_answer_to_a_user_has_the_headers(
    alice: ApiClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[int, int] = {}

    def note(response: TestResponse, status: int) -> None:
        assert response.status_code == status, response.get_data(as_text=True)
        assert set(response.headers.keys()) >= HEADERS, status
        assert response.headers["RateLimit-Policy"].startswith('"user"')
        seen[status] = remaining(response)

    body = {"name": "App", "os": "Android", "platform": "React-Native"}
    note(alice.call("GET", "/apps"), 200)
    note(alice.call("POST", "/apps", body), 201)
    note(alice.call("DELETE", "/accessKeys/First%20access%20key/"), 204)
    alice = world.join("ann@example.com")
    alice.add_app()
    note(alice.call("POST", "/apps", {"name": 1}), 400)
    note(alice.call("GET", "/apps/Other"), 404)
    note(alice.call("GET", "/nothing/here"), 404)
    note(alice.call("GET", "/api/v1/nothing"), 404)
    note(alice.call("GET", "/api/v1/apps"), 200)
    note(alice.call("POST", "/api/v1/apps", {"name": 1}), 400)
    note(alice.call("PUT", "/apps"), 405)
    note(alice.call("POST", "/apps", body), 409)
    note(alice.call("POST", "/apps", data=b"[" * 70_000), 413)
    note(alice.call("GET", "/apps//App"), 308)
    guest = world.join("bob@example.com")
    alice.call("POST", "/apps/App/collaborators/bob@example.com", expect=201)
    note(guest.call("DELETE", "/apps/App"), 403)
    note(guest.call("GET", "/auth/register"), 403)

    def fail(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(type(world.services.apps), "list_for", fail)
    note(alice.call("GET", "/apps"), 500)

    note(use_up(alice), 429)
    assert seen[429] == 0


def test_every_answer_to_a_stranger_has_the_headers(make: Make) -> None:
    world = make(quota_address_per_hour=100)
    cases = [
        ("GET", "/apps", 401),
        ("PUT", "/apps", 405),
        ("GET", "/nothing/here", 404),
        ("GET", "/api/v1/nothing", 404),
        ("GET", "/api/v1/apps", 401),
        ("PUT", "/api/v1/apps", 405),
        ("POST", "/api/v1/auth/login", 400),
        ("GET", "/v0.1/legacy/apps", 401),
        ("OPTIONS", "/apps", 401),
        ("HEAD", "/apps", 401),
        ("GET", "/auth/login", 200),
        ("POST", "/auth/login", 401),
        ("GET", "/auth/register", 403),
        ("GET", "/auth/link", 410),
    ]
    for number, (method, path, status) in enumerate(cases):
        response = world.call(method, path, expect=status)
        assert set(response.headers.keys()) >= HEADERS, path
        assert remaining(response) == 99 - number, path


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/health",
        "/updateCheck?deploymentKey=0123456789&appVersion=1.0.0",
        "/v0.1/public/codepush/update_check?deployment_key=0123456789&app_version=1.0.0",
        "/v0.1/public/codepush/nothing",
        "/reportStatus/deploy",
        "/blobs/a/b",
        "/api/v1/docs",
        "/api/v1/docs/0/docs.js",
        "/api/v1/openapi.json",
    ],
)
def test_devices_probes_and_documentation_are_not_counted(
    world: World, redis: StoreClient, path: str
) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}):
        response = world.http.get(path, headers=headers)
        assert not HEADERS & set(response.headers.keys())
    assert not list(redis.scan_iter("cp:1:quota:*"))


@pytest.mark.parametrize(
    "path", ["/healthy", "/blobsy", "/updateChecks", "/apps//x", "/api/v1/doc"]
)
def test_what_only_begins_like_them_is_counted(world: World, path: str) -> None:
    assert set(world.http.get(path).headers.keys()) >= HEADERS


def test_each_route_is_counted_unless_its_blueprint_is_not(world: World) -> None:
    uncounted = {"device", "blobs", "health", "metrics", "docs"}
    for rule in world.app.url_map.iter_rules():
        blueprint = rule.endpoint.rpartition(".")[0]
        path = re.sub(r"<[^>]+>", "x", rule.rule)
        assert quotas.is_counted(path) == (blueprint not in uncounted), rule.rule


# Who is counted.


def test_a_good_token_counts_against_its_user_only(world: World, alice: ApiClient) -> None:
    for number in range(ADDRESS + 3):
        assert left_for(alice) == USER - 1 - number
    assert remaining(world.call("GET", "/apps", expect=401)) == ADDRESS - 1


def test_an_address_that_used_up_its_quota_does_not_hinder_a_user(
    world: World, alice: ApiClient
) -> None:
    for _ in range(ADDRESS):
        world.call("GET", "/apps", expect=401)
    world.call("GET", "/apps", expect=429)
    world.stranger("wrong").call("GET", "/apps", expect=429)
    world.call("POST", "/auth/login", expect=429)
    world.call("GET", "/nothing", expect=429)
    alice.call("GET", "/apps", expect=200)


def test_a_user_who_used_up_their_quota_does_not_hinder_their_address(
    world: World, alice: ApiClient
) -> None:
    use_up(alice)
    alice.call("GET", "/nothing", expect=429)
    alice.call("PUT", "/apps", expect=429)
    assert remaining(world.call("GET", "/apps", expect=401)) == ADDRESS - 1
    world.join("bob@example.com").call("GET", "/apps", expect=200)


def test_a_wrong_token_counts_against_its_address(world: World) -> None:
    wrong = world.stranger("x" * 40)
    for number in range(ADDRESS):
        response = wrong.call("GET", "/apps", expect=401)
        assert remaining(response) == ADDRESS - 1 - number
    assert wrong.call("GET", "/apps").status_code == 429


def test_all_tokens_and_dialects_of_a_user_count_together(world: World, alice: ApiClient) -> None:
    made = alice.call("POST", "/accessKeys", {"friendlyName": "CI"}, expect=201).get_json()
    second = world.stranger(made["accessKey"]["name"])
    assert left_for(second) == USER - 2
    assert remaining(second.call("GET", "/v0.1/legacy/apps", expect=200)) == USER - 3
    assert remaining(second.call("GET", "/api/v1/nothing", expect=404)) == USER - 4


def test_clients_behind_a_trusted_proxy_are_told_apart(make: Make) -> None:
    world = make(trusted_proxies=1)

    def ask(address: str) -> int:
        headers = {"X-Forwarded-For": f"10.0.0.1, {address}"}
        return remaining(world.call("GET", "/apps", headers=headers, expect=401))

    assert [ask("192.0.2.1"), ask("192.0.2.1"), ask("192.0.2.2")] == [5, 4, 5]
    assert [ask("2001:db8::1"), ask("2001:db8::2"), ask("2001:db8:0:1::1")] == [5, 4, 5]


def test_a_forwarded_address_is_not_believed_without_a_proxy(world: World) -> None:
    for number in range(3):
        headers = {"X-Forwarded-For": f"192.0.2.{number}"}
        response = world.call("GET", "/apps", headers=headers, expect=401)
        assert remaining(response) == ADDRESS - 1 - number


# When it is used up.


def test_a_refusal_is_a_sentence_in_the_classic_dialect(world: World, alice: ApiClient) -> None:
    response = use_up(alice)
    assert response.content_type == "text/plain; charset=utf-8"
    assert re.fullmatch(
        r"You have made 50 requests in the last hour, which is the limit\."
        r" Please try again in (59|60) min\.",
        response.get_data(as_text=True),
    )
    wait_s = int(response.headers["Retry-After"])
    assert HOUR_S - 60 <= wait_s <= HOUR_S
    assert response.headers["RateLimit"] == f'"user";r=0;t={wait_s}'
    assert abs(int(response.headers["X-RateLimit-Reset"]) - time.time() - wait_s) < 2


def test_a_refusal_is_an_envelope_in_the_seed_api(world: World) -> None:
    for _ in range(ADDRESS):
        world.call("GET", "/api/v1/nothing", expect=404)
    response = world.call("GET", "/api/v1/nothing", expect=429)
    error = response.get_json()["error"]
    assert error["code"] == "TooManyRequests"
    assert "without a valid access token" in error["message"]
    assert error["details"] == {}
    assert int(response.headers["Retry-After"]) > 0


def test_a_refused_request_does_nothing(world: World, alice: ApiClient) -> None:
    use_up(alice)
    alice.call("POST", "/apps", {"name": "App"}, expect=429)
    services = world.services
    user = services.accounts.find_user("alice@example.com")
    assert not services.stores.users.noted_apps(user.id)


def test_after_the_window_counting_begins_anew(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quotas, "WINDOW", "1 second")
    world = make(quota_user_per_hour=2)
    alice = world.join("alice@example.com")
    for _ in range(3):
        first = alice.call("GET", "/authenticated", expect=200)
        assert (remaining(first), first.headers["RateLimit-Policy"]) == (1, '"user";q=2;w=1')
        assert left_for(alice) == 0
        refused = alice.call("GET", "/authenticated", expect=429)
        assert refused.headers["Retry-After"] == "1"
        assert math.ceil(time.time()) >= int(refused.headers["X-RateLimit-Reset"]) - 1
        time.sleep(1.0)


def test_a_flood_does_not_put_off_the_end_of_its_window(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quotas, "WINDOW", "2 second")
    world = make(quota_address_per_hour=1)
    ends = int(world.call("GET", "/apps", expect=401).headers["X-RateLimit-Reset"])
    refused = []
    while (answer := world.call("GET", "/apps")).status_code == 429:
        refused.append(int(answer.headers["X-RateLimit-Reset"]))
    assert len(refused) > 10
    assert max(refused) <= ends, "no refusal moved the end"


def test_a_process_remembers_only_so_many_full_windows(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quota_store, "_MOST_FULL", 3)
    world = make(quota_address_per_hour=1, trusted_proxies=1)
    for number in range(1, 9):
        for status in (401, 429, 429):
            headers = {"X-Forwarded-For": f"192.0.2.{number}"}
            world.call("GET", "/apps", headers=headers, expect=status)
    (limiter,) = world.app.extensions["limiter"]
    assert len(limiter.storage._full) == 3
    world.call("GET", "/apps", headers={"X-Forwarded-For": "192.0.2.1"}, expect=429)


def test_workers_count_together_and_remaining_never_goes_up(make: Make) -> None:
    workers = [make(), make(), make()]
    account = Account.create(workers[0].services, "alice@example.com")
    clients = [ApiClient(world.http, account) for world in workers]
    statuses = []
    left = []
    for number in range(USER + 9):
        response = clients[number % 3].call("GET", "/authenticated")
        statuses.append(response.status_code)
        left.append(remaining(response))
    assert statuses == [200] * USER + [429] * 9
    assert left == [*range(USER - 1, -1, -1), *[0] * 9]


# What it costs.


def test_a_request_costs_one_round_trip_more(alice: ApiClient, redis: StoreClient) -> None:
    left_for(alice)
    before = evaluations(redis)
    for _ in range(5):
        left_for(alice)
    assert evaluations(redis) - before == 5


def test_a_request_over_the_quota_costs_none(world: World, redis: StoreClient) -> None:
    for _ in range(ADDRESS + 1):
        world.call("GET", "/apps")
    before = evaluations(redis)
    for _ in range(20):
        world.call("GET", "/apps", expect=429)
    assert evaluations(redis) == before


def test_counters_expire_and_tell_nothing(
    world: World, alice: ApiClient, redis: StoreClient
) -> None:
    alice.call("GET", "/apps", expect=200)
    world.stranger("a-wrong-token").call("GET", "/apps", expect=401)
    found: list[str] = list(redis.scan_iter("cp:1:quota:*"))
    assert len(found) == 2
    for key in found:
        assert 0 < redis.ttl(key) <= HOUR_S  # type: ignore[attr-defined]
        assert re.match(r"cp:1:quota:LIMITER/\{[uq]:[^}]+\}/", key)
        assert "alice" not in key
        assert "a-wrong-token" not in key


def test_no_quota_means_no_counting_and_no_headers(make: Make, redis: StoreClient) -> None:
    world = make(quota_user_per_hour=0, quota_address_per_hour=0)
    for response in (
        world.call("GET", "/apps", expect=401),
        world.join("alice@example.com").call("GET", "/apps", expect=200),
    ):
        assert not HEADERS & set(response.headers.keys())
    assert not list(redis.scan_iter("cp:1:quota:*"))


# Organizations.


def test_an_organization_s_quota_is_for_each_of_its_users(make: Make) -> None:
    here, there = make(), make()
    alice = here.join("alice@example.com", "Acme")
    bob = here.join("bob@example.com", "Acme")
    carol = here.join("carol@example.com")
    assert left_for(alice) == USER - 1
    here.services.organizations.set_quota("acme", 3)
    elsewhere = ApiClient(there.http, alice.account)
    assert [left_for(alice), left_for(elsewhere), left_for(alice)] == [2, 1, 0]
    response = elsewhere.call("GET", "/authenticated", expect=429)
    assert response.headers["RateLimit-Policy"] == '"user";q=3;w=3600'
    assert left_for(bob) == 2
    assert left_for(carol) == USER - 1
    there.services.organizations.set_quota("Acme", 4)
    assert [left_for(alice), left_for(elsewhere)] == [3, 2]
    there.services.organizations.set_quota("Acme", None)
    assert left_for(alice) == USER - 2


def test_it_is_the_organization_of_the_token_that_counts(world: World) -> None:
    alice = world.join("alice@example.com")
    services = world.services
    acme = world.join("bob@example.com", "Acme").account
    assert acme
    user = services.accounts.find_user("alice@example.com")
    found = services.stores.organizations.find("Acme")
    assert found
    services.stores.organizations.set_role(found.id, user.id, Role.DEVELOPER)
    secret, _ = services.tokens.issue(user, found.id, name="there", created_by="here")
    there = world.stranger(secret)
    assert left_for(there) == USER - 1
    services.organizations.set_quota("Acme", 100)
    assert [left_for(there), left_for(alice), left_for(there)] == [99, USER - 2, 98]


def test_an_organization_may_be_without_a_quota(world: World) -> None:
    alice = world.join("alice@example.com", "Acme")
    world.services.organizations.set_quota("Acme", 0)
    response = alice.call("GET", "/apps", expect=200)
    assert not HEADERS & set(response.headers.keys())


@pytest.fixture
def run(settings: Settings, tmp_path: Path) -> Iterator[Callable[..., Result]]:
    environment = {
        "CODEPUSH_ENV": "testing",
        "REDIS_URL": settings.redis_url,
        "QUEUE_URL": settings.queue_url,
        "DATA_DIR": str(settings.data_dir),
    }

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(codepush, ["organization", *arguments], env=environment)

    yield invoke
    structlog.reset_defaults()  # commands log to the runner's standard error, which is gone


def test_operators_set_quotas_by_command(world: World, run: Callable[..., Result]) -> None:
    alice = world.join("alice@example.com", "Acme")
    bob = world.join("bob@example.com")
    assert run("set-quota", "--organization", "ACME", "--per-hour", "7").exit_code == 0
    assert left_for(alice) == 6
    assert run("set-quota", "--organization", "bob@example.com", "--per-hour", "0").exit_code == 0
    assert "RateLimit" not in bob.call("GET", "/apps", expect=200).headers
    listed = json.loads(run("list", "--json").stdout)
    assert [(row["name"], row["members"], row["quotaPerHour"]) for row in listed] == [
        ("Acme", 1, 7),
        ("bob@example.com", 1, 0),
    ]
    lines = run("list").stdout.splitlines()
    assert lines[0] == "Acme\t1 members\t7 an hour"
    assert lines[1] == "bob@example.com\t1 members\tany number\tpersonal"
    done = run("set-quota", "--organization", listed[0]["id"], "--default")
    assert done.stderr == "The quota of Acme is the usual one.\n"
    assert left_for(alice) == USER - 1


@pytest.mark.parametrize(
    "arguments",
    [(), ("--per-hour", "1", "--default"), ("--per-hour", "-1"), ("--per-hour", "many")],
)
def test_a_quota_that_makes_no_sense_is_refused(
    world: World, run: Callable[..., Result], arguments: tuple[str, ...]
) -> None:
    world.join("alice@example.com", "Acme")
    result = run("set-quota", "--organization", "Acme", *arguments)
    assert result.exit_code == 2
    assert "Usage:" in result.stderr


@pytest.mark.parametrize("name", ["Nobody", "alice@example.com", "nobody@example.com"])
def test_a_quota_for_nobody_is_refused(world: World, run: Callable[..., Result], name: str) -> None:
    world.join("alice@example.com", "Acme")
    result = run("set-quota", "--organization", name, "--per-hour", "1")
    assert isinstance(result.exception, CodePushError)
    assert str(result.exception) == f'Organization "{name}" does not exist.'


# Devices.


def ask(world: World, key: str) -> TestResponse:
    query = {"deployment_key": key, "app_version": "1.0.0"}
    return world.http.get("/v0.1/public/codepush/update_check", query_string=query)


def test_devices_have_no_quota_unless_told_so(world: World, alice: ApiClient) -> None:
    alice.add_app()
    key = alice.key()
    for _ in range(2 * USER):
        assert ask(world, key).status_code == 200


def test_a_quota_of_devices_is_for_each_deployment_key(make: Make) -> None:
    world = make(quota_device_per_minute=3)
    alice = world.join("alice@example.com")
    alice.add_app()
    alice.release(bundle())
    key, other = alice.key(), alice.key(deployment="Production")
    assert ask(world, key).status_code == 200
    old = {"deploymentKey": key, "appVersion": "1.0.0"}
    assert world.http.get("/updateCheck", query_string=old).status_code == 200
    alice.report("download", key, label="v1")
    refused = ask(world, key)
    assert refused.status_code == 429
    assert refused.content_type == "text/plain; charset=utf-8"
    assert "3 requests in the last minute" in refused.get_data(as_text=True)
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert refused.headers["Access-Control-Allow-Origin"] == "*"
    assert not HEADERS & set(refused.headers.keys())
    alice.report("download", key, label="v1", expect=429)
    assert ask(world, other).status_code == 200


# The store is away.


@pytest.fixture
def warnings(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    written: list[dict[str, Any]] = []

    class Log:
        def warning(self, event: str, **fields: Any) -> None:
            written.append({"event": event, **fields})

    monkeypatch.setattr(quota_store, "log", Log())
    return written


def test_requests_pass_while_the_quotas_store_is_away(
    make: Make, warnings: list[dict[str, Any]]
) -> None:
    world = make(
        quota_user_per_hour=1,
        quota_address_per_hour=1,
        quota_device_per_minute=1,
        quota_redis_url=DEAD,
    )
    before = quota_store.UNAVAILABLE.value
    alice = world.join("alice@example.com")
    for _ in range(3):
        response = alice.call("POST", "/accessKeys", {"friendlyName": str(time.time())})
        assert response.status_code == 201
        world.call("GET", "/apps", expect=401)
    alice.add_app()
    assert [ask(world, alice.key()).status_code for _ in range(2)] == [200, 200]
    # What is known is said, and nothing is made up.
    assert response.headers["X-RateLimit-Limit"] == "1"
    assert response.headers["RateLimit-Policy"] == '"user";q=1;w=3600'
    assert not {"X-RateLimit-Remaining", "X-RateLimit-Reset", "RateLimit"} & set(
        response.headers.keys()
    )
    assert quota_store.UNAVAILABLE.value - before == 11
    assert len(warnings) == 1
    assert "requests pass uncounted" in warnings[0]["event"]


def test_counting_goes_on_when_the_store_is_back(
    world: World,
    alice: ApiClient,
    monkeypatch: pytest.MonkeyPatch,
    warnings: list[dict[str, Any]],
) -> None:
    monkeypatch.setattr(quota_store, "_PAUSE_S", 0.2)
    assert left_for(alice) == USER - 1
    with monkeypatch.context() as patch:

        def fail(*_: object) -> None:
            raise quota_store.STORE_ERRORS[0]("away")

        (limiter,) = world.app.extensions["limiter"]
        patch.setattr(limiter.storage._scripts, "run", fail)
        assert "RateLimit" not in alice.call("GET", "/apps", expect=200).headers
    assert "RateLimit" not in alice.call("GET", "/apps", expect=200).headers  # left alone
    time.sleep(0.25)
    assert left_for(alice) == USER - 2
    assert len(warnings) == 1


def test_an_outage_of_the_whole_store_is_no_quota_s_business(
    settings: Settings, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("codepush.store.connection._RETRIES", 0)
    settings = dataclasses.replace(settings, redis_url=DEAD, quota_address_per_hour=1)
    world = World(create_app(settings, clock))
    for _ in range(3):
        world.call("GET", "/apps", expect=401)
        world.stranger("x" * 40).call("GET", "/apps", expect=503)
