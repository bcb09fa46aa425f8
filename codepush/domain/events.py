"""What happened: one record for the audit log, and later for webhooks.

An event is written in the same atomic step as the change it tells of, into a log beside what
changed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import orjson

from codepush.domain.ids import OrganizationId, TokenId, UserId


class Action(StrEnum):
    """Everything that is worth remembering. The names of webhook events are among them."""

    APP_CREATED = "app.created"
    APP_RENAMED = "app.renamed"
    APP_SIGNING_CHANGED = "app.signing_changed"
    APP_DELETED = "app.deleted"
    APP_TRANSFERRED = "app.transferred"
    APP_MOVED = "app.moved"
    COLLABORATOR_ADDED = "collaborator.added"
    COLLABORATOR_REMOVED = "collaborator.removed"
    BINARY_ADDED = "binary.added"
    BINARY_REMOVED = "binary.removed"
    DEPLOYMENT_CREATED = "deployment.created"
    DEPLOYMENT_RENAMED = "deployment.renamed"
    DEPLOYMENT_DELETED = "deployment.deleted"
    DEPLOYMENT_RELEASED = "deployment.released"
    DEPLOYMENT_PROMOTED = "deployment.promoted"
    DEPLOYMENT_ROLLED_BACK = "deployment.rolled_back"
    DEPLOYMENT_CLEARED = "deployment.cleared"
    RELEASE_UPDATED = "release.updated"
    TOKEN_CREATED = "token.created"
    TOKEN_CHANGED = "token.changed"
    TOKEN_REVOKED = "token.revoked"
    ACCOUNT_CHANGED = "account.changed"
    ORGANIZATION_CREATED = "organization.created"
    ORGANIZATION_RENAMED = "organization.renamed"
    ORGANIZATION_QUOTA_CHANGED = "organization.quota_changed"
    MEMBER_INVITED = "member.invited"
    MEMBER_ADDED = "member.added"
    MEMBER_CHANGED = "member.changed"
    MEMBER_REMOVED = "member.removed"
    INVITATION_REVOKED = "invitation.revoked"
    WEBHOOK_CREATED = "webhook.created"
    WEBHOOK_CHANGED = "webhook.changed"
    WEBHOOK_DELETED = "webhook.deleted"
    WEBHOOK_ENABLED = "webhook.enabled"
    WEBHOOK_DISABLED = "webhook.disabled"
    WEBHOOK_SECRET_ROTATED = "webhook.secret_rotated"
    WEBHOOK_REPLAYED = "webhook.replayed"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it; the operator of the server, by a command, where all are empty.

    Attributes:
        token_id: Which token they used.
        address: Where the request came from.
    """

    user_id: UserId
    email: str
    token_id: TokenId
    token_name: str
    address: str


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened.

    Attributes:
        id: Random; tells a repetition from a second event.
        organization_id: Whose audit log it belongs to.
        app: Name of the app it happened to, or "".
        app_id: Of that app, which outlives its name; or "".
        deployment: Name of the deployment it happened to, or "".
        target: What else it happened to: an e-mail address, a label, a new name; or "".
        details: What changed, as plain JSON.
    """

    id: str
    action: Action
    at_ms: int
    organization_id: OrganizationId
    actor: Actor
    app: str = ""
    deployment: str = ""
    target: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    app_id: str = ""


NOBODY = Actor(UserId(""), "", TokenId(""), "", "")
"""The server itself, or its operator."""


def encode_event(event: Event) -> str:
    """Return an event as JSON text; the same text again for a decoded one, as hashes need it."""
    record = {name: getattr(event, name) for name in Event.__slots__}
    if not event.app_id:
        del record["app_id"]
    return orjson.dumps(record, default=dict).decode()


def decode_event(text: str) -> Event:
    """Return the event in JSON text."""
    record = orjson.loads(text)
    return Event(
        **(record | {"action": Action(record["action"]), "actor": Actor(**record["actor"])})
    )
