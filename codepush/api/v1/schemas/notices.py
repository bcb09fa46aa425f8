"""What the requests of webhooks carry, for the OpenAPI document."""

from typing import Any

from marshmallow import fields, validate

from codepush.api.v1.schemas.base import AnswerSchema, about
from codepush.domain.webhook_events import WebhookEvent


class NoticeReleaseSchema(AnswerSchema):
    """The release that something happened to."""

    label = fields.String(metadata=about("Its label.", "v1"))
    app_version = fields.String(metadata=about("Binary versions it is for.", "1.0.0"))
    description = fields.String(metadata=about("Its notes.", "Bug fixes and improvements"))


class NoticeSourceSchema(AnswerSchema):
    """The release that a new one is a copy of."""

    deployment = fields.String(metadata=about("Name of its deployment.", "Staging"))
    label = fields.String(metadata=about("Its label.", "v7"))


class NoticeChangesSchema(AnswerSchema):
    """Fields of a release that changed: `appVersion`, `description`, `isMandatory` and so on.

    Texts are cut to 200 characters.
    """

    before = fields.Dict(keys=fields.String(), metadata=about("As they were.", {"rollout": 25}))
    after = fields.Dict(keys=fields.String(), metadata=about("As they are.", {"rollout": 50}))


class NoticeRolloutSchema(AnswerSchema):
    """A rollout that went up."""

    before = fields.Integer(metadata=about("Percent of devices, as it was.", 25))
    after = fields.Integer(metadata=about("Percent of devices, as it is.", 50))


class NoticeCollaboratorSchema(AnswerSchema):
    """Whom an app is shared with, or was."""

    email = fields.String(metadata=about("E-mail address.", "user@example.com"))


_APP = {"app": lambda: fields.String(metadata=about("Name of the app.", "MyApp-iOS"))}
_DEPLOYMENT = _APP | {
    "deployment": lambda: fields.String(metadata=about("Name of the deployment.", "Production"))
}
_RELEASE = _DEPLOYMENT | {"release": lambda: fields.Nested(NoticeReleaseSchema)}
_SOURCE = _RELEASE | {"source": lambda: fields.Nested(NoticeSourceSchema)}
_ROLLOUT = _RELEASE | {"rollout": lambda: fields.Nested(NoticeRolloutSchema)}
_COLLABORATOR = _APP | {"collaborator": lambda: fields.Nested(NoticeCollaboratorSchema)}

_BODIES: dict[WebhookEvent, tuple[str, Any]] = {
    WebhookEvent.DEPLOYMENT_RELEASED: ("A package was released.", _RELEASE),
    WebhookEvent.DEPLOYMENT_PROMOTED: ("A release of another deployment was released.", _SOURCE),
    WebhookEvent.DEPLOYMENT_ROLLED_BACK: ("An earlier release was released again.", _SOURCE),
    WebhookEvent.DEPLOYMENT_CLEARED: ("All releases of a deployment were removed.", _DEPLOYMENT),
    WebhookEvent.RELEASE_UPDATED: (
        "Properties of a release were changed.",
        _RELEASE | {"changes": lambda: fields.Nested(NoticeChangesSchema)},
    ),
    WebhookEvent.ROLLOUT_ADVANCED: (
        "A rollout was raised; comes after its release.updated.",
        _ROLLOUT,
    ),
    WebhookEvent.ROLLOUT_COMPLETED: (
        "A rollout was raised to 100 %; comes after its release.updated.",
        _ROLLOUT,
    ),
    WebhookEvent.APP_CREATED: ("An app was made.", _APP),
    WebhookEvent.APP_DELETED: ("An app was deleted.", _APP),
    WebhookEvent.COLLABORATOR_ADDED: ("An app was shared with somebody.", _COLLABORATOR),
    WebhookEvent.COLLABORATOR_REMOVED: (
        "An app is no longer shared with somebody.",
        _COLLABORATOR,
    ),
    WebhookEvent.PING: ("Somebody asked for a ping.", {}),
}


def notice_schema(event: WebhookEvent) -> tuple[str, type[AnswerSchema]]:
    """Return what an event means, and the schema of its body."""
    meaning, makers = _BODIES[event]
    name = "".join(part.capitalize() for part in event.value.replace("_", ".").split("."))
    members: dict[str, Any] = {
        "__doc__": meaning,
        "event": fields.String(
            validate=validate.OneOf([event.value]), metadata=about("What happened.", event.value)
        ),
        **{field: make() for field, make in makers.items()},
        "timestamp": fields.String(
            metadata=about("When it happened.", "2024-01-01T00:00:00Z", format="date-time")
        ),
    }
    return meaning, type(f"{name}NoticeSchema", (AnswerSchema,), members)
