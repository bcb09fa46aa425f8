"""What webhooks tell of, in the shape of the reference.

One logged event may be told as several: a patch is a ``release.updated``, and also a
``rollout.advanced`` or ``rollout.completed`` where it raised the rollout. To tell of something new
(``release.failing``, say), give it a name in ``WebhookEvent``, a line in ``notices`` and a schema.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from codepush.domain.events import Action, Event

_FULL = 100
_LONG = 200
"""Characters of a text in ``changes``."""


class WebhookEvent(StrEnum):
    """Names of what webhooks tell of."""

    DEPLOYMENT_RELEASED = "deployment.released"
    DEPLOYMENT_PROMOTED = "deployment.promoted"
    DEPLOYMENT_ROLLED_BACK = "deployment.rolled_back"
    DEPLOYMENT_CLEARED = "deployment.cleared"
    RELEASE_UPDATED = "release.updated"
    ROLLOUT_ADVANCED = "rollout.advanced"
    ROLLOUT_COMPLETED = "rollout.completed"
    APP_CREATED = "app.created"
    APP_DELETED = "app.deleted"
    COLLABORATOR_ADDED = "collaborator.added"
    COLLABORATOR_REMOVED = "collaborator.removed"
    PING = "ping"


SUBSCRIBABLE = tuple(event for event in WebhookEvent if event is not WebhookEvent.PING)
"""What a webhook may choose; pings come where they are asked for."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that webhooks are told of.

    Attributes:
        body: As in the reference: ``event``, ``app``, ``deployment``, ``release``, ``timestamp``,
            and what the event has beside.
        app_id: Of the app it happened to, or "".
        deployment: Name of the deployment it happened to, or "".
    """

    event: WebhookEvent
    body: Mapping[str, Any]
    app_id: str = ""
    deployment: str = ""


def notices(event: Event) -> tuple[Notice, ...]:
    """Return what webhooks are told of a logged event."""
    told = [(WebhookEvent(event.action.value), _more(event))] if _is_told(event.action) else []
    if event.action is Action.RELEASE_UPDATED:
        told += _rollout(event)
    return tuple(
        Notice(name, _body(event, name, more), event.app_id, event.deployment)
        for name, more in told
    )


def ping(at_ms: int) -> Notice:
    """Return what a ping tells."""
    body = {"event": WebhookEvent.PING.value, "timestamp": instant(at_ms)}
    return Notice(WebhookEvent.PING, body)


def instant(at_ms: int) -> str:
    """Return a time as ``2024-01-01T00:00:00Z``."""
    moment = datetime.fromtimestamp(at_ms / 1_000, UTC).replace(tzinfo=None)
    return f"{moment.isoformat(timespec='seconds')}Z"


def _is_told(action: Action) -> bool:
    return action.value in {event.value for event in SUBSCRIBABLE}


def _body(event: Event, name: WebhookEvent, more: Mapping[str, Any]) -> dict[str, Any]:
    body: dict[str, Any] = {"event": name.value, "app": event.app}
    if event.deployment:
        body["deployment"] = event.deployment
    release = event.details.get("release")
    if release:
        body["release"] = {key: release[key] for key in ("label", "appVersion", "description")}
    return {**body, **more, "timestamp": instant(event.at_ms)}


def _more(event: Event) -> dict[str, Any]:
    """Return what an event has beyond the reference's shape."""
    release = event.details.get("release", {})
    match event.action:
        case Action.DEPLOYMENT_PROMOTED:
            deployment = release["originalDeployment"]
            return {"source": {"deployment": deployment, "label": release["originalLabel"]}}
        case Action.DEPLOYMENT_ROLLED_BACK:
            return {"source": {"deployment": event.deployment, "label": release["originalLabel"]}}
        case Action.RELEASE_UPDATED:
            before = event.details.get("previous", {})
            after = {name: release[name] for name in before}
            return {"changes": {"before": _cut(before), "after": _cut(after)}}
        case Action.COLLABORATOR_ADDED | Action.COLLABORATOR_REMOVED:
            return {"collaborator": {"email": event.target}}
        case _:
            return {}


def _cut(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return changed fields with the beginning of a long description; all of it is elsewhere."""
    return {
        name: f"{value[: _LONG - 1]}…" if isinstance(value, str) and len(value) > _LONG else value
        for name, value in fields.items()
    }


def _rollout(event: Event) -> list[tuple[WebhookEvent, dict[str, Any]]]:
    before = event.details.get("previous", {}).get("rollout")
    after = event.details["release"]["rollout"]
    if before is None or after <= before:
        return []
    name = WebhookEvent.ROLLOUT_COMPLETED if after == _FULL else WebhookEvent.ROLLOUT_ADVANCED
    return [(name, {"rollout": {"before": before, "after": after}})]
