"""What webhooks need now and then, done by a worker: old deliveries leave, keys are renewed."""

import logging
from dataclasses import replace

from codepush.domain.webhooks import Webhook
from codepush.services.clock import Clock
from codepush.services.tenants import contained
from codepush.services.vault import LockedError, Vault
from codepush.store.deliveries import KEPT_S
from codepush.store.stores import Stores

log = logging.getLogger("codepush.webhooks")


class WebhookUpkeep:
    """Keeps the webhooks of every organization."""

    def __init__(self, stores: Stores, vault: Vault, clock: Clock):
        """Keep those in ``stores``, and their secrets under the newest key of ``vault``."""
        self._stores = stores
        self._vault = vault
        self._clock = clock

    def keep_all(self) -> None:
        """Forget old deliveries of every webhook, and encrypt secrets under the newest key.

        Logs a warning where there are webhooks that none of the keys opens.
        """
        before_ms = self._clock() - KEPT_S * 1_000
        locked = 0
        for organization_id in self._stores.agenda.all():
            with contained(f"The organization {organization_id}"):
                for webhook_id in self._stores.webhooks.ids_of(organization_id):
                    with contained(f"The webhook {webhook_id}"):
                        log_of = organization_id, webhook_id
                        self._stores.delivery_log.forget(*log_of, before_ms=before_ms)
                        for webhook in self._stores.webhooks.get_many(
                            organization_id, [webhook_id]
                        ):
                            locked += not self._renew(webhook)
        if locked:
            log.warning(
                "%d webhooks cannot be called: they were encrypted under another SECRET_KEY than"
                " the server has now; put the old one behind the new one: SECRET_KEY=new,old",
                locked,
            )

    def _renew(self, webhook: Webhook) -> bool:
        """Encrypt what a webhook keeps under the newest key; tells whether it can be called."""
        before = (webhook.url, *webhook.secrets)
        after = [self._renewed(kept) for kept in before]
        url, *secrets = (new or old for new, old in zip(after, before, strict=True))
        renewed = replace(webhook, url=url, secrets=tuple(secrets))
        if renewed != webhook:
            self._stores.webhooks.reencrypt(webhook, renewed)
        return all(after[:2])  # the newest secret is the first

    def _renewed(self, kept: str) -> str:
        """Return a text under the newest key; "" for one that no key opens."""
        try:
            return self._vault.renewed(kept)
        except LockedError:
            return ""
