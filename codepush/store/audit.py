"""The audit log of an organization: a hash chain, folded from the logs beside what changed.

An event is first written in the same script as its change, into the log of the app it happened
to. Folding copies the events of one organization into its chain, in the order in which it finds
them. How far each log was folded is noted in the same step as the entries are appended, so that an
event enters the chain once, whoever folds and whoever is killed meanwhile.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from codepush.domain.events import Event, decode_event, encode_event
from codepush.domain.ids import AppId, OrganizationId
from codepush.store import keys
from codepush.store.connection import StoreClient
from codepush.store.scripts import Scripts

_BATCH = 200
_KEPT = 1_000
"""Events that stay in a log after folding: another organization may still need some of them."""
_GONE_S = 30 * 86_400
"""How long the log of a deleted app stays, for an organization that had it before."""
_OWN = "own"
"""Name of the cursor into the organization's own log."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One entry of a chain.

    Attributes:
        sequence: 1, 2, 3 ... without a gap.
        hash: SHA-256, in hex, over the previous entry's hash and this one's event.
    """

    sequence: int
    event: Event
    hash: str


class AuditStore:
    """Chains by organization."""

    def __init__(self, client: StoreClient, scripts: Scripts):
        """Use ``client`` for reads and ``scripts`` for appending."""
        self._client = client
        self._scripts = scripts

    def log(self, event: Event) -> None:
        """Write an event that belongs to no app into its organization's own log."""
        self._client.xadd(keys.organization_log(event.organization_id), {"e": encode_event(event)})

    def fold(self, organization_id: OrganizationId) -> None:
        """Bring the chain up to date with all logs that may hold events of the organization."""
        self._fold_log(organization_id, keys.organization_log(organization_id), _OWN)
        for text in self._client.smembers(keys.organization_logs(organization_id)):
            app_id = AppId(text)
            is_gone = not self._client.hget(keys.app(app_id), "organization_id")
            self._fold_log(organization_id, keys.app_log(app_id), text)
            if is_gone:  # nothing more will come
                self._client.expire(keys.app_log(app_id), _GONE_S)
                self._client.srem(keys.organization_logs(organization_id), text)

    def _fold_log(self, organization_id: OrganizationId, log: str, cursor: str) -> None:
        head_key = keys.audit_head(organization_id)
        while True:
            fields = self._client.hmget(head_key, ["seq", "hash", cursor])
            sequence, last_hash, folded = fields[0] or "0", fields[1] or "", fields[2] or ""
            start = f"({folded}" if folded else "-"
            rows = self._client.xrange(log, min=start, max="+", count=_BATCH)
            if not rows:
                self._client.xtrim(log, maxlen=_KEPT, approximate=True)
                return
            entries: list[str] = []
            seen: set[str] = set()
            for _, row in rows:
                event = decode_event(row["e"])
                # A script that ran twice logged twice; an app that moved has two organizations.
                if event.organization_id != organization_id or event.id in seen:
                    continue
                seen.add(event.id)
                last_hash = chain_hash(last_hash, row["e"])
                entries += [row["e"], last_hash]
            self._scripts.run(
                "append_audit",
                [head_key, keys.audit(organization_id)],
                [sequence, cursor, folded, rows[-1][0], *entries],
            )

    def entries(
        self, organization_id: OrganizationId, *, before: int | None, count: int
    ) -> list[AuditEntry]:
        """Return entries, newest first.

        Args:
            organization_id: Whose.
            before: Sequence number to start below; None for the newest.
            count: How many at most.
        """
        top = "+" if before is None else f"({before}-0"
        rows = self._client.xrevrange(keys.audit(organization_id), max=top, min="-", count=count)
        return [_decode(row_id, row) for row_id, row in rows]

    def head(self, organization_id: OrganizationId) -> int:
        """Return the sequence number of the newest entry, 0 where there is none."""
        return int(self._client.hget(keys.audit_head(organization_id), "seq") or "0")

    def after(
        self,
        organization_id: OrganizationId,
        sequence: int,
        *,
        until: int | None = None,
        count: int,
    ) -> list[AuditEntry]:
        """Return entries, oldest first.

        Args:
            organization_id: Whose.
            sequence: Number that all are above.
            until: Number that none is above; None for no bound.
            count: How many at most.
        """
        top = "+" if until is None else f"{until}-0"
        rows = self._client.xrange(
            keys.audit(organization_id), min=f"({sequence}-0", max=top, count=count
        )
        return [_decode(row_id, row) for row_id, row in rows]

    def oldest_first(self, organization_id: OrganizationId) -> Iterator[AuditEntry]:
        """Return every entry, oldest first."""
        start = "-"
        while rows := self._client.xrange(
            keys.audit(organization_id), min=start, max="+", count=_BATCH
        ):
            for row_id, row in rows:
                yield _decode(row_id, row)
            start = f"({rows[-1][0]}"

    def forget(self, organization_id: OrganizationId, *, before_ms: int) -> None:
        """Drop the oldest entries up to a time; the chain goes on from the first that is kept.

        What webhooks are yet to be told of is kept.
        """
        head = self._client.get(keys.webhook_head(organization_id))
        first_kept = 0
        for entry in self.oldest_first(organization_id):
            first_kept = entry.sequence
            if entry.event.at_ms >= before_ms or (head and entry.sequence > int(head)):
                break
            first_kept += 1
        if first_kept > 1:
            self._client.xtrim(
                keys.audit(organization_id), minid=f"{first_kept}-0", approximate=False
            )


def chain_hash(previous: str, event: str) -> str:
    """Return the hash of an entry, given the one before it and its own JSON."""
    return hashlib.sha256(f"{previous}\n{event}".encode()).hexdigest()


def _decode(row_id: str, row: dict[str, str]) -> AuditEntry:
    return AuditEntry(int(row_id.partition("-")[0]), decode_event(row["e"]), row["h"])
