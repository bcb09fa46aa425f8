"""What webhooks need now and then, done by a worker: old deliveries leave, keys are renewed."""

from dataclasses import replace

from codepush.domain.webhooks import Webhook
from codepush.services.clock import Clock
from codepush.services.vault import LockedError, Vault
from codepush.store.deliveries import KEPT_S
from codepush.store.stores import Stores


class WebhookUpkeep:
    """Keeps the webhooks of every organization."""

    def __init__(self, stores: Stores, vault: Vault, clock: Clock):
        """Keep those in ``stores``, and their secrets under the newest key of ``vault``."""
        self._stores = stores
        self._vault = vault
        self._clock = clock

    def keep_all(self) -> None:
        """Forget old deliveries of every webhook, and encrypt secrets under the newest key."""
        before_ms = self._clock() - KEPT_S * 1_000
        for organization_id in self._stores.agenda.all():
            for webhook in self._stores.webhooks.list_of(organization_id):
                self._stores.delivery_log.forget(organization_id, webhook.id, before_ms=before_ms)
                self._renew(webhook)

    def _renew(self, webhook: Webhook) -> None:
        renewed = replace(
            webhook,
            url=self._renewed(webhook.url),
            secrets=tuple(map(self._renewed, webhook.secrets)),
        )
        if renewed != webhook:
            self._stores.webhooks.reencrypt(webhook, renewed)

    def _renewed(self, kept: str) -> str:
        try:
            return self._vault.renewed(kept)
        except LockedError:
            return kept  # deliveries say so, where they need it
