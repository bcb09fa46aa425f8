"""Webhooks as their owners manage them. Deliveries themselves: tests/services, tests/server."""

from dataclasses import replace
from datetime import timedelta

import pytest

from codepush.app import create_app
from codepush.services.container import Services
from codepush.settings import Settings
from codepush.store.bell import Bell
from codepush.store.connection import StoreClient
from tests.api.v1.client import SeedClient
from tests.conftest import FakeClock
from tests.told_by_store import told

URL = "https://example.com/hook?key=1"
SPAN = {"since": "2025-06-15T00:00:00Z", "until": "2025-06-16T00:00:00+00:00"}


def make(seed: SeedClient, **fields: object) -> str:
    made = seed.post("/webhooks", {"url": URL, **fields})
    return f"/webhooks/{made['webhook']['id']}"


def events(seed: SeedClient, path: str) -> list[str]:
    """Return what was queued for a webhook, oldest first."""
    return [each["event"] for each in seed.get(f"{path}/deliveries")["deliveries"]][::-1]


def test_a_webhook_is_made_read_changed_and_deleted(seed: SeedClient) -> None:
    seed.add_app("App")
    wanted = {"events": ["app.deleted"], "app": "app", "deployment": "Staging"}
    made = seed.post("/webhooks", {"url": URL, "description": "CI", **wanted})
    assert made["secret"].startswith("whsec_")
    webhook = made["webhook"]
    assert webhook | {"url": URL, "app": "App", "isEnabled": True} == webhook
    path = f"/webhooks/{webhook['id']}"
    assert seed.get(path)["webhook"] == webhook
    assert seed.get("/webhooks")["webhooks"] == [webhook]
    seed.patch("/apps/App", {"name": "Renamed"})
    changed = seed.patch(path, {"events": [], "deployment": "", "description": ""})["webhook"]
    assert (changed["events"], changed["deployment"], changed["app"]) == ([], None, "Renamed")
    assert seed.patch(path, {"app": ""})["webhook"]["app"] is None
    seed.delete(path)
    assert seed.get("/webhooks")["webhooks"] == []
    seed.refused(404, "GET", path)


def test_secrets_are_shown_once_and_kept_encrypted(seed: SeedClient, redis: StoreClient) -> None:
    made = seed.post("/webhooks", {"url": URL})
    path = f"/webhooks/{made['webhook']['id']}"
    rotated = seed.post(f"{path}/rotate-secret", expect=200)
    assert rotated["secret"] != made["secret"]
    shown = str([seed.get(path), seed.get("/webhooks"), seed.entries()])
    stored = str(
        [
            redis.hgetall(key)
            for key in redis.scan_iter("*:w:*")
            if ":d:" not in key and not key.endswith((":queue", ":log"))
        ]
    )
    for secret in (made["secret"], rotated["secret"]):
        assert secret not in shown + stored
    assert "key=1" not in stored


@pytest.mark.parametrize("form", ["slack", "teams", "discord"])
def test_the_url_of_a_chat_is_its_secret(seed: SeedClient, form: str) -> None:
    made = seed.post("/webhooks", {"url": "https://chat.example.com/T0/secret", "format": form})
    assert made["secret"] is None
    assert made["webhook"]["url"] == "https://chat.example.com/…"
    path = f"/webhooks/{made['webhook']['id']}"
    assert "url" in seed.refused(409, "POST", f"{path}/rotate-secret")["message"]
    seed.refused(400, "PATCH", path, {"format": "standard"})
    assert "secret" not in str(seed.entries())


def test_the_url_of_a_chat_is_not_shown_by_making_it_a_standard_one(seed: SeedClient) -> None:
    path = make(seed)
    chat = {"url": "https://chat.example.com/T0/secret", "format": "slack"}
    assert seed.patch(path, chat)["webhook"]["url"] == "https://chat.example.com/…"
    error = seed.refused(400, "PATCH", path, {"format": "standard"})
    assert error["details"]["parameter"] == "url"
    back = seed.patch(path, {"format": "standard", "url": URL})["webhook"]
    assert (back["format"], back["url"]) == ("standard", URL)


@pytest.mark.parametrize(
    "url", ["http://example.com/", "https://10.0.0.1/", "https://u:p@example.com/", "nonsense"]
)
def test_a_url_that_may_not_be_called_is_refused(seed: SeedClient, url: str) -> None:
    error = seed.refused(400, "POST", "/webhooks", {"url": url})
    assert error["details"]["parameter"] == "url"
    assert seed.get("/webhooks")["webhooks"] == []


def test_a_ping_is_nothing_to_subscribe_to(seed: SeedClient) -> None:
    path = make(seed)
    for method, where in (("POST", "/webhooks"), ("PATCH", path)):
        error = seed.refused(400, method, where, {"url": URL, "events": ["app.created", "ping"]})
        assert error["details"]["parameter"] == "events.1"
        assert "app.created, app.deleted" in error["message"]


