"""The bell: heard at once by workers, and gone when the store that rings it is."""

import threading
import time

from codepush.domain.ids import OrganizationId
from codepush.store.agenda import Agenda
from codepush.store.bell import Bell
from codepush.store.connection import StoreClient

NOW_MS = 1_750_000_000_000
TIMEOUT_S = 10


def wait_until_told() -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while any(isinstance(each, threading.Timer) for each in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_rings_bring_organizations_forward_each_time(redis: StoreClient) -> None:
    agenda, first, second = Agenda(redis), OrganizationId("first"), OrganizationId("second")
    bell = Bell(agenda)
    for _ in range(2):
        for each in (first, second):
            agenda.enter(each)
            agenda.begin(each, NOW_MS)
        assert agenda.due(NOW_MS) == []
        bell.ring(first)
        bell.ring(first)
        bell.ring(second)
        wait_until_told()
        assert set(agenda.due(NOW_MS)) == {first, second}


def test_no_thread_stays_behind(redis: StoreClient) -> None:
    # It would hold the connections of its store for as long as the process lives.
    wait_until_told()
    before = threading.active_count()
    for _ in range(20):
        Bell(Agenda(redis)).ring(OrganizationId("nobody"))
    assert threading.active_count() > before
    wait_until_told()
    assert threading.active_count() == before
