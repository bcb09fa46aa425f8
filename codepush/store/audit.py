"""The audit log of an organization: a hash chain, folded from the logs beside what changed.

An event is first written in the same script as its change, into the log of the app it happened
to. Folding copies the events of one organization into its chain, in the order of their times as far
as it finds them at once. How far each log was folded is noted in the same step as the entries are
appended, so that an event enters the chain once, whoever folds and whoever is killed meanwhile.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from codepush.domain.events import Event, decode_event, encode_event
from codepush.domain.ids import AppId, OrganizationId
from codepush.store import keys
from codepush.store.connection import StoreClient
from codepush.store.damage import read
from codepush.store.scripts import Scripts

_BATCH = 200
_KEPT = 1_000
"""Events that stay in a log after folding: another organization may still need some of them."""
_GONE_S = 30 * 86_400
"""How long the log of a deleted app stays, for an organization that had it before."""
_TO_COME_MS = 3_600_000
"""An app noted longer ago than this is there or never came to be: its claim is too old by far."""
OWN = "own"
"""Name of the cursor into the organization's own log."""
_ENDS = ("base", "base_hash", "seq", "hash")
_LATEST = "latest"
_NO_CURSORS = {*_ENDS, _LATEST}
"""What the head holds beside cursors."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One entry of a chain.

    Attributes:
        sequence: 1, 2, 3 ... without a gap.
        latest_ms: The latest time of the events so far. It never goes back, as clocks do.
        record: The event as it was written down.
        hash: SHA-256, in hex, over the previous entry's hash, a line break and this record.
    """

    sequence: int
    latest_ms: int
    event: Event
    record: str
    hash: str


@dataclass(frozen=True, slots=True)
class ChainEnds:
    """Between which entries a chain lies.

    Attributes:
        base: Sequence number of the last entry that was dropped for its age; 0 for none.
        base_hash: Its hash.
        sequence: Of the newest entry; 0 where there never was one.
        hash: Its hash.
    """

    base: int
    base_hash: str
    sequence: int
    hash: str


