"""Webhooks whose clock jumps back: what waits is told by the new clock, in its order."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from redis.exceptions import OutOfMemoryError

from codepush.domain.ids import OrganizationId, WebhookId
from codepush.domain.webhook_events import WebhookEvent
from codepush.services.clock_jumps import ClockJumps
from codepush.services.container import Services
from codepush.services.handing_on import HandingOn
from codepush.settings import Settings
from codepush.store import deliveries, keys
from codepush.store.clock import StoreClock
from codepush.store.connection import StoreClient, connect
from codepush.store.scripts import Scripts
from tests.conftest import FakeClock
from tests.redis_servers import RedisServer
from tests.services.test_delivering import Setup, settings  # noqa: F401 - a fixture
from tests.webhooks import receiver as answers
from tests.webhooks.receiver import Receiver

HOUR_S = 3_600
HOUR_MS = HOUR_S * 1_000


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as started:
        yield started


class Jumping(Setup):
    """A server whose clock jumps back by an hour."""

    def happen(self, *names: str) -> None:
        """Let things happen that are told one after the other, each a little later."""
        for name in names:
            self.services.accounts.create_user(f"{name}@example.com")
            self.services.ownership.add_collaborator(self.principal, "App", f"{name}@example.com")
            HandingOn(self.services.stores, self.clock).keep_up(self.organization_id)
            self.clock.advance(0.01)

    @property
    def organization_id(self) -> OrganizationId:
        return self.principal.user.organization_id

    def jump(self) -> None:
        before_ms = self.clock.now_ms
        self.clock.advance(-HOUR_S)
        jumps = ClockJumps(self.services.stores, self.services.stores.clock)
        for _ in range(2):  # as two workers may
            jumps.mend(before_ms, self.clock.now_ms)
        self.clock.advance(0.01)

    def told(self, path: str = "/hook") -> list[str]:
        bodies = [each.json for each in self.receiver.at(path)]
        return [each["collaborator"]["email"].partition("@")[0] for each in bodies]


@pytest.fixture
def setup(
    app: Flask,
    services: Services,
    settings: Settings,  # noqa: F811
    clock: FakeClock,
    receiver: Receiver,
) -> Jumping:
    made = services.accounts.create_user("ann@example.com", organization="Acme")
    principal = services.tokens.authenticate(made.token)
    services.apps.create(principal, "App")
    return Jumping(services, settings, principal, clock, receiver)


EVENTS = (WebhookEvent.COLLABORATOR_ADDED,)


def test_what_waits_is_told_first_and_in_its_order(setup: Jumping) -> None:
    setup.hook("/hook", events=EVENTS)
    setup.happen("a", "b", "c")
    setup.jump()
    setup.happen("d", "e")
    setup.deliver()
    assert setup.told() == ["a", "b", "c", "d", "e"]


def test_what_waits_needs_no_news_to_be_told(setup: Jumping) -> None:
    setup.hook("/hook", events=EVENTS)
    setup.hook("/other", events=EVENTS)
    setup.happen("a", "b")
    setup.jump()
    setup.deliver()
    assert setup.told("/hook") == setup.told("/other") == ["a", "b"]


def test_a_retry_comes_when_it_would_have_come(setup: Jumping) -> None:
    webhook_id = WebhookId(setup.hook("/hook", events=EVENTS))
    setup.receiver.answers["/hook"] = answers.status(500)
    setup.happen("a")
    setup.deliver()
    setup.clock.advance(6)
    setup.deliver()
    assert len(setup.told()) == 2
    due = setup.services.stores.deliveries.next_due(setup.organization_id)
    assert due is not None
    setup.jump()
    assert setup.services.stores.deliveries.next_due(setup.organization_id) == due - HOUR_MS
    setup.deliver()
    assert len(setup.told()) == 2  # not before its time
    setup.clock.advance(400)
    setup.deliver()
    assert len(setup.told()) == 3
    [delivery] = setup.deliveries(webhook_id)
    assert len(delivery.attempts) == 3


def test_a_worker_that_is_gone_holds_a_webhook_for_some_seconds_only(setup: Jumping) -> None:
    webhook_id = WebhookId(setup.hook("/hook", events=EVENTS))
    setup.happen("a")
    now_ms = setup.clock.now_ms
    until_ms = now_ms + deliveries.LONGEST_HOLD_MS
    store = setup.services.stores.deliveries
    assert store.claim(
        setup.organization_id, webhook_id, "gone", now_ms=now_ms, until_ms=until_ms, count=10
    )
    setup.jump()
    setup.deliver()
    assert setup.told() == []
    setup.clock.advance(21)
    setup.deliver()
    assert setup.told() == ["a"]


def test_a_worker_that_lives_keeps_what_it_held_anew(setup: Jumping) -> None:
    webhook_id = WebhookId(setup.hook("/hook", events=EVENTS))
    setup.happen("a")
    before_ms = setup.clock.now_ms
    setup.clock.advance(-HOUR_S)
    now_ms = setup.clock.now_ms
    store = setup.services.stores.deliveries
    until_ms = now_ms + deliveries.LONGEST_HOLD_MS
    held = (setup.organization_id, webhook_id)
    store.claim(*held, "alive", now_ms=now_ms, until_ms=until_ms, count=0)
    store.claim(*held, "alive", now_ms=before_ms, until_ms=until_ms, count=10)
    store.shift(*held, before_ms, now_ms)
    assert store.claim(*held, "other", now_ms=now_ms, until_ms=until_ms, count=10) is None
    found = store.claim(*held, "alive", now_ms=now_ms, until_ms=until_ms, count=10)
    assert found is not None
    assert len(found) == 1


def test_who_asked_to_be_left_alone_is_left_alone_for_as_long(setup: Jumping) -> None:
    setup.hook("/hook", events=EVENTS)
    setup.receiver.answers["/hook"] = answers.status(429, **{"Retry-After": "30"})
    setup.happen("a")
    setup.deliver()
    setup.receiver.answers.clear()
    setup.jump()
    setup.happen("b")
    setup.deliver()
    assert setup.told() == ["a"]
    setup.clock.advance(31)
    setup.deliver()
    assert sorted(setup.told()) == ["a", "a", "b"]


def test_the_newest_deliveries_stay_in_a_full_log(
    setup: Jumping, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "MAX_LOG", 3)
    webhook_id = setup.hook("/hook", events=EVENTS)
    setup.happen("a", "b", "c")
    setup.deliver()
    setup.jump()
    setup.happen("d", "e")
    setup.deliver()
    told = {each.id: each.json["collaborator"]["email"][0] for each in setup.receiver.at("/hook")}
    assert [told[each.id] for each in setup.deliveries(webhook_id)] == ["c", "d", "e"]


def test_a_jump_of_the_store_is_noticed_and_made_up_for_once(
    setup: Jumping, redis: StoreClient, caplog: pytest.LogCaptureFixture
) -> None:
    stores = setup.services.stores
    setup.clock.now_ms = stores.clock() + HOUR_MS  # what was before the jump
    setup.hook("/hook", events=EVENTS)
    setup.happen("a")
    stores.agenda.begin(setup.organization_id, setup.clock.now_ms)
    redis.set(keys.CLOCK, setup.clock.now_ms)
    jumps = ClockJumps(stores, StoreClock(Scripts(redis)))
    now_ms = jumps.look()
    assert "jumped back by 3600 s" in caplog.text or "jumped back by 3599 s" in caplog.text
    assert stores.agenda.due(now_ms) == [setup.organization_id]
    due = stores.deliveries.next_due(setup.organization_id)
    assert due is not None
    assert abs(due - now_ms) < 60_000
    caplog.clear()
    assert jumps.look() >= now_ms
    assert caplog.text == ""
    assert stores.deliveries.next_due(setup.organization_id) == due


def test_a_jump_is_made_up_for_beside_webhooks_that_are_damaged(
    setup: Jumping, redis: StoreClient
) -> None:
    stores = setup.services.stores
    setup.clock.now_ms = stores.clock() + HOUR_MS
    damage = {"created_at_ms": "zzz", "last_due": "zzz", "quiet_until": "zzz", "held_until": "zzz"}
    damaged = [WebhookId(setup.hook("/hook", events=EVENTS)) for _ in range(3)]
    sound = setup.hook("/sound", events=EVENTS)
    setup.happen("a")
    stores.agenda.enter(OrganizationId("damaged"))
    redis.set(keys.webhooks(OrganizationId("damaged")), "not a set")
    stores.agenda.begin(setup.organization_id, setup.clock.now_ms)
    for field, text in damage.items():
        redis.hset(keys.webhook(setup.organization_id, damaged[0]), field, text)
    redis.delete(keys.webhook(setup.organization_id, damaged[1]))
    redis.set(keys.webhook(setup.organization_id, damaged[1]), "not a hash")
    redis.set(keys.CLOCK, setup.clock.now_ms)
    jumps = ClockJumps(stores, StoreClock(Scripts(redis)))
    now_ms = jumps.look()
    due = set(stores.deliveries.due_webhooks(setup.organization_id, now_ms + 60_000))
    assert due >= {sound, damaged[0], damaged[2]}
    assert setup.organization_id in stores.agenda.due(now_ms)
    assert abs(int(redis.get(keys.CLOCK) or 0) - now_ms) < 60_000  # it is not made up for again


def test_a_time_that_is_none_is_overwritten(redis: StoreClient) -> None:
    clock = StoreClock(Scripts(redis))
    for damage in ("zzz", ""):
        redis.set(keys.CLOCK, damage)
        assert clock.read() is None
        assert abs(int(redis.get(keys.CLOCK) or 0) - clock()) < 60_000
    redis.delete(keys.CLOCK)
    redis.hset(keys.CLOCK, "a", "b")
    assert clock.read() is None
    assert abs(int(redis.get(keys.CLOCK) or 0) - clock()) < 60_000


def test_a_clock_that_goes_on_or_back_by_a_second_is_no_jump(
    redis: StoreClient, setup: Jumping, caplog: pytest.LogCaptureFixture
) -> None:
    clock = StoreClock(Scripts(redis))
    noted: list[str | None] = []
    for ahead_ms in (1_000, 0, -1_000, -HOUR_MS):
        redis.set(keys.CLOCK, clock() + ahead_ms)
        ClockJumps(setup.services.stores, clock).look()
        noted.append(redis.get(keys.CLOCK))
    assert caplog.text == ""
    assert abs(int(noted[-1] or 0) - clock()) < 60_000  # the clock went on, and that is noted


def test_all_workers_read_the_clock_of_the_store(redis: StoreClient) -> None:
    scripts = Scripts(redis)
    first = StoreClock(scripts)()
    second = StoreClock(scripts)()
    assert first <= second <= first + 60_000
    assert abs(first - time.time() * 1_000) < 60_000  # on one machine


def test_a_full_store_still_tells_the_time(tmp_path: Path) -> None:
    server = RedisServer(tmp_path, "--maxmemory", "1")
    try:
        client = connect(server.start().url)
        with pytest.raises(OutOfMemoryError):
            client.set("a", "b")
        assert abs(StoreClock(Scripts(client))() - time.time() * 1_000) < 60_000
        client.close()
    finally:
        server.kill()
