"""Bodies of deliveries of webhooks."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from marshmallow import ValidationError, fields

from codepush.api.v1.schemas.base import (
    AnswerSchema,
    Instant,
    ListSchema,
    RequestSchema,
    about,
)
from codepush.domain.webhook_events import WebhookEvent
from codepush.domain.webhook_formats import render
from codepush.domain.webhooks import Attempt, Delivery, Status

if TYPE_CHECKING:
    from codepush.services.webhook_access import ShownWebhook

_URL = "https://ci.example.com/hooks/codepush"
_DELIVERY_ID = "msg_0f8fad5bd9cb469fa16570867728950e"
_NOTICE = {
    "event": "deployment.released",
    "app": "MyApp-iOS",
    "deployment": "Production",
    "release": {
        "label": "v1",
        "appVersion": "1.0.0",
        "description": "Bug fixes and improvements",
    },
    "timestamp": "2024-01-01T00:00:00Z",
}


class Moment(fields.String):
    """ISO 8601 outside, epoch milliseconds inside; without an offset it is UTC."""

    def _deserialize(
        self,
        value: Any,
        attr: str | None,
        data: Mapping[str, Any] | None,
        **options: Any,
    ) -> Any:
        text = super()._deserialize(value, attr, data, **options)
        try:
            moment = datetime.fromisoformat(text)
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            return int(moment.timestamp() * 1_000)
        except (ValueError, OverflowError, OSError) as exc:
            raise ValidationError("Write a time such as 2024-01-01T00:00:00Z.") from exc


class ReplaySchema(RequestSchema):
    """What replaying takes."""

    since = Moment(
        required=True,
        metadata=about("The first moment.", "2024-01-01T00:00:00Z", format="date-time"),
    )
    until = Moment(
        required=True,
        metadata=about("The first moment after.", "2024-01-02T00:00:00Z", format="date-time"),
    )


class DeliverySchema(AnswerSchema):
    """One event on its way to one webhook."""

    id = fields.String(
        metadata=about("The `webhook-id` of its requests, the same in each attempt.", _DELIVERY_ID)
    )
    event = fields.Enum(
        WebhookEvent,
        by_value=fields.String,
        metadata=about("What it tells of.", "deployment.released"),
    )
    status = fields.Enum(
        Status,
        by_value=fields.String,
        metadata=about(
            "`waiting` for its first or next attempt, `delivered`, or `failed` for good.",
            "delivered",
        ),
    )
    attempt_count = fields.Integer(metadata=about("Attempts until now.", 1))
    status_code = fields.Integer(
        allow_none=True,
        metadata=about("Of the answer to the newest attempt, or null where none came.", 200),
    )
    error = fields.String(
        allow_none=True,
        metadata=about(
            "What went wrong in the newest attempt, or null.", "There was no answer within 15 s."
        ),
    )
    next_attempt_time = fields.Integer(
        allow_none=True,
        metadata=about("When it is tried next, in epoch milliseconds, or null.", 1640995205000),
    )
    created_time = fields.Integer(
        metadata=about("When it was made, in epoch milliseconds.", 1640995200000)
    )

    def spell(self, delivery: Delivery) -> dict[str, Any]:
        """Return what stands in the answer."""
        last = delivery.attempts[-1] if delivery.attempts else None
        return {
            "id": delivery.id,
            "event": delivery.notice.event,
            "status": delivery.status,
            "attempt_count": delivery.attempt_count,
            "status_code": last.status if last else None,
            "error": (last.error or None) if last else None,
            "next_attempt_time": delivery.next_at_ms,
            "created_time": delivery.created_at_ms,
        }


class DeliveryAnswerSchema(AnswerSchema):
    """One delivery."""

    delivery = fields.Nested(DeliverySchema)


class DeliveryListSchema(ListSchema):
    """Deliveries, newest first."""

    deliveries = fields.List(fields.Nested(DeliverySchema))


class AttemptSchema(AnswerSchema):
    """One request of a delivery."""

    time = Instant(
        timespec="milliseconds", metadata=about("When it was sent.", "2024-01-01T00:00:00.000Z")
    )
    duration = fields.Integer(metadata=about("How long it took, in milliseconds.", 120))
    status_code = fields.Integer(
        allow_none=True, metadata=about("Of the answer, or null where none came.", 200)
    )
    error = fields.String(
        allow_none=True,
        metadata=about("What went wrong, or null.", "There was no answer within 15 s."),
    )

    def spell(self, attempt: Attempt) -> dict[str, Any]:
        """Return what stands in the answer."""
        return {
            "time": attempt.at_ms,
            "duration": attempt.duration_ms,
            "status_code": attempt.status,
            "error": attempt.error or None,
        }


class SentSchema(AnswerSchema):
    """The newest request of a delivery."""

    url = fields.String(
        metadata=about("Where the webhook posts to now; of a chat's, the beginning.", _URL)
    )
    headers = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        metadata=about("Its headers.", {"webhook-id": _DELIVERY_ID}),
    )
    body = fields.String(metadata=about("Its body.", '{"event":"deployment.released"}'))


class ReceivedSchema(AnswerSchema):
    """The answer to the newest request of a delivery."""

    status_code = fields.Integer(metadata=about("Its status.", 200))
    headers = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        metadata=about("Some of its headers.", {"content-type": "text/plain"}),
    )
    body = fields.String(metadata=about("The first 4 KB of its body.", "ok"))


class DeliveryDetailsSchema(AnswerSchema):
    """A delivery with its newest attempts, and the newest request and response."""

    delivery = fields.Nested(DeliverySchema)
    payload = fields.Dict(
        keys=fields.String(), metadata=about("What it tells, before any rendering.", _NOTICE)
    )
    attempts = fields.List(
        fields.Nested(AttemptSchema),
        metadata=about("The newest 20, oldest first."),
    )
    request = fields.Nested(
        SentSchema,
        allow_none=True,
        metadata=about("The newest request, or null where none was sent."),
    )
    response = fields.Nested(
        ReceivedSchema,
        allow_none=True,
        metadata=about("The answer to it, or null where none came."),
    )

    def spell(self, held: dict[str, Any]) -> dict[str, Any]:
        """Return what stands in the answer."""
        shown: ShownWebhook = held["webhook"]
        delivery: Delivery = held["delivery"]
        last = delivery.attempts[-1] if delivery.attempts else None
        request = response = None
        if last and last.headers:
            body = render(delivery.notice, last.format).decode()
            request = {"url": shown.url, "headers": dict(last.headers), "body": body}
        if last and last.status is not None:
            response = {
                "status_code": last.status,
                "headers": dict(last.answer_headers),
                "body": last.answer,
            }
        return {
            "delivery": delivery,
            "payload": dict(delivery.notice.body),
            "attempts": list(delivery.attempts),
            "request": request,
            "response": response,
        }


class ReplayedSchema(AnswerSchema):
    """What replaying answers."""

    queued = fields.Integer(metadata=about("How many deliveries were queued.", 3))
