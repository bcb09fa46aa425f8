"""When organizations are looked at for webhooks."""

from codepush.domain.ids import OrganizationId
from codepush.store.agenda import LOOK_AGAIN_MS, Agenda
from codepush.store.connection import StoreClient

NOW_MS = 1_750_000_000_000


def test_who_was_looked_at_is_looked_at_again_after_a_while(redis: StoreClient) -> None:
    agenda, organization_id = Agenda(redis), OrganizationId("one")
    agenda.enter(organization_id)
    assert agenda.due(NOW_MS) == [organization_id]
    agenda.begin(organization_id, NOW_MS)
    assert agenda.due(NOW_MS + LOOK_AGAIN_MS - 1) == []
    assert agenda.due(NOW_MS + LOOK_AGAIN_MS) == [organization_id]