def test_there_are_at_most_100_webhooks(seed: SeedClient) -> None:
    for _ in range(100):
        make(seed)
    assert "100" in seed.refused(409, "POST", "/webhooks", {"url": URL})["message"]


def test_what_happens_is_queued_for_those_who_want_it(seed: SeedClient) -> None:
    seed.add_app("Before")
    everything = make(seed)
    releases = make(seed, events=["deployment.released", "rollout.completed"])
    staging = make(seed, deployment="Staging")
    seed.add_app("App")
    ours = make(seed, app="App")
    seed.release(rollout=50)
    seed.patch("/apps/App/deployments/Staging/releases/v1", {"rollout": 100})
    seed.post("/apps/App/deployments/Staging/promote", {"to": "Production"})
    seed.delete("/apps/App")
    staged = ["deployment.released", "release.updated", "rollout.completed"]
    told = [*staged, "deployment.promoted", "app.deleted"]
    assert events(seed, everything) == ["app.created", *told]
    assert events(seed, ours) == told
    assert events(seed, releases) == ["deployment.released", "rollout.completed"]
    assert events(seed, staging) == staged


def test_while_disabled_nothing_is_queued_and_replay_brings_it(seed: SeedClient) -> None:
    path = make(seed)
    seed.add_app("One")
    assert seed.post(f"{path}/disable", expect=200)["webhook"]["isEnabled"] is False
    seed.add_app("Two")
    assert events(seed, path) == ["app.created"]
    for act in ("ping", "replay"):
        seed.refused(409, "POST", f"{path}/{act}", SPAN if act == "replay" else {})
    seed.post(f"{path}/enable", expect=200)
    first = seed.get(f"{path}/deliveries")["deliveries"]
    assert seed.post(f"{path}/replay", SPAN, 200) == {"queued": 2}
    after = seed.get(f"{path}/deliveries")["deliveries"]
    assert len(after) == 2
    assert first[0]["id"] in {each["id"] for each in after}
    assert seed.post(f"{path}/replay", SPAN, 200) == {"queued": 2}
    assert len(events(seed, path)) == 2


@pytest.mark.parametrize(
    ("since", "until", "parameter"),
    [
        ("2025-06-15T00:00:00Z", "2025-06-15T00:00:00Z", "until"),
        ("2025-01-01T00:00:00Z", "2025-06-15T00:00:00Z", "since"),
        ("yesterday", "2025-06-15T00:00:00Z", "since"),
    ],
)
def test_a_time_that_cannot_be_replayed_is_refused(
    seed: SeedClient, since: str, until: str, parameter: str
) -> None:
    path = make(seed)
    body = {"since": since, "until": until}
    error = seed.refused(400, "POST", f"{path}/replay", body)
    assert error["details"]["parameter"] == parameter


def test_replay_goes_as_far_back_as_events_are_kept(
    settings: Settings, seed: SeedClient, clock: FakeClock
) -> None:
    app = create_app(replace(settings, audit_lifetime=timedelta(days=7)), clock)
    client = SeedClient(app, seed.token)
    path = make(client)
    clock.advance(8 * 86_400)
    error = client.refused(400, "POST", f"{path}/replay", SPAN)
    assert (error["details"]["parameter"], "7 days" in error["message"]) == ("since", True)


def test_whoever_comes_or_goes_with_an_app_is_told(seed: SeedClient, bob: SeedClient) -> None:
    path = make(seed, events=["collaborator.added", "collaborator.removed"])
    dev = seed.another("dev@example.com", "Acme")
    for name in ("Theirs", "Mine", "Shared"):
        (dev if name == "Theirs" else seed).add_app(name)
    seed.post("/apps/Shared/collaborators", {"email": bob.email})
    for name in ("Mine", "Shared"):
        seed.post(f"/apps/{name}/transfer", {"email": bob.email}, 200)
    seed.delete(f"/organizations/Acme/members/{dev.email}")
    told = [
        seed.get(f"{path}/deliveries/{each['id']}")["payload"]
        for each in seed.get(f"{path}/deliveries")["deliveries"]
    ]
    assert [(each["event"], each["app"], each["collaborator"]["email"]) for each in told][::-1] == [
        ("collaborator.added", "Shared", bob.email),
        ("collaborator.added", "Mine", bob.email),
        ("collaborator.removed", "Theirs", dev.email),
        ("collaborator.added", "Theirs", seed.email),
    ]


def commands(redis: StoreClient) -> int:
    return sum(each["total_commands_processed"] for each in told(redis, "stats"))


def test_a_release_asks_the_store_for_nothing_more_where_there_are_webhooks(
    seed: SeedClient, bob: SeedClient, redis: StoreClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Bell, "ring", lambda *_: None)  # which it does not wait for
    for _ in range(100):
        make(seed)
    counted = []
    for client in (bob, seed):
        client.add_app("App")
        client.release()  # the first loads scripts and snapshots
        before = commands(redis)
        client.release(b"another")
        counted.append(commands(redis) - before)
    assert counted[0] == counted[1]


