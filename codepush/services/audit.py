"""The audit log of an organization, as its owners read it."""

from datetime import timedelta

from codepush.domain.errors import ConflictError
from codepush.domain.events import Event, encode_event
from codepush.domain.ids import OrganizationId
from codepush.services.clock import Clock
from codepush.services.tenants import every_organization
from codepush.store.audit import AuditEntry, chain_hash
from codepush.store.stores import Stores


class Audit:
    """Reads, keeps and checks audit chains."""

    def __init__(self, stores: Stores, clock: Clock, lifetime: timedelta):
        """Keep entries for ``lifetime``."""
        self._stores = stores
        self._clock = clock
        self._lifetime = lifetime

    def log(self, event: Event) -> None:
        """Log an event of an organization itself."""
        self._stores.audit.log(event)

    def read(
        self, organization_id: OrganizationId, *, before: int | None = None, count: int
    ) -> list[AuditEntry]:
        """Return entries, newest first, with everything that happened until now."""
        self.keep_up(organization_id)
        return self._stores.audit.entries(organization_id, before=before, count=count)

    def keep_up(self, organization_id: OrganizationId) -> None:
        """Fold what happened into the chain, and drop what is too old; done by the worker too."""
        self._stores.audit.fold(organization_id)
        before_ms = self._clock() - self._lifetime // timedelta(milliseconds=1)
        self._stores.audit.forget(organization_id, before_ms=before_ms)

    def keep_up_all(self) -> None:
        """Do so for every organization."""
        for organization_id in every_organization(self._stores):
            self.keep_up(organization_id)

    def verify(self, organization_id: OrganizationId) -> int:
        """Check the whole chain and return its length.

        Raises:
            ConflictError: An entry was changed, added or taken away in its middle.
        """
        previous: AuditEntry | None = None
        length = 0
        for entry in self._stores.audit.oldest_first(organization_id):
            length += 1
            follows = previous is None or (
                entry.sequence == previous.sequence + 1
                and entry.hash == chain_hash(previous.hash, encode_event(entry.event))
            )
            begins = entry.sequence != 1 or entry.hash == chain_hash("", encode_event(entry.event))
            if not (follows and begins):
                raise ConflictError(
                    f"The audit log was tampered with: entry {entry.sequence} does not follow from"
                    " the one before it."
                )
            previous = entry
        return length
