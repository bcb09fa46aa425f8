"""One attempt of one delivery: rendered, signed, sent, and noted with what follows from it."""

import email.utils
import logging
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import metadata
from typing import Protocol

from standardwebhooks import Webhook as Signer

from codepush.domain.events import NOBODY, Action, Event
from codepush.domain.ids import new_id
from codepush.domain.webhook_formats import render
from codepush.domain.webhooks import (
    GONE,
    LONGEST_RETRY_AFTER,
    MAY_ASK_TO_WAIT,
    Attempt,
    Delivery,
    Disabled,
    Status,
    Webhook,
    next_attempt,
)
from codepush.net.client import Answer, CallError
from codepush.services.clock import Clock
from codepush.services.vault import LockedError, Vault
from codepush.store.deliveries import Settlement
from codepush.store.stores import Stores
from codepush.telemetry.work import ATTEMPTS

log = logging.getLogger("codepush.webhooks")

_AGENT = f"codepush-server/{metadata.version('codepush-server')} webhooks"
_KEPT_HEADERS = ("content-type", "location", "retry-after")
_MAX_HEADER = 200
_MS = timedelta(milliseconds=1)


class Poster(Protocol):
    """What sends a request."""

    def post(self, url: str, body: bytes, headers: dict[str, str], *, tenant: str) -> Answer:
        """Return the answer to a tenant's request, or raise ``CallError``."""
        ...


@dataclass(frozen=True, slots=True)
class Done:
    """What came of an attempt.

    Attributes:
        is_success: Whether the endpoint took it.
        is_disabled: Whether the webhook is disabled by it.
        is_quiet: Whether the endpoint asked to be left alone for a while.
        duration_ms: How long the endpoint took.
    """

    is_success: bool
    is_disabled: bool
    is_quiet: bool
    duration_ms: int


class Calling:
    """Makes attempts; for many threads at once."""

    def __init__(
        self,
        stores: Stores,
        vault: Vault,
        poster: Poster,
        clock: Clock,
        chance: Callable[[], float] = random.random,
    ):
        """Send through ``poster``, with secrets from ``vault``."""
        self._stores = stores
        self._vault = vault
        self._poster = poster
        self._clock = clock
        self._chance = chance

    def attempt(self, webhook: Webhook, delivery: Delivery) -> Done:
        """Make an attempt and note it, whatever goes wrong with it but the noting."""
        attempt, retry_after = self._call(webhook, delivery)
        outcome = self._outcome(delivery, attempt, retry_after)
        event = Event(
            id=new_id(),
            action=Action.WEBHOOK_DISABLED,
            at_ms=self._clock(),
            organization_id=webhook.organization_id,
            actor=NOBODY,
            target=webhook.id,
            details={"reason": outcome.disable.value},
        )
        disabled = self._stores.deliveries.settle(
            webhook.organization_id, delivery, attempt, outcome, url=webhook.url, event=event
        )
        ATTEMPTS.add(1, outcome.status.name.lower())
        return Done(attempt.is_success, disabled, outcome.quiet_until_ms > 0, attempt.duration_ms)

    def _call(self, webhook: Webhook, delivery: Delivery) -> tuple[Attempt, timedelta | None]:
        at_ms = self._clock()
        began = time.monotonic()
        headers: dict[str, str] = {}
        answer: Answer | None = None
        error = ""
        try:
            url = self._vault.decrypt(webhook.url)
            body = render(delivery.notice, webhook.format)
            headers = self._headers(webhook, delivery, body, at_ms)
            answer = self._poster.post(url, body, headers, tenant=webhook.organization_id)
        except LockedError as exc:
            error = f"The secret cannot be read. {exc}"
        except CallError as exc:
            error = str(exc)
        except Exception:
            # One request that cannot be made must not keep others from being made.
            log.exception("delivery %s cannot be sent", delivery.id)
            error = "The request could not be made; the log of the server says why."
        if answer and 300 <= answer.status < 400:
            error = "Redirects are not followed: set the url to where it leads."
        attempt = Attempt(
            at_ms=at_ms,
            duration_ms=int((time.monotonic() - began) * 1_000),
            status=answer.status if answer else None,
            error=error,
            headers=headers,
            format=webhook.format,
            answer=answer.body.decode("utf-8", "replace") if answer else "",
            answer_headers={
                name: answer.headers[name][:_MAX_HEADER]
                for name in (_KEPT_HEADERS if answer else ())
                if answer and name in answer.headers
            },
        )
        return attempt, _retry_after(answer, at_ms) if answer else None

    def _headers(
        self, webhook: Webhook, delivery: Delivery, body: bytes, at_ms: int
    ) -> dict[str, str]:
        moment = datetime.fromtimestamp(at_ms // 1_000, UTC)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": _AGENT,
            "webhook-id": delivery.id,
            "webhook-timestamp": str(at_ms // 1_000),
        }
        signatures = [
            Signer(secret).sign(delivery.id, moment, body.decode())
            for secret in self._secrets(webhook, at_ms)
        ]
        if signatures:
            headers["webhook-signature"] = " ".join(signatures)
        return headers

    def _secrets(self, webhook: Webhook, at_ms: int) -> Iterator[str]:
        """Yield what signs; the newest must be readable, and of the older ones those that are.

        So rotating helps at once where the key that a secret was encrypted under is lost.
        """
        for position, secret in enumerate(webhook.signing(at_ms)):
            try:
                yield self._vault.decrypt(secret)
            except LockedError:
                if position == 0:
                    raise

    def _outcome(
        self, delivery: Delivery, attempt: Attempt, retry_after: timedelta | None
    ) -> Settlement:
        if attempt.is_success:
            return Settlement(Status.DELIVERED, None)
        if attempt.status == GONE:
            return Settlement(Status.FAILED, None, Disabled.GONE, at_once=True)
        ended_ms = attempt.at_ms + attempt.duration_ms
        quiet_until_ms = 0
        if retry_after and retry_after > timedelta():
            quiet_until_ms = ended_ms + min(retry_after, LONGEST_RETRY_AFTER) // _MS
        wait = next_attempt(delivery.stage, attempt, chance=self._chance(), retry_after=retry_after)
        if wait is None:
            return Settlement(Status.FAILED, None, quiet_until_ms=quiet_until_ms)
        return Settlement(Status.WAITING, ended_ms + wait // _MS, quiet_until_ms=quiet_until_ms)


def _retry_after(answer: Answer, now_ms: int) -> timedelta | None:
    """Return how long an endpoint asks to be left alone: seconds, or an HTTP date."""
    if answer.status not in MAY_ASK_TO_WAIT:
        return None
    text = answer.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return timedelta(seconds=min(int(text[:9]), 10**8))
    try:
        moment = email.utils.parsedate_to_datetime(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return moment - datetime.fromtimestamp(now_ms / 1_000, UTC)
    except (ValueError, OverflowError, TypeError):  # a year of twenty digits overflows
        return None
