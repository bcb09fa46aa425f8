"""Webhooks: the subscriptions of organizations."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from codepush.domain.errors import ConflictError, NotFoundError
from codepush.domain.events import Event, encode_event
from codepush.domain.ids import AppId, OrganizationId, WebhookId, is_id
from codepush.domain.webhook_events import WebhookEvent
from codepush.domain.webhooks import Disabled, Format, Webhook
from codepush.store import keys
from codepush.store.connection import StoreClient
from codepush.store.damage import read
from codepush.store.scripts import Scripts

MAX_WEBHOOKS = 100
"""Of an organization."""


class WebhookStore:
    """Webhooks by organization."""

    def __init__(self, client: StoreClient, scripts: Scripts):
        """Use ``client`` for reads and ``scripts`` for changes."""
        self._client = client
        self._scripts = scripts

    def create(self, webhook: Webhook, *, event: Event) -> None:
        """Add a webhook, and log it.

        Raises:
            ConflictError: The organization has too many.
        """
        organization_id = webhook.organization_id
        fields = _encode(webhook)
        reply = self._scripts.run(
            "create_webhook",
            [
                keys.webhooks(organization_id),
                keys.webhook(organization_id, webhook.id),
                keys.webhook_head(organization_id),
                keys.organization_log(organization_id),
            ],
            [
                MAX_WEBHOOKS,
                webhook.id,
                webhook.since,
                encode_event(event),
                *(text for pair in fields.items() for text in pair),
            ],
        )
        if reply != 1:
            raise ConflictError(
                f"The organization has {MAX_WEBHOOKS} webhooks, which is the limit. Delete one"
                " first."
            )

    def list_of(self, organization_id: OrganizationId) -> list[Webhook]:
        """Return all webhooks of an organization, oldest first."""
        return self.get_many(organization_id, self.ids_of(organization_id))

    def ids_of(self, organization_id: OrganizationId) -> list[WebhookId]:
        """Return the ids of all webhooks of an organization; some may be gone."""
        return [WebhookId(text) for text in self._client.smembers(keys.webhooks(organization_id))]

    def get_many(self, organization_id: OrganizationId, ids: Sequence[WebhookId]) -> list[Webhook]:
        """Return those webhooks that are there, oldest first."""
        pipe = self._client.pipeline(transaction=False)
        for each in ids:
            pipe.hgetall(keys.webhook(organization_id, each))
        records = pipe.execute()
        found = [
            _read(organization_id, each, record)
            for each, record in zip(ids, records, strict=True)
            if record
        ]
        return sorted(found, key=lambda webhook: (webhook.created_at_ms, webhook.id))

    def get(self, organization_id: OrganizationId, webhook_id: WebhookId) -> Webhook:
        """Return a webhook.

        Raises:
            NotFoundError: The organization has none of that id.
        """
        if not is_id(webhook_id):
            raise _gone()
        record = self._client.hgetall(keys.webhook(organization_id, webhook_id))
        if not record:
            raise _gone()
        return _read(organization_id, webhook_id, record)

    def change(self, before: Webhook, after: Webhook, *, event: Event, only: str = "") -> None:
        """Write those fields of a webhook that differ, and log it.

        Args:
            before: The webhook as it was read.
            after: The webhook as it is to be.
            event: Logged with it.
            only: Field that must still be as it was ``before``.

        Raises:
            NotFoundError: It is gone.
            ConflictError: That field was changed by somebody else.
        """
        organization_id = after.organization_id
        old = _encode(before)
        fields = {name: text for name, text in _encode(after).items() if text != old[name]}
        reply = self._scripts.run(
            "change_webhook",
            [
                keys.webhook(organization_id, after.id),
                keys.queue(organization_id, after.id),
                keys.webhook_queue(organization_id),
                keys.organization_log(organization_id),
            ],
            [
                after.id,
                encode_event(event),
                only,
                old[only] if only else "",
                *(text for pair in fields.items() for text in pair),
            ],
        )
        if reply == 0:
            raise _gone()
        if reply == -1:
            raise ConflictError(
                "Somebody else changed this webhook at the same moment. Read it and try again."
            )

    def reencrypt(self, before: Webhook, after: Webhook) -> None:
        """Write the encrypted fields again, unless they were changed since ``before`` was read."""
        self._scripts.run(
            "reencrypt_webhook",
            [keys.webhook(before.organization_id, before.id)],
            [
                text
                for name in ("url", "secrets")
                for text in (name, _encode(before)[name], _encode(after)[name])
            ],
        )

    def delete(self, webhook: Webhook, *, event: Event) -> None:
        """Remove a webhook and everything that waits for it, and log it.

        Raises:
            NotFoundError: It is gone already.
        """
        organization_id = webhook.organization_id
        reply = self._scripts.run(
            "delete_webhook",
            [
                keys.webhooks(organization_id),
                keys.webhook(organization_id, webhook.id),
                keys.queue(organization_id, webhook.id),
                keys.delivery_log(organization_id, webhook.id),
                keys.webhook_queue(organization_id),
                keys.organization_log(organization_id),
                keys.webhook_head(organization_id),
            ],
            [webhook.id, encode_event(event)],
        )
        if reply != 1:
            raise _gone()


def _gone() -> NotFoundError:
    return NotFoundError("There is no such webhook.")


def _encode(webhook: Webhook) -> dict[str, str]:
    return {
        "url": webhook.url,
        "format": webhook.format.value,
        "created_at_ms": str(webhook.created_at_ms),
        "created_by": webhook.created_by,
        "secrets": orjson.dumps(webhook.secrets).decode(),
        "retired_ms": orjson.dumps(webhook.retired_ms).decode(),
        "description": webhook.description,
        "events": orjson.dumps(sorted(event.value for event in webhook.events)).decode(),
        "app_id": webhook.app_id or "",
        "app_name": webhook.app_name,
        "deployment": webhook.deployment,
        "since": str(webhook.since),
        "disabled": webhook.disabled.value if webhook.disabled else "",
        "disabled_at_ms": _text(webhook.disabled_at_ms),
        "failing_since_ms": _text(webhook.failing_since_ms),
        "last_success_ms": _text(webhook.last_success_ms),
        "took_ms": _text(webhook.took_ms),
    }


def _read(
    organization_id: OrganizationId, webhook_id: WebhookId, record: dict[str, str]
) -> Webhook:
    key = keys.webhook(organization_id, webhook_id)
    return read(key, decode_webhook, organization_id, webhook_id, record)


def decode_webhook(
    organization_id: OrganizationId, webhook_id: WebhookId, record: Mapping[str, Any]
) -> Webhook:
    """Return the webhook in a stored record."""
    return Webhook(
        id=webhook_id,
        organization_id=organization_id,
        url=record["url"],
        format=Format(record["format"]),
        created_at_ms=int(record["created_at_ms"]),
        created_by=record["created_by"],
        secrets=tuple(orjson.loads(record["secrets"])),
        retired_ms=tuple(orjson.loads(record["retired_ms"])),
        description=record["description"],
        events=frozenset(map(WebhookEvent, orjson.loads(record["events"]))),
        app_id=AppId(record["app_id"]) if record["app_id"] else None,
        app_name=record["app_name"],
        deployment=record["deployment"],
        since=int(record["since"]),
        disabled=Disabled(record["disabled"]) if record["disabled"] else None,
        disabled_at_ms=_number(record["disabled_at_ms"]),
        failing_since_ms=_number(record["failing_since_ms"]),
        last_success_ms=_number(record["last_success_ms"]),
        took_ms=_number(record.get("took_ms", "")),
    )


def _text(number: int | None) -> str:
    return "" if number is None else str(number)


def _number(text: str) -> int | None:
    return int(text) if text else None