class AuditStore:
    """Chains by organization."""

    def __init__(self, client: StoreClient, scripts: Scripts):
        """Use ``client`` for reads and ``scripts`` for changes of a chain."""
        self._client = client
        self._scripts = scripts

    def log(self, event: Event) -> None:
        """Write an event that belongs to no app into its organization's own log."""
        self._client.xadd(keys.organization_log(event.organization_id), {"e": encode_event(event)})

    def fold(self, organization_id: OrganizationId) -> None:
        """Bring the chain up to date with all logs that may hold events of the organization."""
        index = keys.organization_logs(organization_id)
        gone = self._gone(self._scripts.run("old_logs", [index], [_TO_COME_MS]))
        logs = {text: keys.app_log(AppId(text)) for text in self._client.zrange(index, 0, -1)}
        logs[OWN] = keys.organization_log(organization_id)
        read: set[str] = set()
        while names := self._fold_some(organization_id, logs):
            read |= names
        pipeline = self._client.pipeline(transaction=False)
        for name in read:
            pipeline.xtrim(logs[name], maxlen=_KEPT, approximate=True)
        for app_id in gone:  # before their logs were read; nothing more will come
            pipeline.expire(keys.app_log(app_id), _GONE_S)
            pipeline.zrem(index, app_id)
        if read or gone:
            pipeline.execute()
        if gone:
            self._drop_cursors(organization_id, logs)

    def _drop_cursors(self, organization_id: OrganizationId, logs: Mapping[str, str]) -> None:
        """Drop cursors into logs that are gone for good: of these nothing can be folded twice."""
        head = keys.audit_head(organization_id)
        others = [each for each in self._client.hgetall(head) if each not in {*logs, *_NO_CURSORS}]
        pipeline = self._client.pipeline(transaction=False)
        for each in others:
            pipeline.exists(keys.app_log(AppId(each)))
        there = pipeline.execute() if others else []
        dead = [each for each, is_there in zip(others, there, strict=True) if not is_there]
        if dead:
            self._client.hdel(head, *dead)

    def _gone(self, noted: list[str]) -> list[AppId]:
        app_ids = [AppId(text) for text in noted]
        pipeline = self._client.pipeline(transaction=False)
        for app_id in app_ids:
            pipeline.exists(keys.app(app_id))
        there = pipeline.execute() if app_ids else []
        return [app_id for app_id, is_there in zip(app_ids, there, strict=True) if not is_there]

    def _fold_some(self, organization_id: OrganizationId, logs: Mapping[str, str]) -> set[str]:
        """Append the oldest events that are not in the chain yet; tells from which logs they came.

        Args:
            organization_id: Whose.
            logs: Each log by the name of its cursor.
        """
        head_key = keys.audit_head(organization_id)
        sequence, last_hash, latest, *folded = self._client.hmget(
            head_key, ["seq", "hash", _LATEST, *logs]
        )
        latest_ms = int(latest or 0)
        cursors = dict(zip(logs, folded, strict=True))
        pipeline = self._client.pipeline(transaction=False)
        for name, log in logs.items():
            start = f"({cursors[name]}" if cursors[name] else "-"
            pipeline.xrange(log, min=start, max="+", count=_BATCH)
        # None of a log's rows comes before rows of the same log that were not read: those are newer
        # than a whole batch.
        rows = sorted(
            (_time(row_id), name, row_id, row)
            for name, found in zip(logs, pipeline.execute(), strict=True)
            for row_id, row in found
        )[:_BATCH]
        entries: list[str] = []
        seen: set[str] = set()
        last_hash = last_hash or ""
        for _, name, _, row in rows:
            text, event = read(logs[name], _logged, row)
            # A script that ran twice logged twice; an app that moved has two organizations.
            if event.organization_id != organization_id or event.id in seen:
                continue
            seen.add(event.id)
            last_hash = chain_hash(last_hash, text)
            latest_ms = max(latest_ms, event.at_ms)
            entries += [text, last_hash, str(latest_ms)]
        reached = {name: row_id for _, name, row_id, _ in rows}
        if rows:
            moved = [
                each for name, to in reached.items() for each in (name, cursors[name] or "", to)
            ]
            self._scripts.run(
                "append_audit",
                [head_key, keys.audit(organization_id)],
                [sequence or "0", len(reached), *moved, *entries],
            )
        return set(reached)

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
        key = keys.audit(organization_id)
        rows = self._client.xrevrange(key, max=top, min="-", count=count)
        return [read(key, _decode, *each) for each in rows]

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
        key = keys.audit(organization_id)
        rows = self._client.xrange(key, min=f"({sequence}-0", max=top, count=count)
        return [read(key, _decode, *each) for each in rows]

    def oldest_first(self, organization_id: OrganizationId) -> Iterator[AuditEntry]:
        """Return every entry, oldest first."""
        key = keys.audit(organization_id)
        start = "-"
        while rows := self._client.xrange(key, min=start, max="+", count=_BATCH):
            for each in rows:
                yield read(key, _decode, *each)
            start = f"({rows[-1][0]}"

    def between(
        self, organization_id: OrganizationId, since_ms: int, until_ms: int
    ) -> Iterator[AuditEntry]:
        """Return the entries of what happened in a span of time, oldest first.

        Reads nothing of what was before the span, however long the chain is; behind it, anything
        may have happened within it, by a clock that went back.
        """
        ends = self.ends(organization_id)
        low, high = ends.base, ends.sequence
        while low < high:  # the last entry before the span, or the base
            middle = (low + high + 1) // 2
            found = self.after(organization_id, middle - 1, count=1)
            if not found or found[0].latest_ms < since_ms:
                low = middle
            else:
                high = middle - 1
        while rows := self.after(organization_id, low, count=_BATCH):
            for entry in rows:
                if since_ms <= entry.event.at_ms < until_ms:
                    yield entry
            low = rows[-1].sequence

    def ends(self, organization_id: OrganizationId) -> ChainEnds:
        """Return where a chain must begin and end."""
        base, base_hash, sequence, last = self._client.hmget(
            keys.audit_head(organization_id), list(_ENDS)
        )
        return ChainEnds(int(base or 0), base_hash or "", int(sequence or 0), last or "")

    def forget(self, organization_id: OrganizationId, *, before_ms: int) -> None:
        """Drop the oldest entries up to a time; the chain goes on from the last one's hash.

        What webhooks are yet to be told of is kept. Many may do so at once, by clocks that differ.
        """
        told = self._client.get(keys.webhook_head(organization_id))
        dropped: AuditEntry | None = None
        for entry in self.oldest_first(organization_id):
            if entry.event.at_ms >= before_ms or (told and entry.sequence > int(told)):
                break
            dropped = entry
        if dropped:
            self._scripts.run(
                "forget_audit",
                [keys.audit_head(organization_id), keys.audit(organization_id)],
                [dropped.sequence, dropped.hash],
            )


def chain_hash(previous: str, event: str) -> str:
    """Return the hash of an entry, given the one before it and its own JSON."""
    return hashlib.sha256(f"{previous}\n{event}".encode()).hexdigest()


def _time(row_id: str) -> tuple[int, int]:
    milliseconds, _, number = row_id.partition("-")
    return int(milliseconds), int(number)


def _logged(row: dict[str, str]) -> tuple[str, Event]:
    return row["e"], decode_event(row["e"])


def _decode(row_id: str, row: dict[str, str]) -> AuditEntry:
    event = decode_event(row["e"])
    latest_ms = int(row.get("t", event.at_ms))  # chains of former servers are without
    return AuditEntry(int(row_id.partition("-")[0]), latest_ms, event, row["e"], row["h"])