def test_deliveries_come_in_pages_and_are_sent_again(seed: SeedClient) -> None:
    path = make(seed)
    made = [seed.post(f"{path}/ping")["delivery"]["id"] for _ in range(5)]
    first = seed.get(f"{path}/deliveries", limit=3)
    rest = seed.get(f"{path}/deliveries", limit=3, cursor=first["nextCursor"])
    listed = [each["id"] for each in first["deliveries"] + rest["deliveries"]]
    assert sorted(listed) == sorted(made)
    again = seed.post(f"{path}/deliveries/{made[0]}/redeliver", expect=200)["delivery"]
    assert (again["id"], again["status"]) == (made[0], "waiting")
    details = seed.get(f"{path}/deliveries/{made[0]}")
    assert (details["payload"]["event"], details["request"]) == ("ping", None)
    seed.refused(404, "POST", f"{path}/deliveries/msg_unknown/redeliver")


def test_another_organization_is_told_nothing(seed: SeedClient, bob: SeedClient) -> None:
    path = make(seed)
    bobs = make(bob)
    seed.add_app("App")
    assert events(seed, path) == ["app.created"]
    assert events(bob, bobs) == []
    bob.refused(404, "GET", path)
    bob.refused(404, "POST", "/webhooks", {"url": URL, "app": "App"})


def test_without_a_key_webhooks_say_what_to_set(
    settings: Settings, seed: SeedClient, clock: FakeClock
) -> None:
    app = create_app(replace(settings, secret_keys=()), clock)
    client = SeedClient(app, seed.token)
    error = client.refused(503, "POST", "/webhooks", {"url": URL})
    assert "SECRET_KEY" in error["message"]


def test_old_deliveries_leave_and_secrets_follow_the_newest_key(
    settings: Settings, seed: SeedClient, services: Services, clock: FakeClock
) -> None:
    path = make(seed)
    seed.post(f"{path}/ping")
    clock.advance(31 * 86_400)
    services.webhook_upkeep.keep_all()
    assert events(seed, path) == []
    new = "another key that is long enough for everybody"
    both = create_app(replace(settings, secret_keys=(new, *settings.secret_keys)), clock)
    both.extensions["codepush"].webhook_upkeep.keep_all()
    alone = create_app(replace(settings, secret_keys=(new,)), clock)
    [shown] = alone.extensions["codepush"].webhooks._manageable.show(
        services.stores.webhooks.list_of(services.stores.agenda.all()[0])
    )
    assert shown.url == URL


@pytest.mark.parametrize("part", [":queue", ":log", ":d:{}", "}}", "%00", "x" * 500])
def test_what_is_no_id_names_nothing(seed: SeedClient, part: str) -> None:
    path = make(seed)
    delivery_id = seed.post(f"{path}/ping")["delivery"]["id"]
    other = path + part.format(delivery_id)
    for method, rest in (
        ("GET", ""),
        ("PATCH", ""),
        ("DELETE", ""),
        ("POST", "/ping"),
        ("POST", "/rotate-secret"),
        ("GET", "/deliveries"),
    ):
        seed.refused(404, method, other + rest, {} if method == "PATCH" else None)
    seed.refused(404, "GET", f"{path}/deliveries/{delivery_id}{part}")
    seed.refused(404, "GET", f"{path}/deliveries/:{delivery_id}")


def test_every_real_body_is_as_its_schema_says(seed: SeedClient, bob: SeedClient) -> None:
    described = seed.contract.document
    path = make(seed)
    seed.add_app("App")
    seed.release(rollout=10)
    release = "/apps/App/deployments/Staging/releases/v1"
    changes = {"rollout": 50, "description": "More", "isMandatory": True, "appVersion": "1.0.*"}
    seed.patch(release, changes)
    seed.patch(release, {"rollout": 100, "isDisabled": True})
    seed.patch(release, {"isDisabled": False})
    seed.post("/apps/App/deployments/Staging/promote", {"to": "Production"})
    seed.release(b"second", appVersion="1.0.*")
    seed.post("/apps/App/deployments/Staging/rollback")
    seed.delete("/apps/App/deployments/Staging/releases")
    seed.post("/apps/App/collaborators", {"email": bob.email})
    seed.delete(f"/apps/App/collaborators/{bob.email}")
    seed.delete("/apps/App")
    seed.post(f"{path}/ping")
    seen = set()
    for each in seed.get(f"{path}/deliveries")["deliveries"]:
        body = seed.get(f"{path}/deliveries/{each['id']}")["payload"]
        operation = described["webhooks"][each["event"]]["post"]
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        seed.contract.validate(body, schema)  # which refuses what is not described
        assert set(body) == set(seed.contract.resolved(schema)["required"])
        seen.add(each["event"])
    assert seen == set(described["webhooks"])
