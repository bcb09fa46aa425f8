"""Webhooks, as the owners and admins of an organization manage them."""

import base64
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from urllib.parse import urlsplit

from codepush.domain.errors import ConflictError, ForbiddenError, InvalidParameterError
from codepush.domain.events import Action, Event
from codepush.domain.ids import DeliveryId, WebhookId, new_id
from codepush.domain.models import App, Principal
from codepush.domain.permissions import MANAGERS, Permission
from codepush.domain.webhook_events import WebhookEvent, ping
from codepush.domain.webhooks import (
    MAX_SECRETS,
    OVERLAP,
    Delivery,
    Disabled,
    Format,
    Webhook,
    delivery_id,
)
from codepush.net.urls import UrlRules
from codepush.services.access import Access, require_account
from codepush.services.audit import Audit
from codepush.services.clock import Clock
from codepush.services.handing_on import HandingOn, handovers
from codepush.services.telling import Teller
from codepush.services.vault import LockedError, Vault
from codepush.store.deliveries import KEPT_S, MAX_LOG, Handover
from codepush.store.stores import Stores

_SECRET_BYTES = 32
_MS = timedelta(milliseconds=1)
_ENTRIES = 100


@dataclass(frozen=True, slots=True)
class WebhookChanges:
    """What a caller decides of a webhook; None leaves it as it is.

    Attributes:
        app: Reference to the only app it is told of; "" for all.
        deployment: Name of the only deployments it is told of; "" for all.
        events: Which events; none for all.
    """

    url: str | None = None
    format: Format | None = None
    description: str | None = None
    events: Iterable[WebhookEvent] | None = None
    app: str | None = None
    deployment: str | None = None


@dataclass(frozen=True, slots=True)
class ShownWebhook:
    """A webhook as its owners may see it.

    Attributes:
        url: In clear; of a chat's, whose URL is a secret, only the beginning.
        app_name: What the app it is limited to is called now; "" where it is limited to none.
    """

    webhook: Webhook
    url: str
    app_name: str


