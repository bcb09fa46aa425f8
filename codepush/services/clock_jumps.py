"""Makes up for a clock that jumped back: webhooks that wait would wait so much longer."""

import logging

from codepush.services.tenants import contained
from codepush.store.clock import StoreClock
from codepush.store.stores import Stores

log = logging.getLogger("codepush.webhooks")


class ClockJumps:
    """Looks at the store's clock for one worker, and brings webhooks forward where it jumped."""

    def __init__(self, stores: Stores, clock: StoreClock):
        """Look at ``clock``, which all deliveries in ``stores`` are made by."""
        self._stores = stores
        self._clock = clock

    def look(self) -> int:
        """Return the time in ms since 1970, after making up for a jump if there was one.

        Several workers may do so at once, and one that is killed meanwhile leaves the rest to the
        next one that looks.

        Raises:
            redis.RedisError: The store does not answer.
        """
        before_ms = self._clock.read()
        now_ms = self._clock()
        if before_ms is not None:
            log.warning(
                "the store's clock jumped back by %d s; webhooks that wait are brought forward",
                (before_ms - now_ms) // 1_000,
            )
            self.mend(before_ms, now_ms)
            self._clock.read(mended=before_ms)
        return now_ms

    def mend(self, before_ms: int, now_ms: int) -> None:
        """Bring all that waits forward by the difference of two times."""
        agenda, deliveries = self._stores.agenda, self._stores.deliveries
        for organization_id in agenda.all():
            with contained(f"The organization {organization_id}"):
                # By their ids: what is shifted is there also where the webhook cannot be read.
                for webhook_id in self._stores.webhooks.ids_of(organization_id):
                    with contained(f"The webhook {webhook_id}"):
                        deliveries.shift(organization_id, webhook_id, before_ms, now_ms)
            agenda.bring_forward(organization_id, 0)
        agenda.note_start()  # of a job that was lost, which would be thought enqueued for as long
