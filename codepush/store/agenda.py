"""Which organizations a worker should look at for webhooks, and when.

An index over all organizations that have webhooks, or had some: whoever tells it something wrong,
or is killed before telling it, costs a delay of ``LOOK_AGAIN_MS`` at most.
"""

from codepush.domain.ids import OrganizationId
from codepush.store import keys
from codepush.store.connection import StoreClient

LOOK_AGAIN_MS = 60_000
_ENQUEUED_S = 60


class Agenda:
    """Organizations by when to look at them."""

    def __init__(self, client: StoreClient):
        """Use ``client``."""
        self._client = client

    def enter(self, organization_id: OrganizationId) -> None:
        """Look at an organization from now on, first at once."""
        self._client.zadd(keys.WEBHOOK_AGENDA, {organization_id: 0})

    def bring_forward(self, organization_id: OrganizationId, at_ms: int) -> None:
        """Look at an organization at a time or earlier, if it is looked at at all."""
        self._client.zadd(keys.WEBHOOK_AGENDA, {organization_id: at_ms}, xx=True, lt=True)

    def begin(self, organization_id: OrganizationId, now_ms: int) -> None:
        """Say that somebody looks now: what comes from here on brings it forward again."""
        self._client.zadd(keys.WEBHOOK_AGENDA, {organization_id: now_ms + LOOK_AGAIN_MS}, xx=True)

    def due(self, now_ms: int, count: int = 1_000) -> list[OrganizationId]:
        """Return the organizations to look at, longest due first."""
        found = self._client.zrangebyscore(keys.WEBHOOK_AGENDA, "-inf", now_ms, start=0, num=count)
        return [OrganizationId(text) for text in found]

    def all(self) -> list[OrganizationId]:
        """Return every organization that may have webhooks."""
        return [OrganizationId(each) for each in self._client.zrange(keys.WEBHOOK_AGENDA, 0, -1)]

    def note_job(self) -> bool:
        """Note that a job which delivers is being enqueued; False where one is already."""
        return bool(self._client.set(keys.DELIVER, "1", nx=True, ex=_ENQUEUED_S))

    def note_start(self) -> None:
        """Note that such a job began, so that another may be enqueued."""
        self._client.delete(keys.DELIVER)
