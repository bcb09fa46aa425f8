"""The log of each webhook: its deliveries as they are kept, with what they tell.

What is told is kept once for all webhooks of an organization, until the last delivery that tells it
leaves its log, or else until it is too old.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import orjson

from codepush.domain.errors import NotFoundError
from codepush.domain.ids import DeliveryId, OrganizationId, WebhookId, is_id
from codepush.domain.webhook_events import Notice, WebhookEvent
from codepush.domain.webhooks import Attempt, Delivery, Format, Status
from codepush.store import keys
from codepush.store.connection import StoreClient
from codepush.store.damage import read
from codepush.store.scripts import Scripts

_BATCH = 500


class DeliveryLog:
    """Deliveries by webhook."""

    def __init__(self, client: StoreClient, scripts: Scripts):
        """Use ``client`` for reads and ``scripts`` for changes."""
        self._client = client
        self._scripts = scripts

    def get_many(
        self,
        organization_id: OrganizationId,
        webhook_id: WebhookId,
        ids: Iterable[DeliveryId],
    ) -> dict[DeliveryId, Delivery]:
        """Return those deliveries that are still kept, in the order of ``ids``."""
        wanted = list(ids)
        pipe = self._client.pipeline(transaction=False)
        for each in wanted:
            pipe.hgetall(keys.delivery(organization_id, webhook_id, each))
        records = dict(zip(wanted, pipe.execute(), strict=True))
        digests = list(dict.fromkeys(r["notice"] for r in records.values() if "notice" in r))
        for digest in digests:
            pipe.hget(keys.notice(organization_id, digest), "text")
        texts = dict(zip(digests, pipe.execute(), strict=True))
        found = {}
        for each, record in records.items():
            text = texts.get(record.get("notice", ""))
            if text:
                key = keys.delivery(organization_id, webhook_id, each)
                found[each] = read(key, decode_delivery, webhook_id, each, record, text)
        return found

    def get(
        self, organization_id: OrganizationId, webhook_id: WebhookId, delivery_id: DeliveryId
    ) -> Delivery:
        """Return a delivery.

        Raises:
            NotFoundError: There is none of that id, or not any more.
        """
        wanted = [delivery_id] if is_id(delivery_id) else []
        found = self.get_many(organization_id, webhook_id, wanted)
        if delivery_id not in found:
            raise NotFoundError("There is no such delivery. Deliveries are kept for 30 days.")
        return found[delivery_id]

    def newest(
        self,
        organization_id: OrganizationId,
        webhook_id: WebhookId,
        *,
        after: tuple[int, str] | None,
        count: int,
    ) -> list[Delivery]:
        """Return deliveries, newest first.

        Args:
            organization_id: Whose webhook.
            webhook_id: The webhook.
            after: Time and place of the one to go on after; None for the newest.
            count: How many at most.
        """
        log = keys.delivery_log(organization_id, webhook_id)
        start = 0
        if after is not None:
            rank = self._client.zrevrank(log, after[1])
            # The row it names may have left: all that are left from its time on come before it.
            start = self._client.zcount(log, after[0], "+inf") if rank is None else rank + 1
        members = self._client.zrange(log, start, start + count - 1, desc=True)
        found = self.get_many(organization_id, webhook_id, map(id_in, members))
        return list(found.values())

    def forget(
        self, organization_id: OrganizationId, webhook_id: WebhookId, *, before_ms: int
    ) -> None:
        """Drop from the log what was made before a time; the records go by themselves."""
        pipe = self._client.pipeline(transaction=False)
        log = keys.delivery_log(organization_id, webhook_id)
        pipe.zremrangebyscore(log, "-inf", f"({before_ms}")
        pipe.execute()

    def forget_all(self, organization_id: OrganizationId, webhook_id: WebhookId) -> None:
        """Drop every delivery of a webhook that is about to be deleted."""
        members = self._client.zrange(keys.delivery_log(organization_id, webhook_id), 0, -1)
        for start in range(0, len(members), _BATCH):
            wanted = [id_in(member) for member in members[start : start + _BATCH]]
            self.drop(organization_id, [(webhook_id, each) for each in wanted])

    def drop(
        self, organization_id: OrganizationId, left: Iterable[tuple[WebhookId, DeliveryId]]
    ) -> None:
        """Remove deliveries that left their logs, and what only they told."""
        wanted = list(left)
        pipe = self._client.pipeline(transaction=False)
        for webhook_id, delivery_id in wanted:
            pipe.hget(keys.delivery(organization_id, webhook_id, delivery_id), "notice")
        touched = [
            key
            for (webhook_id, delivery_id), digest in zip(wanted, pipe.execute(), strict=True)
            if digest
            for key in (
                keys.delivery(organization_id, webhook_id, delivery_id),
                keys.notice(organization_id, digest),
            )
        ]
        if touched:
            self._scripts.run("drop_deliveries", touched)


def encode_notice(notice: Notice) -> tuple[str, str]:
    """Return what is kept of a notice, and the name that it is kept under."""
    record = {
        "event": notice.event.value,
        "app_id": notice.app_id,
        "deployment": notice.deployment,
        "body": notice.body,
    }
    text = orjson.dumps(record).decode()
    return text, hashlib.sha256(text.encode()).hexdigest()[:32]


def decode_notice(text: str) -> Notice:
    """Return the notice that ``encode_notice`` made a text of."""
    record = orjson.loads(text)
    return Notice(
        WebhookEvent(record["event"]), record["body"], record["app_id"], record["deployment"]
    )


def id_in(member: str) -> DeliveryId:
    """Return the id in a member of a queue or log."""
    return DeliveryId(member.partition("~")[2])


def decode_delivery(
    webhook_id: WebhookId, delivery_id: DeliveryId, record: Mapping[str, Any], text: str
) -> Delivery:
    """Return the delivery in a stored record, given the text of its notice."""
    total = int(record["attempts"])
    attempts = [
        Attempt(**orjson.loads(record[f"attempt:{number}"]))
        for number in range(1, total + 1)
        if f"attempt:{number}" in record
    ]
    if attempts:
        newest = orjson.loads(record["last"])
        newest["format"] = Format(newest["format"])
        attempts[-1] = replace(attempts[-1], **newest)
    return Delivery(
        id=delivery_id,
        webhook_id=webhook_id,
        sequence=int(record["sequence"]),
        notice=decode_notice(text),
        created_at_ms=int(record["created_at_ms"]),
        status=Status(record["status"]),
        stage=int(record["stage"]),
        asked=int(record.get("asked", "0")),
        next_at_ms=int(record["next_at_ms"]) if record["next_at_ms"] else None,
        attempt_count=total,
        attempts=tuple(attempts),
    )
