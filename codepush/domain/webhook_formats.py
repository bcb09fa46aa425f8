"""How a notice looks to its receiver: as it is, or as a short text for a chat."""

import re
from collections.abc import Callable
from typing import Any

import orjson

from codepush.domain.webhook_events import Notice, WebhookEvent
from codepush.domain.webhooks import Format

_MAX_NAME = 80
_MAX_DESCRIPTION = 300
"""Characters in a chat; Discord takes 2,000 in all, and escaping may double them."""


def render(notice: Notice, form: Format) -> bytes:
    """Return the body of a request."""
    return orjson.dumps(_RENDERERS[form](notice))


def _slack(notice: Notice) -> dict[str, Any]:
    # Names and descriptions neither look like more than text nor show what a link leads to.
    plain = {"mrkdwn": False, "unfurl_links": False, "unfurl_media": False}
    return {"text": _sentence(notice, _escape_slack), **plain}


def _discord(notice: Notice) -> dict[str, Any]:
    # Nobody is notified by a name that looks like a mention.
    return {"content": _sentence(notice, _escape_markdown), "allowed_mentions": {"parse": []}}


def _teams(notice: Notice) -> dict[str, Any]:
    text = _sentence(notice, _escape_markdown)
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [{"type": "TextBlock", "text": text, "wrap": True}],
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "content": card}
    return {"type": "message", "attachments": [attachment]}


_RENDERERS: dict[Format, Callable[[Notice], Any]] = {
    Format.STANDARD: lambda notice: notice.body,
    Format.SLACK: _slack,
    Format.TEAMS: _teams,
    Format.DISCORD: _discord,
}


def _sentence(notice: Notice, escape: Callable[[str], str]) -> str:
    body = notice.body

    def say(*path: str, most: int = _MAX_NAME) -> str:
        value: Any = body
        for name in path:
            value = value.get(name) or {}
        # On one line: a second one could pass for another message of this server.
        text = " ".join(str(value or "").split())
        return escape(text if len(text) <= most else f"{text[: most - 1]}…")

    where = f"{say('app')} {say('deployment')}".strip()
    label = f"{say('release', 'label')} for {say('release', 'appVersion')}"
    source = f"{say('source', 'deployment')} {say('source', 'label')}".strip()
    steps = f"from {say('rollout', 'before')} % to {say('rollout', 'after')} %"
    changed = ", ".join(escape(name) for name in body.get("changes", {}).get("after", {}))
    text = {
        WebhookEvent.DEPLOYMENT_RELEASED: f"{where}: released {label}",
        WebhookEvent.DEPLOYMENT_PROMOTED: f"{where}: released {label}, promoted from {source}",
        WebhookEvent.DEPLOYMENT_ROLLED_BACK: f"{where}: rolled back to {source}, as {label}",
        WebhookEvent.DEPLOYMENT_CLEARED: f"{where}: all releases cleared",
        WebhookEvent.RELEASE_UPDATED: f"{where}: {say('release', 'label')} changed ({changed})",
        WebhookEvent.ROLLOUT_ADVANCED: f"{where}: rollout of {say('release', 'label')} {steps}",
        WebhookEvent.ROLLOUT_COMPLETED: f"{where}: rollout of {say('release', 'label')} complete",
        WebhookEvent.APP_CREATED: f"{where}: app created",
        WebhookEvent.APP_DELETED: f"{where}: app deleted",
        WebhookEvent.COLLABORATOR_ADDED: f"{where}: shared with {say('collaborator', 'email')}",
        WebhookEvent.COLLABORATOR_REMOVED: (
            f"{where}: no longer shared with {say('collaborator', 'email')}"
        ),
        WebhookEvent.PING: "This webhook works.",
    }[notice.event]
    describes = notice.event in {
        WebhookEvent.DEPLOYMENT_RELEASED,
        WebhookEvent.DEPLOYMENT_PROMOTED,
    }
    description = say("release", "description", most=_MAX_DESCRIPTION) if describes else ""
    return f"{text}\n{description}" if description else text


def _escape_slack(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _escape_markdown(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]()#+\-.!|~<>@])", r"\\\1", text)