class Webhooks:
    """What can be done with the webhooks of the organization that the principal's token carries."""

    def __init__(
        self,
        stores: Stores,
        access: Access,
        audit: Audit,
        handing_on: HandingOn,
        vault: Vault,
        urls: UrlRules,
        teller: Teller,
        clock: Clock,
    ):
        """Use ``stores``; keep secrets in ``vault``; take URLs that ``urls`` lets through."""
        self._stores = stores
        self._access = access
        self._audit = audit
        self._handing_on = handing_on
        self._vault = vault
        self._urls = urls
        self._tell = teller
        self._clock = clock

    def list_of(self, principal: Principal) -> list[ShownWebhook]:
        """Return all webhooks of the organization, oldest first.

        Raises:
            ForbiddenError: The principal is neither owner nor admin, or their token may not manage.
        """
        _require(principal)
        return self._show(self._stores.webhooks.list_of(principal.organization_id))

    def get(self, principal: Principal, webhook_id: str) -> ShownWebhook:
        """Return a webhook.

        Raises:
            ForbiddenError: As for ``list_of``.
            NotFoundError: The organization has none of that id.
        """
        return self._show([self._find(principal, webhook_id)])[0]

    def create(self, principal: Principal, wanted: WebhookChanges) -> tuple[ShownWebhook, str]:
        """Make a webhook; its secret exists in clear only in what this returns.

        Returns:
            The webhook, and its secret; "" for a chat's.

        Raises:
            ForbiddenError: As for ``list_of``.
            InvalidParameterError: The URL may not be called.
            NotFoundError: There is no such app for this principal.
            ConflictError: There are too many, or the app is of another organization.
            NotConfiguredError: The operator has set no SECRET_KEY.
        """
        _require(principal)
        organization_id = principal.organization_id
        blank = Webhook(
            id=WebhookId(new_id()),
            organization_id=organization_id,
            url="",
            format=Format.STANDARD,
            created_at_ms=self._clock(),
            created_by=principal.user.email,
        )
        made, secret = self._with_secret(self._changed(principal, blank, wanted))
        self._stores.agenda.enter(organization_id, self._clock())
        # What happened until now is not its business.
        self._stores.audit.fold(organization_id, now_ms=self._clock())
        made = replace(made, since=self._stores.audit.head(organization_id))
        event = self._event(principal, Action.WEBHOOK_CREATED, made, host=self._host(made))
        self._stores.webhooks.create(made, event=event)
        return self._show([made])[0], secret

    def update(self, principal: Principal, webhook_id: str, wanted: WebhookChanges) -> ShownWebhook:
        """Change a webhook.

        Raises:
            ForbiddenError, InvalidParameterError, NotFoundError, ConflictError: As for ``create``.
        """
        found = self._find(principal, webhook_id)
        changed = self._changed(principal, found, wanted)
        if changed.format is Format.STANDARD and not changed.secrets:
            raise InvalidParameterError(
                "A chat's webhook has no secret to sign with, so it cannot become a standard one."
                " Make a new webhook.",
                parameter="format",
                reason="No secret",
            )
        # What happened until now is told, or not, by what the webhook asked for until now.
        self._handing_on.keep_up(found.organization_id)
        event = self._event(principal, Action.WEBHOOK_CHANGED, changed, host=self._host(changed))
        self._stores.webhooks.change(found, changed, event=event)
        return self._show([changed])[0]

    def enable(self, principal: Principal, webhook_id: str) -> ShownWebhook:
        """Call a webhook again, beginning with what waits for it.

        Raises:
            ForbiddenError, NotFoundError: As for ``get``.
        """
        found = self._find(principal, webhook_id)
        changed = replace(found, disabled=None, disabled_at_ms=None, failing_since_ms=None)
        self._switch(principal, found, changed, Action.WEBHOOK_ENABLED)
        return self._show([changed])[0]

    def disable(self, principal: Principal, webhook_id: str) -> ShownWebhook:
        """Call a webhook no more. What waits for it waits on; what happens now is not queued.

        Raises:
            ForbiddenError, NotFoundError: As for ``get``.
        """
        found = self._find(principal, webhook_id)
        changed = found
        if not found.disabled:
            changed = replace(found, disabled=Disabled.BY_USER, disabled_at_ms=self._clock())
        self._switch(principal, found, changed, Action.WEBHOOK_DISABLED)
        return self._show([changed])[0]

    def _switch(
        self, principal: Principal, found: Webhook, changed: Webhook, action: Action
    ) -> None:
        if (found.disabled is None) != (changed.disabled is None):
            # What happened until now is queued, or not, by how the webhook was until now.
            self._handing_on.keep_up(found.organization_id)
            event = self._event(principal, action, changed)
            self._stores.webhooks.change(found, changed, event=event)
            self._wake(changed)

    def rotate_secret(self, principal: Principal, webhook_id: str) -> tuple[ShownWebhook, str]:
        """Give a webhook a new secret; each one before signs for 24 hours after it was replaced.

        Returns:
            The webhook, and its new secret.

        Raises:
            ForbiddenError, NotFoundError: As for ``get``.
            ConflictError: It is a chat's and has none, or it has too many that still sign, or
                somebody else rotates it right now.
        """
        found = self._find(principal, webhook_id)
        if found.format is not Format.STANDARD:
            raise ConflictError(
                f"A webhook for {found.format.value} has no secret but its url. Set another url"
                " instead."
            )
        rotated, secret = self._with_secret(found)
        event = self._event(principal, Action.WEBHOOK_SECRET_ROTATED, rotated)
        self._stores.webhooks.change(found, rotated, event=event, only="secrets")
        return self._show([rotated])[0], secret

    def delete(self, principal: Principal, webhook_id: str) -> None:
        """Remove a webhook with its deliveries.

        Raises:
            ForbiddenError, NotFoundError: As for ``get``.
        """
        found = self._find(principal, webhook_id)
        self._stores.deliveries.forget_all(found.organization_id, found.id)
        event = self._event(principal, Action.WEBHOOK_DELETED, found, host=self._host(found))
        self._stores.webhooks.delete(found, event=event)

    def ping(self, principal: Principal, webhook_id: str) -> Delivery:
        """Queue a ping and return its delivery.

        Raises:
            ForbiddenError, NotFoundError: As for ``get``.
            ConflictError: The webhook is disabled.
        """
        found = self._find(principal, webhook_id)
        _require_enabled(found)
        now_ms = self._clock()
        notice = ping(now_ms)
        made = Handover(delivery_id(new_id(), notice.event, found.id), found.id, 0, notice)
        self._stores.deliveries.hand_on(found.organization_id, [made], now_ms=now_ms)
        self._wake(found)
        return self._stores.deliveries.get(found.organization_id, found.id, made.id)

    def deliveries(
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
            ForbiddenError, NotFoundError: As for ``get``.
        """
        found = self._find(principal, webhook_id)
        # What happened just now is in the list, whether or not a worker runs.
        self._handing_on.keep_up(found.organization_id)
        return self._stores.deliveries.newest(
            found.organization_id, found.id, after=after, count=count
        )

    def delivery(
        self, principal: Principal, webhook_id: str, wanted: str
    ) -> tuple[ShownWebhook, Delivery]:
        """Return one delivery, and its webhook.

        Raises:
            ForbiddenError, NotFoundError: As for ``get``; or there is no such delivery.
        """
        found = self._find(principal, webhook_id)
        delivery = self._stores.deliveries.get(found.organization_id, found.id, DeliveryId(wanted))
        return self._show([found])[0], delivery

    def redeliver(self, principal: Principal, webhook_id: str, wanted: str) -> Delivery:
        """Queue a delivery again, whatever became of it, and return it.

        Raises:
            ForbiddenError, NotFoundError: As for ``delivery``.
            ConflictError: The webhook is disabled.
        """
        found = self._find(principal, webhook_id)
        _require_enabled(found)
        held = self._stores.deliveries.get(found.organization_id, found.id, DeliveryId(wanted))
        again = Handover(held.id, found.id, held.sequence, held.notice)
        self._stores.deliveries.hand_on(
            found.organization_id, [again], now_ms=self._clock(), again=True
        )
        self._wake(found)
        return self._stores.deliveries.get(found.organization_id, found.id, held.id)

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
            ForbiddenError, NotFoundError: As for ``get``.
            ConflictError: The webhook is disabled.
            InvalidParameterError: The span is empty, longer ago than 30 days, or has too much.
        """
        found = self._find(principal, webhook_id)
        _require_enabled(found)
        _check_span(since_ms, until_ms, self._clock())
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
        self._audit.log(
            self._event(principal, Action.WEBHOOK_REPLAYED, found, count=str(len(wanted)))
        )
        self._wake(found)
        return len(wanted)

    def _happened(self, webhook: Webhook, since_ms: int, until_ms: int) -> list[Handover]:
        wanted: list[Handover] = []
        anybody = replace(webhook, since=0)
        position = 0
        while entries := self._stores.audit.after(
            webhook.organization_id, position, count=_ENTRIES
        ):
            for entry in entries:
                if since_ms <= entry.event.at_ms < until_ms:
                    wanted += handovers(entry, [anybody])
            position = entries[-1].sequence
            if len(wanted) > MAX_LOG:
                raise InvalidParameterError(
                    f"More than {MAX_LOG} events happened in that time. Replay a shorter one.",
                    parameter="until",
                    reason="Too many events",
                )
        return wanted

    def keep_up_all(self) -> None:
        """Forget old deliveries of every webhook, and encrypt secrets under the newest key."""
        before_ms = self._clock() - KEPT_S * 1_000
        for organization_id in self._stores.agenda.all():
            for webhook in self._stores.webhooks.list_of(organization_id):
                self._stores.deliveries.forget(organization_id, webhook.id, before_ms=before_ms)
                self._renew(webhook)

    def _renew(self, webhook: Webhook) -> None:
        try:
            renewed = replace(
                webhook,
                url=self._vault.renewed(webhook.url),
                secrets=tuple(map(self._vault.renewed, webhook.secrets)),
            )
        except LockedError:
            return  # its deliveries say so
        if renewed != webhook:
            self._stores.webhooks.reencrypt(webhook, renewed)

    def _find(self, principal: Principal, webhook_id: str) -> Webhook:
        _require(principal)
        return self._stores.webhooks.get(principal.organization_id, WebhookId(webhook_id))

    def _changed(self, principal: Principal, found: Webhook, wanted: WebhookChanges) -> Webhook:
        changed = found
        if wanted.url is not None:
            changed = replace(changed, url=self._vault.encrypt(self._urls.check(wanted.url)))
        if wanted.format is not None:
            changed = replace(changed, format=wanted.format)
        if wanted.description is not None:
            changed = replace(changed, description=wanted.description)
        if wanted.events is not None:
            changed = replace(changed, events=frozenset(wanted.events))
        if wanted.deployment is not None:
            changed = replace(changed, deployment=wanted.deployment)
        if wanted.app == "":
            changed = replace(changed, app_id=None, app_name="")
        elif wanted.app is not None:
            app = self._access.app(principal, wanted.app, Permission.OWNER)
            if app.organization_id != principal.organization_id:
                raise ConflictError(
                    "The app belongs to another organization, whose own webhooks are told of it."
                )
            changed = replace(changed, app_id=app.id, app_name=app.name)
        return changed

    def _with_secret(self, webhook: Webhook) -> tuple[Webhook, str]:
        if webhook.format is not Format.STANDARD:
            return webhook, ""
        secret = f"whsec_{base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()}"
        now_ms = self._clock()
        older = webhook.signing(now_ms)
        if len(older) >= MAX_SECRETS:
            raise ConflictError(
                f"{MAX_SECRETS} secrets sign already: each goes on for 24 hours after it was"
                " replaced. Use the newest, or try again later."
            )
        until = (now_ms + OVERLAP // _MS, *(each for each in webhook.retired_ms if each > now_ms))
        kept = (self._vault.encrypt(secret), *older)
        return replace(webhook, secrets=kept, retired_ms=until[: len(older)]), secret

    def _show(self, found: list[Webhook]) -> list[ShownWebhook]:
        apps = self._stores.apps.get_many(each.app_id for each in found if each.app_id)
        return [
            ShownWebhook(
                webhook=each,
                url=self._shown_url(each),
                app_name=_app_name(each, apps.get(each.app_id) if each.app_id else None),
            )
            for each in found
        ]

    def _shown_url(self, webhook: Webhook) -> str:
        try:
            url = self._vault.decrypt(webhook.url)
        except LockedError:
            return ""
        if webhook.format is Format.STANDARD:
            return url
        parts = urlsplit(url)
        return f"{parts.scheme}://{parts.netloc}/…"

    def _host(self, webhook: Webhook) -> str:
        """Return what the audit log tells of a URL, which may be a secret itself."""
        try:
            return urlsplit(self._vault.decrypt(webhook.url)).netloc
        except LockedError:
            return ""

    def _event(
        self, principal: Principal, action: Action, webhook: Webhook, **details: str
    ) -> Event:
        return self._tell.about_organization(
            principal, action, webhook.organization_id, target=webhook.id, **details
        )

    def _wake(self, webhook: Webhook) -> None:
        self._stores.agenda.bring_forward(webhook.organization_id, self._clock())


def _app_name(webhook: Webhook, app: App | None) -> str:
    """Return what its organization may know: of an app that left, the name it had."""
    if app is not None and app.organization_id == webhook.organization_id:
        return app.name
    return webhook.app_name


def _require(principal: Principal) -> None:
    require_account(principal)
    if principal.role not in MANAGERS:
        raise ForbiddenError(
            "This needs the role Owner or Admin in the organization. Ask one of its owners."
        )


def _require_enabled(webhook: Webhook) -> None:
    if webhook.disabled:
        raise ConflictError(f"The webhook is disabled ({webhook.disabled}). Enable it first.")


def _check_span(since_ms: int, until_ms: int, now_ms: int) -> None:
    if since_ms >= until_ms:
        raise InvalidParameterError(
            "The time to replay is empty: until must be later than since.",
            parameter="until",
            reason="Not later than since",
        )
    if since_ms < now_ms - KEPT_S * 1_000:
        raise InvalidParameterError(
            "The time to replay began more than 30 days ago, which is as far as it goes.",
            parameter="since",
            reason="Too long ago",
        )
