"""Webhooks found for those who may manage them, and shown without what is secret."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from codepush.domain.errors import ForbiddenError
from codepush.domain.ids import WebhookId
from codepush.domain.models import App, Principal
from codepush.domain.permissions import MANAGERS
from codepush.domain.webhooks import Format, Webhook
from codepush.services.access import require_account
from codepush.services.vault import LockedError, Vault
from codepush.store.stores import Stores


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


class WebhookAccess:
    """Finds and shows webhooks of the organization that the principal's token carries."""

    def __init__(self, stores: Stores, vault: Vault):
        """Find in ``stores``, and read URLs with ``vault``."""
        self._stores = stores
        self._vault = vault

    def all(self, principal: Principal) -> list[Webhook]:
        """Return all webhooks, oldest first.

        Raises:
            ForbiddenError: The principal is neither owner nor admin, or their token may not manage.
        """
        require_manager(principal)
        return self._stores.webhooks.list_of(principal.organization_id)

    def one(self, principal: Principal, webhook_id: str) -> Webhook:
        """Return a webhook.

        Raises:
            ForbiddenError: As for ``all``.
            NotFoundError: The organization has none of that id.
        """
        require_manager(principal)
        return self._stores.webhooks.get(principal.organization_id, WebhookId(webhook_id))

    def show(self, found: list[Webhook]) -> list[ShownWebhook]:
        """Return webhooks as their owners may see them."""
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

    def host(self, webhook: Webhook) -> str:
        """Return what the audit log tells of a URL, which may be a secret itself."""
        try:
            return urlsplit(self._vault.decrypt(webhook.url)).netloc
        except LockedError:
            return ""


def _app_name(webhook: Webhook, app: App | None) -> str:
    """Return what its organization may know: of an app that left, the name it had."""
    if app is not None and app.organization_id == webhook.organization_id:
        return app.name
    return webhook.app_name


def require_manager(principal: Principal) -> None:
    """Raise ``ForbiddenError`` for whoever may not manage webhooks."""
    require_account(principal)
    if principal.role not in MANAGERS:
        raise ForbiddenError(
            "This needs the role Owner or Admin in the organization. Ask one of its owners."
        )
