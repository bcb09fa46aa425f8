"""The audit log of an organization, as its owners read it."""

from dataclasses import dataclass
from datetime import timedelta

import structlog

from codepush.domain.errors import ConflictError
from codepush.domain.events import Event
from codepush.domain.ids import OrganizationId
from codepush.services.clock import Clock
from codepush.services.tenants import contained, every_organization
from codepush.store.audit import AuditEntry, ChainEnds, chain_hash
from codepush.store.connection import STORE_ERRORS, is_full
from codepush.store.stores import Stores

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Verified:
    """A chain that was found whole.

    Attributes:
        length: How many entries are kept.
        sequence: Number of the newest; 0 for none.
        hash: Its hash. Whoever keeps it elsewhere notices a chain that was made anew.
    """

    length: int
    sequence: int
    hash: str


class Audit:
    """Reads, keeps and checks audit chains."""

    def __init__(self, stores: Stores, clock: Clock, lifetime: timedelta):
        """Keep entries for ``lifetime``."""
        self._stores = stores
        self._clock = clock
        self.lifetime = lifetime

    def log(self, event: Event) -> None:
        """Log an event of an organization itself."""
        self._stores.audit.log(event)

    def read(
        self, organization_id: OrganizationId, *, before: int | None = None, count: int
    ) -> list[AuditEntry]:
        """Return entries, newest first, with everything that happened until now.

        Where the store is full, with what was folded before.
        """
        try:
            self.keep_up(organization_id)
        except STORE_ERRORS as exc:
            if not is_full(exc):
                raise
            log.warning("the audit log is shown without what is new: the store is full")
        return self._stores.audit.entries(organization_id, before=before, count=count)

    def keep_up(self, organization_id: OrganizationId) -> None:
        """Fold what happened into the chain, and drop what is too old; done by the worker too."""
        self._stores.audit.fold(organization_id)
        before_ms = self._clock() - self.lifetime // timedelta(milliseconds=1)
        self._stores.audit.forget(organization_id, before_ms=before_ms)

    def keep_up_all(self) -> None:
        """Do so for every organization."""
        for organization_id in every_organization(self._stores):
            with contained(f"The organization {organization_id}"):
                self.keep_up(organization_id)

    def verify(self, organization_id: OrganizationId) -> Verified:
        """Check a whole chain.

        Raises:
            ConflictError: An entry was changed, added or taken away.
            UnreadableError: One cannot be read, or an event that is to be one.
        """
        self.keep_up(organization_id)
        while True:
            ends = self._stores.audit.ends(organization_id)
            try:
                self._check(organization_id, ends)
            except ConflictError:
                # Unless entries left for their age meanwhile, as they may at any time.
                if self._stores.audit.ends(organization_id).base == ends.base:
                    raise
            else:
                return Verified(ends.sequence - ends.base, ends.sequence, ends.hash)

    def _check(self, organization_id: OrganizationId, ends: ChainEnds) -> None:
        sequence, last = ends.base, ends.base_hash
        for entry in self._stores.audit.oldest_first(organization_id):
            if entry.sequence > ends.sequence:
                break  # came since
            sequence += 1
            if entry.sequence != sequence:
                raise ConflictError(
                    f"The audit log was tampered with: entry {sequence} is missing."
                )
            if entry.hash != chain_hash(last, entry.record):
                raise ConflictError(
                    f"The audit log was tampered with: entry {sequence} does not follow from the"
                    " one before it."
                )
            last = entry.hash
        if (sequence, last) != (ends.sequence, ends.hash):
            raise ConflictError(
                f"The audit log was tampered with: it ends at entry {sequence} and not at entry"
                f" {ends.sequence} with the hash {ends.hash or '(none)'}."
            )
