"""Webhooks, as the owners and admins of an organization manage them."""

import base64
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta

from codepush.domain.errors import ConflictError, InvalidParameterError
from codepush.domain.events import Action, Event
from codepush.domain.ids import WebhookId, new_id
from codepush.domain.models import Principal
from codepush.domain.permissions import Permission
from codepush.domain.webhook_events import WebhookEvent
from codepush.domain.webhooks import MAX_SECRETS, OVERLAP, Disabled, Format, Webhook
from codepush.net.urls import UrlRules
from codepush.services.access import Access
from codepush.services.clock import Clock
from codepush.services.handing_on import HandingOn
from codepush.services.telling import Teller
from codepush.services.vault import Vault
from codepush.services.webhook_access import ShownWebhook, WebhookAccess, require_manager
from codepush.store.stores import Stores

_SECRET_BYTES = 32
_MS = timedelta(milliseconds=1)


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


class Webhooks:
    """What can be done with the webhooks of the organization that the principal's token carries."""

    def __init__(
        self,
        stores: Stores,
        manageable: WebhookAccess,
        access: Access,
        handing_on: HandingOn,
        vault: Vault,
        urls: UrlRules,
        teller: Teller,
        clock: Clock,
    ):
        """Find webhooks through ``manageable`` and apps through ``access``.

        Secrets are kept in ``vault``; URLs are taken that ``urls`` lets through.
        """
        self._stores = stores
        self._manageable = manageable
        self._access = access
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
        return self._manageable.show(self._manageable.all(principal))

    def get(self, principal: Principal, webhook_id: str) -> ShownWebhook:
        """Return a webhook.

        Raises:
            ForbiddenError: As for ``list_of``.
            NotFoundError: The organization has none of that id.
        """
        return self._manageable.show([self._manageable.one(principal, webhook_id)])[0]

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
        require_manager(principal)
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
        self._stores.agenda.enter(organization_id)
        # What happened until now is not its business.
        self._stores.audit.fold(organization_id)
        made = replace(made, since=self._stores.audit.head(organization_id))
        event = self._event(
            principal, Action.WEBHOOK_CREATED, made, host=self._manageable.host(made)
        )
        self._stores.webhooks.create(made, event=event)
        return self._manageable.show([made])[0], secret

    def update(self, principal: Principal, webhook_id: str, wanted: WebhookChanges) -> ShownWebhook:
        """Change a webhook.

        Raises:
            ForbiddenError, InvalidParameterError, NotFoundError, ConflictError: As for ``create``.
        """
        found = self._manageable.one(principal, webhook_id)
        changed = self._changed(principal, found, wanted)
        _check_format(found, changed, has_url=wanted.url is not None)
        # What happened until now is told, or not, by what the webhook asked for until now.
        self._handing_on.keep_up(found.organization_id)
        event = self._event(
            principal, Action.WEBHOOK_CHANGED, changed, host=self._manageable.host(changed)
        )
        self._stores.webhooks.change(found, changed, event=event)
        return self._manageable.show([changed])[0]

    def enable(self, principal: Principal, webhook_id: str) -> ShownWebhook:
        """Call a webhook again, beginning with what waits for it.

        Raises:
            ForbiddenError, NotFoundError: As for ``get``.
        """
        found = self._manageable.one(principal, webhook_id)
        changed = replace(found, disabled=None, disabled_at_ms=None, failing_since_ms=None)
        self._switch(principal, found, changed, Action.WEBHOOK_ENABLED)
        return self._manageable.show([changed])[0]

    def disable(self, principal: Principal, webhook_id: str) -> ShownWebhook:
        """Call a webhook no more. What waits for it waits on; what happens now is not queued.

        Raises:
            ForbiddenError, NotFoundError: As for ``get``.
        """
        found = self._manageable.one(principal, webhook_id)
        changed = found
        if not found.disabled:
            changed = replace(found, disabled=Disabled.BY_USER, disabled_at_ms=self._clock())
        self._switch(principal, found, changed, Action.WEBHOOK_DISABLED)
        return self._manageable.show([changed])[0]

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
        found = self._manageable.one(principal, webhook_id)
        if found.format is not Format.STANDARD:
            raise ConflictError(
                f"A webhook for {found.format.value} has no secret but its url. Set another url"
                " instead."
            )
        rotated, secret = self._with_secret(found)
        event = self._event(principal, Action.WEBHOOK_SECRET_ROTATED, rotated)
        self._stores.webhooks.change(found, rotated, event=event, only="secrets")
        return self._manageable.show([rotated])[0], secret

    def delete(self, principal: Principal, webhook_id: str) -> None:
        """Remove a webhook with its deliveries.

        Raises:
            ForbiddenError, NotFoundError: As for ``get``.
        """
        found = self._manageable.one(principal, webhook_id)
        self._stores.delivery_log.forget_all(found.organization_id, found.id)
        event = self._event(
            principal, Action.WEBHOOK_DELETED, found, host=self._manageable.host(found)
        )
        self._stores.webhooks.delete(found, event=event)

    def _changed(self, principal: Principal, found: Webhook, wanted: WebhookChanges) -> Webhook:
        changed = found
        if wanted.url is not None:
            url = self._vault.encrypt(self._urls.check(wanted.url))
            # Nothing is known of the new endpoint, good or bad.
            changed = replace(changed, url=url, failing_since_ms=None, took_ms=None)
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

    def _event(
        self, principal: Principal, action: Action, webhook: Webhook, **details: str
    ) -> Event:
        return self._tell.about_organization(
            principal, action, webhook.organization_id, target=webhook.id, **details
        )

    def _wake(self, webhook: Webhook) -> None:
        self._stores.agenda.bring_forward(webhook.organization_id, 0)


def _check_format(found: Webhook, changed: Webhook, *, has_url: bool) -> None:
    if changed.format is not Format.STANDARD or found.format is Format.STANDARD:
        return
    if not changed.secrets:
        raise InvalidParameterError(
            "A chat's webhook has no secret to sign with, so it cannot become a standard one."
            " Make a new webhook.",
            parameter="format",
            reason="No secret",
        )
    if not has_url:
        raise InvalidParameterError(
            "The url of a chat is a secret, which a standard webhook would show. Set another url"
            " with the format.",
            parameter="url",
            reason="Is a chat's",
        )
