"""Deliveries on a fake clock to a real receiver: outcomes, the schedule, order and fairness."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from flask import Flask
from standardwebhooks import Webhook as Verifier

from codepush.api.v1.schemas.deliveries import DeliveryDetailsSchema
from codepush.app import create_app
from codepush.domain.errors import ConflictError, InvalidParameterError
from codepush.domain.ids import WebhookId
from codepush.domain.models import Principal
from codepush.domain.webhook_events import WebhookEvent
from codepush.domain.webhooks import RETRY_DELAYS, Delivery, Disabled, Format, Status
from codepush.net.addresses import AddressRules
from codepush.net.client import Answer, Client
from codepush.net.urls import UrlRules
from codepush.services.calling import Calling
from codepush.services.container import Services
from codepush.services.delivering import Delivering
from codepush.services.handing_on import HandingOn
from codepush.services.vault import Vault
from codepush.services.webhooks import WebhookChanges
from codepush.settings import Settings, load_settings
from codepush.store.connection import StoreClient
from codepush.store.deliveries import DeliveryStore
from tests.conftest import FakeClock
from tests.webhooks import receiver as answers
from tests.webhooks.receiver import Handler, Receiver

DAY_S = 86_400
SECOND_KEY = "another key that is long enough for everybody"
THIRD_KEY = "a third key that is long enough for everybody"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    allowed = {"WEBHOOK_ALLOW_HTTP": "1", "WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8"}
    loaded = load_settings({"CODEPUSH_ENV": "testing", **allowed})
    return replace(
        settings,
        webhook_allow_http=loaded.webhook_allow_http,
        webhook_allowed_networks=loaded.webhook_allowed_networks,
    )


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as started:
        yield started


@dataclass
class Setup:
    services: Services
    settings: Settings
    principal: Principal
    clock: FakeClock
    receiver: Receiver

    def use_keys(self, *keys: str) -> Services:
        """Return the services of a server with other keys than the one that made the webhooks."""
        self.settings = replace(self.settings, secret_keys=keys)
        services: Services = create_app(self.settings, self.clock).extensions["codepush"]
        return services

    def hook(self, path: str, **wanted: Any) -> str:
        url = f"{self.receiver.url}{path}"
        shown, self.secret = self.services.webhooks.create(
            self.principal, WebhookChanges(url=url, **wanted)
        )
        return shown.webhook.id

    def deliver(self, timeout_s: float = 10.0, threads: int = 16) -> None:
        rules = AddressRules(self.settings.webhook_allowed_networks)
        client = Client(UrlRules(rules, allow_http=True), rules, timeout_s=timeout_s)
        self.run(client, threads)
        client.close()

    def run(self, poster: Any, threads: int = 16, work_s: float = 60) -> None:
        stores = self.services.stores
        calling = Calling(
            stores, Vault(self.settings.secret_keys), poster, self.clock, chance=lambda: 0.5
        )
        handing_on = HandingOn(stores, self.clock)
        for organization_id in stores.agenda.all():
            stores.agenda.bring_forward(organization_id, 0)
        Delivering(stores, handing_on, calling, self.clock, threads=threads).run(work_s=work_s)

    def deliveries(self, webhook_id: str) -> list[Delivery]:
        """Oldest first."""
        return self.services.webhook_deliveries.list_of(
            self.principal, webhook_id, after=None, count=2_000
        )[::-1]

    def create_apps(self, count: int) -> None:
        for number in range(count):
            self.services.apps.create(self.principal, f"App{number}", deployments=())


@pytest.fixture
def setup(
    app: Flask, services: Services, settings: Settings, clock: FakeClock, receiver: Receiver
) -> Setup:
    made = services.accounts.create_user("ann@example.com", organization="Acme")
    principal = services.tokens.authenticate(made.token)
    return Setup(services, settings, principal, clock, receiver)


def refusing(handler: Handler) -> None:
    handler.close_connection = True


@pytest.mark.parametrize(
    ("answer", "status", "code", "error", "disabled"),
    [
        (answers.status(200, b"thanks"), Status.DELIVERED, 200, "", None),
        (answers.status(204), Status.DELIVERED, 204, "", None),
        (answers.fifty_megabytes, Status.DELIVERED, 200, "", None),
        (answers.late(0.2), Status.DELIVERED, 200, "", None),
        (answers.dripping_body, Status.DELIVERED, 200, "", None),
        (answers.status(500, b"sorry"), Status.WAITING, 500, "", None),
        (answers.status(404), Status.WAITING, 404, "", None),
        (answers.status(429), Status.WAITING, 429, "", None),
        (answers.status(302, Location="/x"), Status.WAITING, 302, "Redirects", None),
        (answers.status(410), Status.FAILED, 410, "", Disabled.GONE),
        (answers.never, Status.WAITING, None, "no answer within", None),
        (answers.dripping_headers, Status.WAITING, None, "no answer within", None),
        (refusing, Status.WAITING, None, "connection failed", None),
    ],
)
def test_outcomes(
    setup: Setup,
    answer: Callable[[Handler], None],
    status: Status,
    code: int | None,
    error: str,
    disabled: Disabled | None,
) -> None:
    webhook_id = setup.hook("/hook")
    setup.receiver.answers["/hook"] = answer
    setup.create_apps(1)
    setup.deliver(timeout_s=1.0)
    [delivery] = setup.deliveries(webhook_id)
    [attempt] = delivery.attempts
    assert (delivery.status, attempt.status) == (status, code)
    assert error in attempt.error
    assert bool(error) == bool(attempt.error)
    assert len(attempt.answer) <= 4_096
    shown = setup.services.webhooks.get(setup.principal, webhook_id).webhook
    assert shown.disabled == disabled
    assert (shown.failing_since_ms is None) == (status is Status.DELIVERED)
    assert len(setup.receiver.at("/hook")) == 1
    assert setup.receiver.at("/x") == []


def test_each_attempt_is_signed_anew_under_the_same_id(setup: Setup) -> None:
    setup.clock.now_ms = int(time.time() * 1_000)  # the package looks at the clock
    setup.hook("/hook")
    setup.receiver.answers["/hook"] = answers.status(503)
    setup.create_apps(1)
    setup.deliver()
    setup.clock.advance(6)
    setup.deliver()
    first, second = setup.receiver.at("/hook")
    for each in (first, second):
        assert Verifier(setup.secret).verify(each.body, each.headers)["event"] == "app.created"
    assert first.id == second.id
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]


def test_the_schedule_is_kept_to_its_end_and_the_delivery_has_failed(setup: Setup) -> None:
    webhook_id = setup.hook("/hook")
    setup.receiver.answers["/hook"] = answers.status(500)
    setup.create_apps(1)
    waits = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
    for number, wait_s in enumerate(waits, 1):
        setup.deliver()
        assert len(setup.receiver.at("/hook")) == number
        [delivery] = setup.deliveries(webhook_id)
        assert delivery.next_at_ms
        assert abs(delivery.next_at_ms - setup.clock.now_ms - wait_s * 1_000) < 1_000
        setup.clock.advance(wait_s - 1)
        setup.deliver()
        assert len(setup.receiver.at("/hook")) == number, "too early"
        setup.clock.advance(2)
    setup.deliver()
    [delivery] = setup.deliveries(webhook_id)
    assert (delivery.status, delivery.next_at_ms, delivery.attempt_count) == (
        Status.FAILED,
        None,
        10,
    )
    assert len({each.id for each in setup.receiver.at("/hook")}) == 1


def test_retry_after_is_waited_for(setup: Setup) -> None:
    webhook_id = setup.hook("/hook")
    setup.receiver.answers["/hook"] = answers.status(429, Retry_After="120")
    setup.create_apps(1)
    setup.deliver()
    [delivery] = setup.deliveries(webhook_id)
    assert delivery.next_at_ms
    assert delivery.next_at_ms - setup.clock.now_ms >= 119_000


def test_after_five_days_of_failing_a_webhook_is_disabled_and_its_owners_see_it(
    setup: Setup,
) -> None:
    webhook_id = setup.hook("/hook")
    setup.receiver.answers["/hook"] = answers.status(500)
    for day in range(6):
        setup.services.apps.create(setup.principal, f"Day{day}", deployments=())
        setup.deliver()
        shown = setup.services.webhooks.get(setup.principal, webhook_id).webhook
        assert shown.disabled == (Disabled.FAILING if day == 5 else None), day
        setup.clock.advance(DAY_S + 1)
    [entry] = setup.services.audit.read(setup.principal.organization_id, count=1)
    assert (entry.event.action, entry.event.target) == ("webhook.disabled", webhook_id)
    assert entry.event.details == {"reason": Disabled.FAILING.value}
    # Nothing is sent any more, until it is enabled: then what waits comes.
    before = len(setup.receiver.at("/hook"))
    setup.deliver()
    assert len(setup.receiver.at("/hook")) == before
    setup.receiver.answers.clear()
    setup.services.webhooks.enable(setup.principal, webhook_id)
    setup.deliver()
    assert len(setup.receiver.at("/hook")) > before


def test_first_attempts_of_a_deployment_keep_their_order_also_when_some_fail(
    setup: Setup,
) -> None:
    setup.hook("/hook", events=())

    def sometimes(handler: Handler) -> None:
        handler.answer(500 if len(setup.receiver.at("/hook")) % 3 else 200)

    setup.receiver.answers["/hook"] = sometimes
    app = setup.services.apps.create(setup.principal, "App")
    for number in range(20):
        email = f"user{number}@example.com"
        setup.services.accounts.create_user(email)
        setup.services.ownership.add_collaborator(setup.principal, app.name, email)
    for _ in range(8):
        setup.deliver()
        setup.clock.advance(400)
    seen: dict[str, Any] = {}
    for each in setup.receiver.at("/hook"):
        seen.setdefault(each.id, each.json)
    emails = [body["collaborator"]["email"] for body in seen.values() if "collaborator" in body]
    assert emails == [f"user{number}@example.com" for number in range(20)]


class Slow:
    """Answers for some hosts at once; for others not before it is told to."""

    def __init__(self) -> None:
        self.posted: list[str] = []
        self.at_once = 0
        self.most_at_once = 0
        self.fast = threading.Event()
        self._lock = threading.Lock()

    def post(self, url: str, body: bytes, headers: dict[str, str], *, tenant: str) -> Answer:
        if "dead" in url:
            with self._lock:
                self.at_once += 1
                self.most_at_once = max(self.most_at_once, self.at_once)
            # A timeout, that lasts for as long as the fast one has something to get.
            self.fast.wait(30)
            with self._lock:
                self.at_once -= 1
            return Answer(500)
        with self._lock:
            self.posted.append(url)
            if len(self.posted) == 100:
                self.fast.set()
        return Answer(200)


def test_a_thousand_deliveries_to_a_dead_endpoint_do_not_hold_up_another(setup: Setup) -> None:
    dead = setup.hook("/dead", events=())
    for _ in range(1_000):
        setup.services.webhook_deliveries.ping(setup.principal, dead)
    good = setup.hook("/good", events=())
    for number in range(100):
        setup.services.apps.create(setup.principal, f"More{number}", deployments=())
    poster = Slow()
    setup.run(poster, threads=8, work_s=3)
    # All hundred came while the first attempts at the dead one were still waiting.
    assert poster.fast.is_set()
    assert {each.status for each in setup.deliveries(good)} == {Status.DELIVERED}
    assert poster.most_at_once <= 2


def test_a_worker_that_is_gone_keeps_its_webhooks_for_some_seconds_only(setup: Setup) -> None:
    webhook_id = setup.hook("/hook")
    setup.create_apps(1)
    stores, organization_id = setup.services.stores, setup.principal.organization_id
    HandingOn(stores, setup.clock).keep_up(organization_id)
    now_ms = setup.clock.now_ms
    claim = stores.deliveries.claim
    identifier = stores.webhooks.list_of(organization_id)[0].id
    assert claim(
        organization_id, identifier, "gone", now_ms=now_ms, until_ms=now_ms + 20_000, count=9
    )
    setup.deliver()
    assert setup.receiver.at("/hook") == []
    setup.clock.advance(21)
    setup.deliver()
    assert len(setup.receiver.at("/hook")) == 1
    assert [each.status for each in setup.deliveries(webhook_id)] == [Status.DELIVERED]


class Fast:
    """Answers for ``/good`` at once and notes when; for others as a test says."""

    def __init__(self, other: Callable[[], Answer]) -> None:
        self.good_at: list[float] = []
        self.others = 0
        self._other = other

    def post(self, url: str, body: bytes, headers: dict[str, str], *, tenant: str) -> Answer:
        if "good" in url:
            self.good_at.append(time.monotonic())
            return Answer(200)
        self.others += 1
        return self._other()


def boom() -> Answer:
    raise RuntimeError("boom")


@pytest.mark.parametrize(
    "retry_after",
    ["Mon, 01 Jan 99999999999999999999 00:00:00 GMT", "Mon, 01 Jan 0001 00:00:00 +2359", "x", "-1"],
)
@pytest.mark.parametrize("code", [200, 429, 503])
def test_a_retry_after_that_cannot_be_read_is_passed_over(
    setup: Setup, code: int, retry_after: str
) -> None:
    bad, good = setup.hook("/bad"), setup.hook("/good")
    setup.create_apps(1)
    setup.run(Fast(lambda: Answer(code, {"retry-after": retry_after})))
    [delivery] = setup.deliveries(bad)
    assert delivery.attempt_count == 1
    assert delivery.status is (Status.DELIVERED if code == 200 else Status.WAITING)
    assert [each.status for each in setup.deliveries(good)] == [Status.DELIVERED]


def test_a_request_that_cannot_be_made_is_a_failed_attempt(setup: Setup) -> None:
    bad, good = setup.hook("/bad"), setup.hook("/good")
    setup.create_apps(1)
    setup.run(Fast(boom))
    [delivery] = setup.deliveries(bad)
    assert (delivery.status, delivery.attempt_count) == (Status.WAITING, 1)
    assert "log of the server" in delivery.attempts[0].error
    assert [each.status for each in setup.deliveries(good)] == [Status.DELIVERED]


def test_an_attempt_that_cannot_be_noted_is_made_again_later_and_holds_nobody_up(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = setup.hook("/bad"), setup.hook("/good")
    setup.create_apps(1)
    settle = DeliveryStore.settle

    def failing(
        store: DeliveryStore, organization_id: Any, delivery: Delivery, *rest: Any, **more: Any
    ) -> bool:
        if delivery.webhook_id == bad:
            raise RuntimeError("boom")
        return settle(store, organization_id, delivery, *rest, **more)

    with monkeypatch.context() as patch:
        patch.setattr(DeliveryStore, "settle", failing)
        poster = Fast(lambda: Answer(200))
        setup.run(poster)
        assert poster.others == 1
    assert [each.status for each in setup.deliveries(good)] == [Status.DELIVERED]
    setup.clock.advance(21)
    setup.run(Fast(lambda: Answer(200)))
    assert [each.status for each in setup.deliveries(bad)] == [Status.DELIVERED]


def test_an_organization_that_cannot_be_served_does_not_hold_up_others(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = setup.hook("/good")
    setup.create_apps(1)
    made = setup.services.accounts.create_user("bob@example.com", organization="Broken")
    bob = setup.services.tokens.authenticate(made.token)
    url = f"{setup.receiver.url}/broken"
    setup.services.webhooks.create(bob, WebhookChanges(url=url))
    step = HandingOn.step
    failed = []

    def failing(handing_on: HandingOn, organization_id: Any) -> bool:
        if organization_id == bob.organization_id:
            failed.append(organization_id)
            raise ValueError("boom")
        return step(handing_on, organization_id)

    with monkeypatch.context() as patch:
        patch.setattr(HandingOn, "step", failing)
        setup.run(Fast(boom))
    assert failed
    assert [each.status for each in setup.deliveries(good)] == [Status.DELIVERED]


def test_the_end_of_a_job_goes_on_for_others_while_a_dead_endpoint_is_waited_for(
    setup: Setup,
) -> None:
    released = threading.Event()

    def dead() -> Answer:
        released.wait(30)
        return Answer(500)

    bad, good = setup.hook("/dead"), setup.hook("/good")
    for _ in range(20):
        setup.services.webhook_deliveries.ping(setup.principal, bad)
    poster = Fast(dead)
    job = threading.Thread(target=setup.run, args=(poster,), kwargs={"work_s": 0.3})
    job.start()
    try:
        time.sleep(1.5)  # far beyond the time to work
        for count in range(1, 4):
            setup.services.webhook_deliveries.ping(setup.principal, good)
            deadline = time.monotonic() + 10
            while len(poster.good_at) < count:
                assert time.monotonic() < deadline
                time.sleep(0.01)
        assert not released.is_set()
        assert poster.others <= 2, "nothing more is begun at the dead one"
    finally:
        released.set()
        job.join(30)
    assert not job.is_alive()


def test_slow_endpoints_of_an_organization_leave_threads_to_its_quick_one(setup: Setup) -> None:
    released = threading.Event()

    def slow() -> Answer:
        released.wait(30)
        return Answer(200)

    poster = Fast(slow)
    good = setup.hook("/good")
    setup.services.webhook_deliveries.ping(setup.principal, good)
    setup.run(poster)  # an endpoint that was quick before is known to be
    for number in range(16):
        webhook_id = setup.hook(f"/slow{number}", events=(WebhookEvent.APP_DELETED,))
        for _ in range(4):
            setup.services.webhook_deliveries.ping(setup.principal, webhook_id)
    for _ in range(30):
        setup.services.webhook_deliveries.ping(setup.principal, good)
    job = threading.Thread(target=setup.run, args=(poster, 16))
    job.start()
    try:
        deadline = time.monotonic() + 20
        while len(poster.good_at) < 31:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert not released.is_set()
    finally:
        released.set()
        job.join(60)


def test_retry_after_is_asked_for_the_whole_endpoint_until_its_owner_changes_it(
    setup: Setup,
) -> None:
    busy = setup.hook("/busy")
    for _ in range(20):
        setup.services.webhook_deliveries.ping(setup.principal, busy)
    poster = Fast(lambda: Answer(429, {"retry-after": "3600"}))
    setup.run(poster)
    begun = poster.others
    assert begun <= 2
    setup.clock.advance(3_500)
    setup.services.webhook_deliveries.ping(setup.principal, busy)
    setup.run(poster)
    assert poster.others == begun
    setup.clock.advance(101)
    setup.run(Fast(lambda: Answer(200)))
    assert {each.status for each in setup.deliveries(busy)} == {Status.DELIVERED}
    setup.services.webhook_deliveries.ping(setup.principal, busy)
    setup.run(poster)
    setup.services.webhooks.update(setup.principal, busy, WebhookChanges(description="x"))
    setup.clock.advance(600)
    last = Fast(lambda: Answer(200))
    setup.services.webhook_deliveries.ping(setup.principal, busy)
    setup.run(last)
    assert last.others >= 1


def test_failures_of_long_ago_do_not_count_towards_five_days(setup: Setup) -> None:
    webhook_id = setup.hook("/bad")
    poster = Fast(lambda: Answer(500))
    setup.services.webhook_deliveries.ping(setup.principal, webhook_id)
    for wait in (*RETRY_DELAYS, RETRY_DELAYS[0]):
        setup.run(poster)
        setup.clock.advance(wait.total_seconds() * 1.2)
    assert setup.deliveries(webhook_id)[0].status is Status.FAILED
    setup.clock.advance(20 * DAY_S)
    setup.services.webhook_deliveries.ping(setup.principal, webhook_id)
    setup.run(poster)
    assert setup.services.webhooks.get(setup.principal, webhook_id).webhook.disabled is None


def test_each_replaced_secret_signs_for_a_day(setup: Setup) -> None:
    setup.clock.now_ms = int(time.time() * 1_000)  # the package looks at the clock
    webhook_id = setup.hook("/hook")
    held = [setup.secret]
    held += [
        setup.services.webhooks.rotate_secret(setup.principal, webhook_id)[1] for _ in range(4)
    ]
    with pytest.raises(ConflictError, match="5 secrets sign already"):
        setup.services.webhooks.rotate_secret(setup.principal, webhook_id)
    setup.services.webhook_deliveries.ping(setup.principal, webhook_id)
    setup.deliver()
    [got] = setup.receiver.at("/hook")
    for secret in held:
        assert Verifier(secret).verify(got.body, got.headers)["event"] == "ping"
    setup.clock.advance(DAY_S + 1)
    _, newest = setup.services.webhooks.rotate_secret(setup.principal, webhook_id)
    shown = setup.services.webhooks.get(setup.principal, webhook_id).webhook
    assert len(shown.signing(setup.clock.now_ms)) == 2
    assert newest not in held


def test_a_webhook_whose_key_is_lost_works_again_with_another_url_and_secret(
    setup: Setup, caplog: pytest.LogCaptureFixture
) -> None:
    setup.clock.now_ms = int(time.time() * 1_000)  # the package looks at the clock
    webhook_id = setup.hook("/hook")
    services = setup.use_keys(SECOND_KEY)
    services.webhook_deliveries.ping(setup.principal, webhook_id)
    setup.deliver()
    [failed] = setup.deliveries(webhook_id)
    assert "SECRET_KEY" in failed.attempts[-1].error
    services.webhook_upkeep.keep_all()
    assert "1 webhooks cannot be called" in caplog.text
    assert "SECRET_KEY=new,old" in caplog.text
    url = f"{setup.receiver.url}/hook"
    services.webhooks.update(setup.principal, webhook_id, WebhookChanges(url=url))
    _, secret = services.webhooks.rotate_secret(setup.principal, webhook_id)
    setup.clock.advance(6)
    setup.deliver()
    [got] = setup.receiver.at("/hook")
    assert Verifier(secret).verify(got.body, got.headers)["event"] == "ping"
    # What cannot be read does not keep the rest from following the next key.
    caplog.clear()
    setup.use_keys(THIRD_KEY, SECOND_KEY).webhook_upkeep.keep_all()
    assert "cannot be called" not in caplog.text
    setup.use_keys(THIRD_KEY).webhook_deliveries.ping(setup.principal, webhook_id)
    setup.deliver()
    got = setup.receiver.at("/hook")[1]
    assert Verifier(secret).verify(got.body, got.headers)["event"] == "ping"


@pytest.mark.parametrize("answer", [Answer(410), Answer(429, {"retry-after": "86400"})])
def test_an_answer_of_the_url_before_does_nothing_to_the_next(setup: Setup, answer: Answer) -> None:
    webhook_id = setup.hook("/before")
    changed = WebhookChanges(url=f"{setup.receiver.url}/after")

    class Moving:
        def post(self, url: str, body: bytes, headers: dict[str, str], *, tenant: str) -> Answer:
            setup.services.webhooks.update(setup.principal, webhook_id, changed)
            return answer

    setup.services.webhook_deliveries.ping(setup.principal, webhook_id)
    setup.run(Moving())
    webhook = setup.services.webhooks.get(setup.principal, webhook_id).webhook
    assert (webhook.disabled, webhook.failing_since_ms) == (None, None)
    setup.services.webhook_deliveries.ping(setup.principal, webhook_id)
    setup.deliver()
    assert len(setup.receiver.at("/after")) == 1


def test_an_app_that_left_is_shown_under_the_name_that_it_had(setup: Setup) -> None:
    services = setup.services
    made = services.accounts.create_user("bob@example.com", organization="Other")
    services.apps.create(setup.principal, "Mine", deployments=())
    webhook_id = setup.hook("/hook", app="Mine")
    services.ownership.transfer(setup.principal, "Mine", "bob@example.com")
    bob = services.tokens.authenticate(made.token)
    services.ownership.remove_collaborator(bob, "Mine", "ann@example.com")
    services.apps.rename(bob, "Mine", "TopSecret")
    assert services.webhooks.get(setup.principal, webhook_id).app_name == "Mine"


def test_what_happened_before_a_change_is_told_by_the_old_filter(setup: Setup) -> None:
    webhook_id = setup.hook("/hook")
    setup.create_apps(1)
    changes = WebhookChanges(events=(WebhookEvent.DEPLOYMENT_RELEASED,))
    setup.services.webhooks.update(setup.principal, webhook_id, changes)
    setup.deliver()
    assert [each.json["event"] for each in setup.receiver.at("/hook")] == ["app.created"]


def test_what_waits_stays_in_the_log_longer_than_what_is_settled(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("codepush.store.deliveries", "codepush.services.webhook_deliveries"):
        monkeypatch.setattr(f"{module}.MAX_LOG", 6)
    webhook_id = setup.hook("/hook")
    began_ms = setup.clock.now_ms
    setup.create_apps(3)
    setup.deliver()
    setup.clock.advance(60)
    for number in range(3):
        setup.services.apps.create(setup.principal, f"Late{number}", deployments=())
    assert len(setup.deliveries(webhook_id)) == 6
    for number in range(3, 5):
        setup.services.apps.create(setup.principal, f"Late{number}", deployments=())
    with pytest.raises(InvalidParameterError, match="have no room"):
        setup.services.webhook_deliveries.replay(
            setup.principal, webhook_id, began_ms, began_ms + 1_000
        )
    statuses = [each.status for each in setup.deliveries(webhook_id)]
    assert statuses == [Status.DELIVERED] + [Status.WAITING] * 5
    setup.deliver()
    told = [each.json["app"] for each in setup.receiver.at("/hook")]
    assert sorted(told) == [*(f"App{n}" for n in range(3)), *(f"Late{n}" for n in range(5))]


def test_a_redelivery_that_is_asked_for_during_an_attempt_is_made(setup: Setup) -> None:
    webhook_id = setup.hook("/hook")
    asked: list[str] = []

    def asking() -> Answer:
        if not asked:
            [delivery] = setup.deliveries(webhook_id)
            asked.append(delivery.id)
            setup.services.webhook_deliveries.redeliver(setup.principal, webhook_id, delivery.id)
        return Answer(200)

    setup.create_apps(1)
    poster = Fast(asking)
    setup.run(poster)
    [delivery] = setup.deliveries(webhook_id)
    assert (poster.others, delivery.attempt_count) == (2, 2)
    assert (delivery.status, delivery.next_at_ms) == (Status.DELIVERED, None)
    setup.run(poster)
    assert poster.others == 2


def test_a_worker_whose_webhook_somebody_else_took_begins_nothing_more(setup: Setup) -> None:
    webhook_id = setup.hook("/hook")
    for _ in range(30):
        setup.services.webhook_deliveries.ping(setup.principal, webhook_id)
    stores, organization_id = setup.services.stores, setup.principal.organization_id
    identifier = stores.webhooks.list_of(organization_id)[0].id

    first = threading.Lock()

    def stalling() -> Answer:
        """As if the store had not answered for longer than a lease, and another worker came."""
        if first.acquire(blocking=False):
            now_ms = setup.clock.now_ms + 21_000
            held = {"now_ms": now_ms, "until_ms": now_ms + 20_000, "count": 1}
            assert stores.deliveries.claim(organization_id, identifier, "another", **held)
            setup.clock.advance(21)  # from here on, this worker's lease is over for itself too
        time.sleep(0.3)  # longer than between two looks at what is held
        return Answer(200)

    poster = Fast(stalling)
    setup.run(poster)
    assert poster.others <= 2
    assert sum(each.status is Status.WAITING for each in setup.deliveries(webhook_id)) >= 28


def test_what_deliveries_told_leaves_with_the_last_of_them(
    setup: Setup, redis: StoreClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("codepush.store.deliveries.MAX_LOG", 6)
    first, second = setup.hook("/first"), setup.hook("/second")

    def kept() -> int:
        return len(list(redis.scan_iter("*:notice:*")))

    setup.create_apps(10)
    setup.deliver()
    assert len(setup.deliveries(first)) == len(setup.deliveries(second)) == 6
    assert kept() == 6
    setup.services.webhooks.delete(setup.principal, first)
    assert kept() == 6
    assert {each.status for each in setup.deliveries(second)} == {Status.DELIVERED}
    setup.services.webhooks.delete(setup.principal, second)
    assert kept() == 0


def test_much_that_happened_is_handed_on_in_steps(setup: Setup) -> None:
    hooks = [setup.hook(f"/{number}") for number in range(50)]
    setup.create_apps(10)
    stores, organization_id = setup.services.stores, setup.principal.organization_id
    handing_on = HandingOn(stores, setup.clock)
    steps = 1
    while not handing_on.step(organization_id):
        steps += 1
        found = stores.delivery_log.newest(
            organization_id, WebhookId(hooks[0]), after=None, count=99
        )
        assert len(found) <= 4 * steps
    assert steps == 3
    assert [len(setup.deliveries(each)) for each in hooks] == [10] * 50


def test_many_dead_endpoints_take_no_place_from_another_and_each_has_its_turn(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More of them than a process holds, each with much that waits."""
    monkeypatch.setattr("codepush.services.sharing.MAX_HANDS", 8)
    called: set[str] = set()
    released = threading.Event()
    good_at: list[bool] = []

    class Dead:
        def post(self, url: str, body: bytes, headers: dict[str, str], *, tenant: str) -> Answer:
            if "good" in url:
                good_at.append(released.is_set())
                return Answer(200)
            called.add(url)
            released.wait(30)
            return Answer(500)

    good = setup.hook("/good")
    setup.services.webhook_deliveries.ping(setup.principal, good)
    setup.run(Dead())  # so it is known to be quick
    for number in range(20):
        webhook_id = setup.hook(f"/dead{number}")
        for _ in range(3):
            setup.services.webhook_deliveries.ping(setup.principal, webhook_id)
    job = threading.Thread(target=setup.run, args=(Dead(),))
    job.start()
    try:
        deadline = time.monotonic() + 20
        while not called:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        setup.services.webhook_deliveries.ping(setup.principal, good)
        while len(good_at) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        released.set()
        job.join(60)
    assert good_at == [False, False]
    assert len(called) == 20


