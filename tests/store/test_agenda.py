"""When organizations are looked at for webhooks."""

from codepush.domain.ids import OrganizationId
from codepush.store.agenda import LOOK_AGAIN_MS, Agenda
from codepush.store.connection import StoreClient

HOUR_MS = 3_600_000
NOW_MS = 500 * HOUR_MS


def test_who_was_looked_at_is_looked_at_again_after_a_while(redis: StoreClient) -> None:
    agenda, organization_id = Agenda(redis), OrganizationId("one")
    agenda.enter(organization_id, NOW_MS)
    assert agenda.due(NOW_MS) == [organization_id]
    agenda.begin(organization_id, NOW_MS)
    assert agenda.due(NOW_MS + LOOK_AGAIN_MS - 1) == []
    assert agenda.due(NOW_MS + LOOK_AGAIN_MS) == [organization_id]


def test_a_clock_that_jumps_back_puts_nobody_off(redis: StoreClient) -> None:
    agenda = Agenda(redis)
    first, second, third = (OrganizationId(each) for each in ("one", "two", "three"))
    for each in (first, second):
        agenda.enter(each, NOW_MS)
        agenda.begin(each, NOW_MS)
    earlier_ms = NOW_MS - HOUR_MS
    agenda.enter(third, earlier_ms)
    assert agenda.due(earlier_ms) == [third, first, second]
    assert agenda.due(earlier_ms, 2) == [third, first]
    for each in (first, second, third):
        agenda.begin(each, earlier_ms)
    assert agenda.due(earlier_ms) == []


def test_clocks_of_workers_may_differ_a_little(redis: StoreClient) -> None:
    agenda, organization_id = Agenda(redis), OrganizationId("one")
    agenda.enter(organization_id, NOW_MS)
    agenda.begin(organization_id, NOW_MS)
    assert agenda.due(NOW_MS - LOOK_AGAIN_MS) == []
