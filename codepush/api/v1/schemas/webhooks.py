"""Bodies of webhooks."""

from typing import Any

from marshmallow import fields, validate

from codepush.api.v1.schemas.base import (
    AnswerSchema,
    ListSchema,
    RequestSchema,
    about,
)
from codepush.domain.names import MAX_NAME
from codepush.domain.webhook_events import SUBSCRIBABLE, WebhookEvent
from codepush.domain.webhooks import Format
from codepush.net.urls import MAX_URL
from codepush.services.webhook_access import ShownWebhook

_MAX_DESCRIPTION = 200
_URL = "https://ci.example.com/hooks/codepush"
_ID = "Zr5vJQmOQ2yWk0b3hT8c1A"
_SECRET = "whsec_bm90IGEgcmVhbCBzZWNyZXQsIGp1c3QgYW4gZXhhbXBsZSE="
_EVENTS = "Which events it is told of; an empty list for all, also those to come."


class Subscribable(fields.String):
    """The name of an event that webhooks may be for; all but pings, which whoever asks gets."""

    def __init__(self, **options: Any):
        super().__init__(
            validate=validate.OneOf([event.value for event in SUBSCRIBABLE]), **options
        )

    def _deserialize(self, *args: Any, **options: Any) -> Any:
        name = super()._deserialize(*args, **options)
        known = {event.value: event for event in SUBSCRIBABLE}
        return known.get(name, name)  # of another, the validator says what is wrong


def _events() -> "fields.List[Any]":
    return fields.List(
        Subscribable(),
        validate=validate.Length(max=len(WebhookEvent)),
        metadata=about(_EVENTS, ["deployment.released", "deployment.rolled_back"]),
    )


class _WebhookBodySchema(RequestSchema):
    """What a webhook is made of."""

    format = fields.Enum(
        Format,
        by_value=fields.String,
        metadata=about(
            "`standard` for programs: JSON, signed as in Standard Webhooks. `slack`, `teams` and"
            " `discord` for the incoming webhooks of those chats: a short text.",
            "standard",
        ),
    )
    description = fields.String(
        validate=validate.Length(max=_MAX_DESCRIPTION),
        metadata=about("For people.", "Our build server"),
    )
    events = _events()
    app = fields.String(
        validate=validate.Length(max=MAX_NAME),
        metadata=about(
            "The only app it is told of, also when that is renamed; empty for all.", "MyApp-iOS"
        ),
    )
    deployment = fields.String(
        validate=validate.Length(max=MAX_NAME),
        metadata=about(
            "Name of the only deployments it is told of, in whatever app; empty for all.",
            "Production",
        ),
    )


def _url(**options: Any) -> fields.String:
    return fields.String(
        validate=validate.Length(1, MAX_URL),
        metadata=about("Where to post to; https, at a public address.", _URL, format="uri"),
        **options,
    )


class WebhookCreateSchema(_WebhookBodySchema):
    """What making a webhook takes."""

    url = _url(required=True)


class WebhookPatchSchema(_WebhookBodySchema):
    """What may be changed of a webhook."""

    url = _url()


class WebhookSchema(AnswerSchema):
    """A subscription to what happens in the organization."""

    id = fields.String(metadata=about("Its id.", _ID))
    url = fields.String(
        metadata=about("Where it posts to; of a chat's, which is a secret, the beginning.", _URL)
    )
    format = fields.Enum(
        Format, by_value=fields.String, metadata=about("What its requests look like.", "standard")
    )
    description = fields.String(metadata=about("For people.", "Our build server"))
    events = fields.List(
        fields.Enum(WebhookEvent, by_value=fields.String),
        metadata=about("Which events it is told of; empty for all.", ["deployment.released"]),
    )
    app = fields.String(
        allow_none=True, metadata=about("The only app it is told of, or null.", "MyApp-iOS")
    )
    deployment = fields.String(
        allow_none=True,
        metadata=about("Name of the only deployments it is told of, or null.", "Production"),
    )
    is_enabled = fields.Boolean(metadata=about("Whether it is called.", True))
    disabled_reason = fields.String(
        allow_none=True,
        metadata=about("Why it is not called, or null.", "the endpoint failed for 5 days"),
    )
    disabled_time = fields.Integer(
        allow_none=True,
        metadata=about("Since when, in epoch milliseconds, or null.", 1640995200000),
    )
    failing_since_time = fields.Integer(
        allow_none=True,
        metadata=about(
            "When the first attempt since the last success failed, in epoch milliseconds, or null."
            " After 5 days it is disabled.",
            1640563200000,
        ),
    )
    last_success_time = fields.Integer(
        allow_none=True,
        metadata=about(
            "When it last took something, in epoch milliseconds, or null.", 1640563100000
        ),
    )
    created_by = fields.String(metadata=about("E-mail address.", "user@example.com"))
    created_time = fields.Integer(
        metadata=about("When it was made, in epoch milliseconds.", 1640995200000)
    )

    def spell(self, shown: ShownWebhook) -> dict[str, Any]:
        """Return what stands in the answer."""
        webhook = shown.webhook
        return {
            "id": webhook.id,
            "url": shown.url,
            "format": webhook.format,
            "description": webhook.description,
            "events": sorted(webhook.events, key=list(WebhookEvent).index),
            "app": shown.app_name or None,
            "deployment": webhook.deployment or None,
            "is_enabled": webhook.disabled is None,
            "disabled_reason": webhook.disabled.value if webhook.disabled else None,
            "disabled_time": webhook.disabled_at_ms,
            "failing_since_time": webhook.failing_since_ms,
            "last_success_time": webhook.last_success_ms,
            "created_by": webhook.created_by,
            "created_time": webhook.created_at_ms,
        }


class WebhookAnswerSchema(AnswerSchema):
    """One webhook."""

    webhook = fields.Nested(WebhookSchema)


class NewSecretSchema(AnswerSchema):
    """A webhook with a secret just made."""

    webhook = fields.Nested(WebhookSchema)
    secret = fields.String(
        allow_none=True,
        metadata=about(
            "What its requests are signed with. It is shown only here. Null for a chat's.", _SECRET
        ),
    )


class WebhookListSchema(ListSchema):
    """Webhooks, oldest first."""

    webhooks = fields.List(fields.Nested(WebhookSchema))