def test_another_url_is_another_endpoint(setup: Setup) -> None:
    webhook_id = setup.hook("/hook")
    setup.receiver.answers["/hook"] = answers.status(500)
    setup.create_apps(1)
    setup.deliver()
    assert setup.services.webhooks.get(setup.principal, webhook_id).webhook.failing_since_ms
    url = f"{setup.receiver.url}/other"
    setup.services.webhooks.update(setup.principal, webhook_id, WebhookChanges(url=url))
    shown = setup.services.webhooks.get(setup.principal, webhook_id).webhook
    assert (shown.failing_since_ms, shown.took_ms) == (None, None)
    setup.clock.advance(6)
    setup.deliver()
    assert [len(setup.receiver.at(path)) for path in ("/hook", "/other")] == [1, 1]
    assert [each.status for each in setup.deliveries(webhook_id)] == [Status.DELIVERED]


def test_the_log_shows_the_body_that_was_sent(setup: Setup) -> None:
    webhook_id = setup.hook("/hook")
    setup.create_apps(1)
    setup.deliver()
    chat = WebhookChanges(url=f"{setup.receiver.url}/chat", format=Format.SLACK)
    setup.services.webhooks.update(setup.principal, webhook_id, chat)
    [sent] = setup.receiver.at("/hook")
    [delivery] = setup.deliveries(webhook_id)
    shown = DeliveryDetailsSchema().dump(
        {
            "webhook": setup.services.webhooks.get(setup.principal, webhook_id),
            "delivery": delivery,
        }
    )
    assert shown["request"]["body"].encode() == sent.body
    assert {name: sent.headers[name.lower()] for name in shown["request"]["headers"]} == (
        shown["request"]["headers"]
    )
