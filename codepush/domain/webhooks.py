"""Webhooks: who is told, when it is tried again, and when it is given up."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from codepush.domain.ids import AppId, DeliveryId, OrganizationId, WebhookId
from codepush.domain.webhook_events import Notice, WebhookEvent

RETRY_DELAYS = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
"""Between a failed attempt and the next one; after the last, a delivery has failed."""
JITTER = 0.1
"""A delay is up to this share longer or shorter, so that receivers are not hit in waves."""
LONGEST_RETRY_AFTER = timedelta(hours=24)
PATIENCE = timedelta(days=5)
"""How long an endpoint may fail without one success until it is disabled."""
FORGIVING = timedelta(days=2)
"""Without an attempt for so long, which is longer than between two retries, failing begins anew."""
OVERLAP = timedelta(hours=24)
"""How long a replaced secret goes on signing."""
MAX_SECRETS = 5
"""Of a webhook, that sign at one time."""
GONE = 410
MAY_ASK_TO_WAIT = frozenset({429, 503})
"""Too Many Requests, Service Unavailable: whose Retry-After is heard."""


class Format(StrEnum):
    """What the body of a request looks like."""

    STANDARD = "standard"
    SLACK = "slack"
    TEAMS = "teams"
    DISCORD = "discord"


class Status(StrEnum):
    """How a delivery stands."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    FAILED = "failed"


class Disabled(StrEnum):
    """Why a webhook is not called."""

    BY_USER = "disabled by a user"
    GONE = "the endpoint answered 410 Gone"
    FAILING = "the endpoint failed for 5 days"


@dataclass(frozen=True, slots=True)
class Webhook:
    """A subscription of an organization.

    Attributes:
        url: Where to post to, encrypted: that of a chat is a secret.
        secrets: What signs, encrypted, newest first; none where the format is a chat's.
        retired_ms: Until when the second secret and those after it sign.
        events: Which events; empty for all, also those to come.
        app_id: The only app it is told of, or None for all.
        app_name: That app's name when it was chosen.
        deployment: Name of the only deployments it is told of, or "" for all.
        since: Sequence number in the audit log of the newest event that it is not told of.
        disabled: Why it is not called, or None where it is.
        failing_since_ms: First failure since the last success, or since the last time without
            attempts for ``FORGIVING``; or None.
        took_ms: How long the newest attempt took, or None where there was none.
    """

    id: WebhookId
    organization_id: OrganizationId
    url: str
    format: Format
    created_at_ms: int
    created_by: str
    secrets: tuple[str, ...] = ()
    retired_ms: tuple[int, ...] = ()
    description: str = ""
    events: frozenset[WebhookEvent] = frozenset()
    app_id: AppId | None = None
    app_name: str = ""
    deployment: str = ""
    since: int = 0
    disabled: Disabled | None = None
    disabled_at_ms: int | None = None
    failing_since_ms: int | None = None
    last_success_ms: int | None = None
    took_ms: int | None = None

    def signing(self, at_ms: int) -> tuple[str, ...]:
        """Return the secrets that sign at a time, newest first."""
        older = zip(self.secrets[1:], self.retired_ms, strict=True)
        return self.secrets[:1] + tuple(each for each, until_ms in older if at_ms < until_ms)

    def wants(self, notice: Notice) -> bool:
        """Return whether it is told of something."""
        return (
            (not self.events or notice.event in self.events)
            and self.app_id in {None, notice.app_id}
            and self.deployment in {"", notice.deployment}
        )


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request to an endpoint.

    Attributes:
        status: Of the answer, or None where there was none.
        error: Why there was none, or "".
        headers: That were sent.
        format: Of the body that was sent.
        answer: First 4 KB of the answer's body, as text.
        answer_headers: Of the answer.
    """

    at_ms: int
    duration_ms: int
    status: int | None = None
    error: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    format: Format = Format.STANDARD
    answer: str = ""
    answer_headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_success(self) -> bool:
        """Whether the endpoint took it."""
        return self.status is not None and 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event on its way to one endpoint.

    Attributes:
        sequence: Orders the deliveries of a webhook: that of the event in the audit log.
        notice: What is told.
        stage: Attempts since it was last put into the queue.
        asked: How often it was put into the queue again.
        next_at_ms: When it is tried next, or None where it is not.
        attempt_count: All attempts.
        attempts: The newest of them, oldest first; only the last has headers and an answer.
    """

    id: DeliveryId
    webhook_id: WebhookId
    sequence: int
    notice: Notice
    created_at_ms: int
    status: Status = Status.WAITING
    stage: int = 0
    asked: int = 0
    next_at_ms: int | None = None
    attempt_count: int = 0
    attempts: tuple[Attempt, ...] = ()

    @property
    def place(self) -> str:
        """What orders the deliveries of a webhook that are due, or were made, at the same time."""
        return place(self.sequence, self.notice.event, self.id)

    @property
    def lane(self) -> tuple[str, str] | None:
        """What first attempts are made in order within; None for what needs no order."""
        if self.stage or not self.notice.app_id:
            return None
        return self.notice.app_id, self.notice.deployment


def delivery_id(event_id: str, event: WebhookEvent, webhook_id: WebhookId) -> DeliveryId:
    """Return the id of a delivery: the same however often the event is handed on."""
    digest = hashlib.sha256(f"{event_id}|{event.value}|{webhook_id}".encode()).hexdigest()
    return DeliveryId(f"msg_{digest[:32]}")


def place(sequence: int, event: WebhookEvent, delivery_id: DeliveryId) -> str:
    """Return what orders deliveries: by the log first, then as ``WebhookEvent`` lists them."""
    return f"{sequence:015d}.{list(WebhookEvent).index(event):02d}~{delivery_id}"


def next_attempt(
    stage: int, attempt: Attempt, *, chance: float, retry_after: timedelta | None
) -> timedelta | None:
    """Return how long to wait after a failed attempt, or None to give up.

    Args:
        stage: Attempts before this one.
        attempt: The one that failed.
        chance: Random, 0 to 1.
        retry_after: What the endpoint asked for; heard where it answers 429 or 503.
    """
    if attempt.status == GONE or stage >= len(RETRY_DELAYS):
        return None
    wait = RETRY_DELAYS[stage] * (1 + JITTER * (2 * chance - 1))
    if retry_after and attempt.status in MAY_ASK_TO_WAIT:
        return max(wait, min(retry_after, LONGEST_RETRY_AFTER))
    return wait
