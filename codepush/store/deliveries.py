"""The queue of each webhook: what is due, who delivers it, and what came of it.

A worker takes a webhook, not a delivery: until it gives it back, or is silent for too long, nobody
else delivers for that webhook. So order and concurrency within a webhook are one process's matter.
What is due stays in the queue until its attempt is noted, so that a killed worker loses nothing.
"""

from collections.abc import Container, Sequence
from dataclasses import dataclass

import orjson

from codepush.domain.events import Event, encode_event
from codepush.domain.ids import DeliveryId, OrganizationId, WebhookId
from codepush.domain.webhook_events import Notice
from codepush.domain.webhooks import (
    FORGIVING,
    PATIENCE,
    Attempt,
    Delivery,
    Disabled,
    Status,
    place,
)
from codepush.store import keys
from codepush.store.connection import StoreClient
from codepush.store.delivery_log import DeliveryLog, encode_notice, id_in
from codepush.store.scripts import Scripts

KEPT_S = 30 * 86_400
"""How long a delivery is kept."""
MAX_LOG = 5_000
"""Deliveries of a webhook that are kept; beyond it the oldest leave, those that wait last."""
LONGEST_HOLD_MS = 20_000
"""How long a silent worker keeps a webhook: more than an attempt may take."""
MAX_ATTEMPTS = 20
"""Newest attempts of a delivery that are kept."""


@dataclass(frozen=True, slots=True)
class Handover:
    """One delivery to put into a queue."""

    id: DeliveryId
    webhook_id: WebhookId
    sequence: int
    notice: Notice


@dataclass(frozen=True, slots=True)
class Settlement:
    """What follows from an attempt.

    Attributes:
        next_at_ms: When to try again, or None.
        disable: Why to disable the webhook, if at once or after ``PATIENCE`` of failing.
        at_once: Whether it is to be disabled whatever came before.
        quiet_until_ms: Until when the endpoint asked to be left alone; 0 where it did not.
    """

    status: Status
    next_at_ms: int | None
    disable: Disabled = Disabled.FAILING
    at_once: bool = False
    quiet_until_ms: int = 0


