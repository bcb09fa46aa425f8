"""Webhooks of the organization that a token carries, and what was delivered to them."""

from typing import Any

from codepush.api.v1.blueprint import SeedBlueprint
from codepush.api.v1.schemas.deliveries import (
    DeliveryAnswerSchema,
    DeliveryDetailsSchema,
    DeliveryListSchema,
    ReplayedSchema,
    ReplaySchema,
)
from codepush.api.v1.schemas.webhooks import (
    NewSecretSchema,
    WebhookAnswerSchema,
    WebhookCreateSchema,
    WebhookListSchema,
    WebhookPatchSchema,
)
from codepush.services.webhooks import WebhookChanges
from codepush.web.auth import principal
from codepush.web.context import services
from codepush.web.paging import Page, bad_cursor

blueprint = SeedBlueprint(
    "webhooks",
    "Requests that this server makes when something happens. All of it needs the role Owner or"
    " Admin in the token's organization.",
)
_ONE = "/webhooks/<webhookId>"
_DELIVERY = f"{_ONE}/deliveries/<deliveryId>"
_TO_WEBHOOK = {"webhookId": "$response.body#/webhook/id"}
_LINKS = {
    "get": ("getWebhook", _TO_WEBHOOK),
    "delete": ("deleteWebhook", _TO_WEBHOOK),
    "ping": ("pingWebhook", _TO_WEBHOOK),
    "listDeliveries": ("listDeliveries", _TO_WEBHOOK),
}


@blueprint.serves("GET", "/webhooks", WebhookListSchema, is_paged=True)
def list_webhooks(page: Page) -> dict[str, Any]:
    """List the organization's webhooks, oldest first."""
    found = services().webhooks.list_of(principal())
    return page.cut("webhooks", found, lambda each: (each.webhook.created_at_ms, each.webhook.id))


@blueprint.serves(
    "POST",
    "/webhooks",
    NewSecretSchema,
    status=201,
    body=WebhookCreateSchema,
    errors=(404, 409),
    links=_LINKS,
)
def create_webhook(body: dict[str, Any]) -> dict[str, Any]:
    """Make a webhook.

    It is told of what happens from then on. The answer is the only place that ever shows its
    secret.
    """
    made, secret = services().webhooks.create(principal(), WebhookChanges(**body))
    return {"webhook": made, "secret": secret or None}


@blueprint.serves("GET", _ONE, WebhookAnswerSchema)
def get_webhook(webhook_id: str) -> dict[str, Any]:
    """Read a webhook."""
    return {"webhook": services().webhooks.get(principal(), webhook_id)}


@blueprint.serves("PATCH", _ONE, WebhookAnswerSchema, body=WebhookPatchSchema, errors=(409,))
def update_webhook(body: dict[str, Any], webhook_id: str) -> dict[str, Any]:
    """Change a webhook."""
    changed = services().webhooks.update(principal(), webhook_id, WebhookChanges(**body))
    return {"webhook": changed}


@blueprint.deletes(_ONE)
def delete_webhook(webhook_id: str) -> dict[str, Any]:
    """Delete a webhook with its deliveries."""
    services().webhooks.delete(principal(), webhook_id)
    return {"deleted": True}


@blueprint.serves("POST", f"{_ONE}/enable", WebhookAnswerSchema)
def enable_webhook(webhook_id: str) -> dict[str, Any]:
    """Enable a webhook. It is called again, first with what waits for it."""
    return {"webhook": services().webhooks.enable(principal(), webhook_id)}


@blueprint.serves("POST", f"{_ONE}/disable", WebhookAnswerSchema)
def disable_webhook(webhook_id: str) -> dict[str, Any]:
    """Disable a webhook. What happens meanwhile is not queued; replay it if you want it."""
    return {"webhook": services().webhooks.disable(principal(), webhook_id)}


@blueprint.serves(
    "POST",
    f"{_ONE}/ping",
    DeliveryAnswerSchema,
    status=201,
    errors=(409,),
    links={
        "get": (
            "getDelivery",
            {"webhookId": "$request.path.webhookId", "deliveryId": "$response.body#/delivery/id"},
        )
    },
)
def ping_webhook(webhook_id: str) -> dict[str, Any]:
    """Send the event `ping` to a webhook, to see whether it works."""
    return {"delivery": services().webhook_deliveries.ping(principal(), webhook_id)}


@blueprint.serves("POST", f"{_ONE}/rotate-secret", NewSecretSchema, errors=(409,))
def rotate_webhook_secret(webhook_id: str) -> dict[str, Any]:
    """Give a webhook a new secret. For 24 hours the one before signs beside it."""
    changed, secret = services().webhooks.rotate_secret(principal(), webhook_id)
    return {"webhook": changed, "secret": secret}


@blueprint.serves("GET", f"{_ONE}/deliveries", DeliveryListSchema, is_paged=True)
def list_deliveries(page: Page, webhook_id: str) -> dict[str, Any]:
    """List the deliveries to a webhook, newest first.

    They are kept for 30 days, the newest 5,000.
    """
    match page.position("deliveries"):
        case None:
            after = None
        case (int(created_at_ms), str(place)):
            after = (created_at_ms, place)
        case _:
            raise bad_cursor()
    found = services().webhook_deliveries.list_of(
        principal(), webhook_id, after=after, count=page.limit + 1
    )
    return page.answer("deliveries", found, lambda each: (each.created_at_ms, each.place))


@blueprint.serves("GET", _DELIVERY, DeliveryDetailsSchema)
def get_delivery(webhook_id: str, delivery_id: str) -> dict[str, Any]:
    """Read a delivery with its attempts, and the newest request and response."""
    webhook, delivery = services().webhook_deliveries.get(principal(), webhook_id, delivery_id)
    return {"webhook": webhook, "delivery": delivery}


@blueprint.serves("POST", f"{_DELIVERY}/redeliver", DeliveryAnswerSchema, errors=(409,))
def redeliver_delivery(webhook_id: str, delivery_id: str) -> dict[str, Any]:
    """Send a delivery again, under the same `webhook-id`, with all its retries."""
    return {
        "delivery": services().webhook_deliveries.redeliver(principal(), webhook_id, delivery_id)
    }


@blueprint.serves("POST", f"{_ONE}/replay", ReplayedSchema, body=ReplaySchema, errors=(409,))
def replay_webhook(body: dict[str, Any], webhook_id: str) -> dict[str, Any]:
    """Send everything again that happened in a span of time.

    Also what was never sent, because the webhook was disabled or not there yet.
    """
    queued = services().webhook_deliveries.replay(
        principal(), webhook_id, body["since"], body["until"]
    )
    return {"queued": queued}
