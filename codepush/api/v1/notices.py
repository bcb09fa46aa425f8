"""The requests of webhooks, in the ``webhooks`` section of the OpenAPI document."""

from typing import Any

from apispec import APISpec

from codepush.api.v1.schemas.base import example_of
from codepush.api.v1.schemas.notices import notice_schema
from codepush.domain.webhook_events import WebhookEvent

_HEADERS = {
    "webhook-id": "The same in each attempt: tells a repetition from a second event.",
    "webhook-timestamp": "When this attempt was made, in epoch seconds.",
    "webhook-signature": (
        "`v1,` and the base64 of an HMAC-SHA256 over `id.timestamp.body`, as in Standard Webhooks;"
        " two with a space between while a secret is being replaced."
    ),
}


def document(spec: APISpec) -> dict[str, Any]:
    """Return the section, with its schemas added to the components of ``spec``."""
    return {event.value: {"post": _operation(spec, event)} for event in WebhookEvent}


def _operation(spec: APISpec, event: WebhookEvent) -> dict[str, Any]:
    meaning, schema = notice_schema(event)
    name = schema.__name__.removesuffix("Schema")
    spec.components.schema(name, schema=schema)
    return {
        "summary": meaning,
        "tags": ["webhooks"],
        "security": [],
        "parameters": [
            {
                "in": "header",
                "name": header,
                "required": True,
                "description": description,
                "schema": {"type": "string"},
            }
            for header, description in _HEADERS.items()
        ],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"$ref": f"#/components/schemas/{name}"},
                    "example": example_of(schema()),
                }
            },
        },
        "responses": {
            "2XX": {"description": "It was taken."},
            "410": {"description": "Disables the webhook."},
            "default": {"description": "It is sent again later, up to nine times in three days."},
        },
    }