class DeliveryStore:
    """Deliveries by webhook."""

    def __init__(self, client: StoreClient, scripts: Scripts, log: DeliveryLog):
        """Use ``client`` for reads and ``scripts`` for changes; find deliveries in ``log``."""
        self._client = client
        self._scripts = scripts
        self._log = log

    def head(self, organization_id: OrganizationId) -> int | None:
        """Return how far the audit chain was handed on, or None where nobody wants to know."""
        text = self._client.get(keys.webhook_head(organization_id))
        return int(text) if text is not None else None

    def hand_on(
        self,
        organization_id: OrganizationId,
        deliveries: Sequence[Handover],
        *,
        now_ms: int,
        head: tuple[int, int] | None = None,
        again: bool = False,
    ) -> bool:
        """Put deliveries into the queues of their webhooks, those that are enabled.

        Args:
            organization_id: Whose webhooks.
            deliveries: What is there already stays as it is.
            now_ms: When they are due.
            head: How far the audit chain was handed on before, and is with this.
            again: Whether to queue also what is there already.

        Returns:
            Whether it was done: not where somebody else moved the head.
        """
        old, new = ("", "") if head is None else (str(head[0]), str(head[1]))
        numbers: dict[str, int] = {}
        texts: list[str] = []
        touched: list[str] = []
        args: list[str | int] = []
        for each in deliveries:
            text, digest = encode_notice(each.notice)
            if digest not in numbers:
                numbers[digest] = len(numbers) + 1
                texts.append(text)
            touched += [
                keys.webhook(organization_id, each.webhook_id),
                keys.queue(organization_id, each.webhook_id),
                keys.delivery_log(organization_id, each.webhook_id),
                keys.delivery(organization_id, each.webhook_id, each.id),
            ]
            member = place(each.sequence, each.notice.event, each.id)
            args += [each.webhook_id, member, each.sequence, digest, numbers[digest]]
        first = [keys.webhook_head(organization_id), keys.webhook_queue(organization_id)]
        notices = [keys.notice(organization_id, digest) for digest in numbers]
        bounds: list[str | int] = [old, new, now_ms, KEPT_S, MAX_LOG, int(again), len(texts)]
        left = self._scripts.run("hand_on", [*first, *notices, *touched], [*bounds, *texts, *args])
        if left is None:
            return False
        gone = zip(map(WebhookId, left[::2]), map(id_in, left[1::2]), strict=True)
        self._log.drop(organization_id, gone)
        return True

    def due_webhooks(self, organization_id: OrganizationId, now_ms: int) -> list[WebhookId]:
        """Return the webhooks that something is due for, longest due first."""
        found = self._client.zrangebyscore(keys.webhook_queue(organization_id), "-inf", now_ms)
        return [WebhookId(text) for text in found]

    def next_due(self, organization_id: OrganizationId) -> int | None:
        """Return when something is due for any webhook, or None for never."""
        index = keys.webhook_queue(organization_id)
        first = self._client.zrange(index, 0, 0)
        score = self._client.zscore(index, first[0]) if first else None
        return None if score is None else int(score)

    def waiting(self, organization_id: OrganizationId, webhook_id: WebhookId) -> int:
        """Return how many deliveries wait for an attempt."""
        return int(self._client.zcount(keys.queue(organization_id, webhook_id), "-inf", "+inf"))

    def claim(
        self,
        organization_id: OrganizationId,
        webhook_id: WebhookId,
        holder: str,
        *,
        now_ms: int,
        until_ms: int,
        count: int,
        known: Container[DeliveryId] = (),
    ) -> list[Delivery] | None:
        """Take a webhook, or hold it longer, and return what is due, in the order of its queue.

        None where the webhook is not the holder's: another has it, it is disabled or gone.

        Args:
            organization_id: Whose webhook.
            webhook_id: The webhook.
            holder: Who takes it.
            now_ms: What is due until then is due.
            until_ms: When others may take it, unless it is given back before.
            count: How many at most.
            known: Left out.
        """
        members = self._scripts.run(
            "claim_webhook",
            self._keys(organization_id, webhook_id),
            [webhook_id, holder, now_ms, until_ms, count],
        )
        if members is None:
            return None
        due = {id_in(member): member for member in members}
        wanted = [each for each in due if each not in known]
        found = self._log.get_many(organization_id, webhook_id, wanted)
        for each in wanted:
            if each not in found:  # it left the log, or is too old
                self._client.zrem(keys.queue(organization_id, webhook_id), due[each])
        return list(found.values())

    def let_go(self, organization_id: OrganizationId, webhook_id: WebhookId, holder: str) -> None:
        """Give a webhook back."""
        self._scripts.run(
            "let_go_webhook", self._keys(organization_id, webhook_id), [webhook_id, holder]
        )

    def shift(
        self, organization_id: OrganizationId, webhook_id: WebhookId, before_ms: int, now_ms: int
    ) -> None:
        """Bring all that a webhook waits for forward, since a clock jumped back.

        Args:
            organization_id: Whose webhook.
            webhook_id: The webhook.
            before_ms: What the clock showed before. Once it is done for one such time, it is done.
            now_ms: What it shows now.
        """
        webhook, queue, index = self._keys(organization_id, webhook_id)
        self._scripts.run(
            "shift_webhook",
            [webhook, queue, keys.delivery_log(organization_id, webhook_id), index],
            [webhook_id, before_ms, now_ms, LONGEST_HOLD_MS],
        )

    def settle(
        self,
        organization_id: OrganizationId,
        delivery: Delivery,
        attempt: Attempt,
        outcome: Settlement,
        *,
        url: str,
        event: Event,
    ) -> bool:
        """Note an attempt and what follows from it.

        Args:
            organization_id: Whose webhook.
            delivery: As it was claimed.
            attempt: The attempt.
            outcome: What follows.
            url: That was called, encrypted; for a webhook that has another by now, nothing follows.
            event: Logged if the webhook is disabled by it.

        Returns:
            Whether the webhook was disabled.
        """
        index = keys.webhook_queue(organization_id)
        queue = keys.queue(organization_id, delivery.webhook_id)
        summary = {
            "at_ms": attempt.at_ms,
            "duration_ms": attempt.duration_ms,
            "status": attempt.status,
            "error": attempt.error,
        }
        newest = {
            "headers": attempt.headers,
            "format": attempt.format,
            "answer": attempt.answer,
            "answer_headers": attempt.answer_headers,
        }
        reply = self._scripts.run(
            "settle",
            [
                keys.webhook(organization_id, delivery.webhook_id),
                queue,
                keys.delivery(organization_id, delivery.webhook_id, delivery.id),
                index,
                keys.organization_log(organization_id),
            ],
            [
                delivery.webhook_id,
                delivery.place,
                delivery.attempt_count,
                orjson.dumps(summary).decode(),
                orjson.dumps(newest).decode(),
                outcome.status.value,
                delivery.stage + 1,
                "" if outcome.next_at_ms is None else outcome.next_at_ms,
                attempt.at_ms + attempt.duration_ms,
                int(attempt.is_success),
                int(outcome.at_once),
                int(PATIENCE.total_seconds() * 1_000),
                outcome.disable.value,
                encode_event(event),
                MAX_ATTEMPTS,
                attempt.duration_ms,
                int(FORGIVING.total_seconds() * 1_000),
                outcome.quiet_until_ms,
                delivery.asked,
                url,
            ],
        )
        return bool(reply == 2)

    def _keys(self, organization_id: OrganizationId, webhook_id: WebhookId) -> list[str]:
        return [
            keys.webhook(organization_id, webhook_id),
            keys.queue(organization_id, webhook_id),
            keys.webhook_queue(organization_id),
        ]
