"""The thread that has webhooks delivered: whatever it meets, it goes on."""

import threading
from collections.abc import Iterator

import pytest

from codepush.domain.ids import OrganizationId
from codepush.server import delivery_watch
from codepush.server.delivery_watch import DeliveryWatch
from codepush.store import keys
from codepush.store.agenda import Agenda
from codepush.store.connection import StoreClient
from codepush.store.queue import DELIVERIES, JobQueue

_PATIENCE_S = 60.0


@pytest.fixture
def enqueued(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set once a job was enqueued that delivers."""
    was = threading.Event()

    def enqueue(_self: JobQueue, queue: str, *_job: str, timeout_s: int) -> bool:
        if queue == DELIVERIES:
            was.set()
        return True

    monkeypatch.setattr(JobQueue, "enqueue", enqueue)
    monkeypatch.setattr(delivery_watch, "_PAUSE_S", 0.01)
    return was


@pytest.fixture
def watch(redis_url: str, queue_url: str, redis: StoreClient) -> Iterator[DeliveryWatch]:
    Agenda(redis).enter(OrganizationId("any"))
    made = DeliveryWatch(redis_url, queue_url)
    yield made
    made.stop()


@pytest.mark.parametrize("error", [ValueError, KeyError, RuntimeError])
def test_it_goes_on_after_what_was_not_foreseen(
    watch: DeliveryWatch,
    enqueued: threading.Event,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: type[Exception],
) -> None:
    look = Agenda.due
    errors = iter([error("unforeseen"), error("unforeseen")])

    def due(self: Agenda, *limits: int) -> list[OrganizationId]:
        for each in errors:
            raise each
        return look(self, *limits)

    monkeypatch.setattr(Agenda, "due", due)
    watch.start()
    assert enqueued.wait(_PATIENCE_S)
    assert caplog.text.count("it could not be seen what is due") == 2


def test_an_agenda_of_another_type_is_logged_and_looked_at_again(
    watch: DeliveryWatch,
    enqueued: threading.Event,
    redis: StoreClient,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    redis.delete(keys.WEBHOOK_AGENDA)
    redis.set(keys.WEBHOOK_AGENDA, "not a sorted set")
    was_logged = threading.Event()
    monkeypatch.setattr(delivery_watch.log, "exception", lambda _what: was_logged.set())
    watch.start()
    assert was_logged.wait(_PATIENCE_S)
    assert caplog.text == ""
    redis.delete(keys.WEBHOOK_AGENDA)
    Agenda(redis).enter(OrganizationId("any"))
    assert enqueued.wait(_PATIENCE_S)
