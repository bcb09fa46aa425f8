"""Deliveries to webhooks, as the owners and admins of an organization see and repeat them."""

from dataclasses import replace
from datetime import timedelta

from codepush.domain.errors import ConflictError, InvalidParameterError
from codepush.domain.events import Action
from codepush.domain.ids import DeliveryId, new_id
from codepush.domain.models import Principal
from codepush.domain.webhook_events import ping
from codepush.domain.webhooks import Delivery, Webhook, delivery_id
from codepush.services.audit import Audit
from codepush.services.clock import Clock
from codepush.services.handing_on import HandingOn, handovers
from codepush.services.telling import Teller
from codepush.services.webhook_access import ShownWebhook, WebhookAccess
from codepush.store.deliveries import KEPT_S, MAX_LOG, Handover
from codepush.store.stores import Stores

_ENTRIES = 100


class WebhookDeliveries:
    """What was sent to a webhook, and what is to be sent again."""

    def __init__(
        self,
        stores: Stores,
        access: WebhookAccess,
        audit: Audit,
        handing_on: HandingOn,
        teller: Teller,
        clock: Clock,
    ):
        """Find webhooks through ``access``, and replay what ``audit`` holds."""
        self._stores = stores
        self._access = access
        self._audit = audit
        self._handing_on = handing_on
        self._tell = teller
        self._clock = clock

    def ping(self, principal: Principal, webhook_id: str) -> Delivery:
        """Queue a ping and return its delivery.

        Raises:
            ForbiddenError: The principal is neither owner nor admin, or their token may not manage.
            NotFoundError: The organization has none of that id.
            ConflictError: The webhook is disabled.
        """
        found = self._access.one(principal, webhook_id)
        _require_enabled(found)
        now_ms = self._clock()
        notice = ping(now_ms)
        made = Handover(delivery_id(new_id(), notice.event, found.id), found.id, 0, notice)
        self._stores.deliveries.hand_on(found.organization_id, [made], now_ms=now_ms)
        self._wake(found)
        return self._stores.delivery_log.get(found.organization_id, found.id, made.id)

    def list_of(
        self,
        principal: Principal,
        webhook_id: str,
        *,
        after: tuple[int, str] | None,
        count: int,
    ) -> list[Delivery]:
        """Return deliveries to a webhook, newest first.

        Args:
            principal: The caller.
            webhook_id: The webhook.
            after: Time and place of the delivery to go on after; None for the newest.
            count: How many at most.

        Raises:
            ForbiddenError, NotFoundError: As for ``ping``.
        """
        found = self._access.one(principal, webhook_id)
        # What happened just now is in the list, whether or not a worker runs.
        self._handing_on.keep_up(found.organization_id)
        return self._stores.delivery_log.newest(
            found.organization_id, found.id, after=after, count=count
        )

    def get(
        self, principal: Principal, webhook_id: str, wanted: str
    ) -> tuple[ShownWebhook, Delivery]:
        """Return one delivery, and its webhook.

        Raises:
            ForbiddenError, NotFoundError: As for ``ping``; or there is no such delivery.
        """
        found = self._access.one(principal, webhook_id)
        delivery = self._stores.delivery_log.get(
            found.organization_id, found.id, DeliveryId(wanted)
        )
        return self._access.show([found])[0], delivery

    def redeliver(self, principal: Principal, webhook_id: str, wanted: str) -> Delivery:
        """Queue a delivery again, whatever became of it, and return it.

        Raises:
            ForbiddenError, NotFoundError: As for ``get``.
            ConflictError: The webhook is disabled.
        """
        found = self._access.one(principal, webhook_id)
        _require_enabled(found)
        held = self._stores.delivery_log.get(found.organization_id, found.id, DeliveryId(wanted))
        again = Handover(held.id, found.id, held.sequence, held.notice)
        self._stores.deliveries.hand_on(
            found.organization_id, [again], now_ms=self._clock(), again=True
        )
        self._wake(found)
        return self._stores.delivery_log.get(found.organization_id, found.id, held.id)

    def replay(self, principal: Principal, webhook_id: str, since_ms: int, until_ms: int) -> int:
        """Queue everything again that happened in a span of time and that a webhook wants.

        Also what was never queued, since the webhook was disabled or did not exist; each under the
        id that it had or would have had.

        Args:
            principal: The caller.
            webhook_id: The webhook.
            since_ms: The first moment.
            until_ms: The first moment after.

        Returns:
            How many deliveries were queued.

        Raises:
            ForbiddenError, NotFoundError: As for ``ping``.
            ConflictError: The webhook is disabled.
            InvalidParameterError: The span is empty, longer ago than is kept, or has too much.
        """
        found = self._access.one(principal, webhook_id)
        _require_enabled(found)
        _check_span(since_ms, until_ms, self._clock(), self._audit.lifetime)
        self._handing_on.keep_up(found.organization_id)
        wanted = self._happened(found, since_ms, until_ms)
        waiting = self._stores.deliveries.waiting(found.organization_id, found.id)
        if waiting + len(wanted) > MAX_LOG:
            raise InvalidParameterError(
                f"{len(wanted)} events happened in that time and {waiting} deliveries wait already;"
                f" more than {MAX_LOG} have no room. Replay a shorter time, or wait.",
                parameter="until",
                reason="Too many events",
            )
        for start in range(0, len(wanted), _ENTRIES):
            self._stores.deliveries.hand_on(
                found.organization_id,
                wanted[start : start + _ENTRIES],
                now_ms=self._clock(),
                again=True,
            )
        event = self._tell.about_organization(
            principal,
            Action.WEBHOOK_REPLAYED,
            found.organization_id,
            target=found.id,
            count=str(len(wanted)),
        )
        self._audit.log(event)
        self._wake(found)
        return len(wanted)

    def _happened(self, webhook: Webhook, since_ms: int, until_ms: int) -> list[Handover]:
        wanted: list[Handover] = []
        anybody = replace(webhook, since=0)
        for entry in self._stores.audit.between(webhook.organization_id, since_ms, until_ms):
            wanted += handovers(entry, [anybody])
            if len(wanted) > MAX_LOG:
                raise InvalidParameterError(
                    f"More than {MAX_LOG} events happened in that time. Replay a shorter one.",
                    parameter="until",
                    reason="Too many events",
                )
        return wanted

    def _wake(self, webhook: Webhook) -> None:
        self._stores.agenda.bring_forward(webhook.organization_id, 0)


def _require_enabled(webhook: Webhook) -> None:
    if webhook.disabled:
        raise ConflictError(f"The webhook is disabled ({webhook.disabled}). Enable it first.")


def _check_span(since_ms: int, until_ms: int, now_ms: int, lifetime: timedelta) -> None:
    if since_ms >= until_ms:
        raise InvalidParameterError(
            "The time to replay is empty: until must be later than since.",
            parameter="until",
            reason="Not later than since",
        )
    furthest = min(lifetime, timedelta(seconds=KEPT_S))
    if since_ms < now_ms - furthest // timedelta(milliseconds=1):
        raise InvalidParameterError(
            f"The time to replay began more than {furthest.days} days ago, which is as far as it"
            " goes.",
            parameter="since",
            reason="Too long ago",
        )
