"""Hands what happened in an organization on to the queues of its webhooks.

The audit chain is the outbox: an event enters it once, and how far it was handed on moves in the
same step as its deliveries are queued. So each event that happened becomes one delivery for each
webhook that wants it, whoever is killed when.
"""

from codepush.domain.events import Event
from codepush.domain.ids import OrganizationId
from codepush.domain.webhook_events import Notice, notices
from codepush.domain.webhooks import Webhook, delivery_id
from codepush.services.clock import Clock
from codepush.store.audit import AuditEntry
from codepush.store.deliveries import Handover
from codepush.store.stores import Stores

_ENTRIES = 100
_DELIVERIES = 200
"""Queued in one step."""


class HandingOn:
    """Turns events into deliveries."""

    def __init__(self, stores: Stores, clock: Clock):
        """Use ``stores``."""
        self._stores = stores
        self._clock = clock

    def keep_up(self, organization_id: OrganizationId) -> None:
        """Queue deliveries of everything that happened in an organization until now."""
        while not self.step(organization_id):
            pass

    def step(self, organization_id: OrganizationId) -> bool:
        """Queue some deliveries of what happened in an organization; tells whether that was all."""
        stores = self._stores
        if stores.deliveries.head(organization_id) is None:
            return True
        stores.audit.fold(organization_id)
        head = stores.deliveries.head(organization_id)
        if head is None:
            return True
        entries = stores.audit.after(organization_id, head, count=_ENTRIES)
        webhooks = stores.webhooks.list_of(organization_id) if entries else []
        taken = 0
        batch: list[Handover] = []
        for entry in entries:
            found = handovers(entry, webhooks)
            if taken and len(batch) + len(found) > _DELIVERIES:
                break
            batch += found
            taken += 1
        is_done = True
        if taken:
            # Where somebody else moved the head, the next step begins from there.
            is_done = stores.deliveries.hand_on(
                organization_id,
                batch,
                now_ms=self._clock(),
                head=(head, entries[taken - 1].sequence),
            )
        return is_done and taken == len(entries) < _ENTRIES


def handovers(entry: AuditEntry, webhooks: list[Webhook]) -> list[Handover]:
    """Return the deliveries that an event means for some webhooks."""
    return [
        handover(entry.event, notice, webhook, entry.sequence)
        for notice in notices(entry.event)
        for webhook in webhooks
        if entry.sequence > webhook.since and webhook.wants(notice)
    ]


def handover(event: Event, notice: Notice, webhook: Webhook, sequence: int) -> Handover:
    """Return the delivery of one notice to one webhook."""
    return Handover(delivery_id(event.id, notice.event, webhook.id), webhook.id, sequence, notice)
