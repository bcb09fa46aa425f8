"""What devices report, counted once each.

The server's own record of a device decides where it was before, not the report. Per device and
label an install, a download and a failure count once; a device's last eight reports are remembered,
and an identical one changes nothing. Device ids are stored as 64-bit digests. A device costs about
130 bytes (``benchmarks/RESULTS.md``), until it has said nothing for ``DEVICE_DAYS``.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from redis.connection import Connection

from codepush.domain.ids import AppId, DeploymentId
from codepush.domain.models import Counts
from codepush.domain.reports import Outcome, Report, Told
from codepush.domain.series import Change, Failure, Period
from codepush.store import keys
from codepush.store.connection import StoreClient
from codepush.store.damage import read
from codepush.store.line import Line, connected
from codepush.store.scripts import Call, Scripts

_MAX_COUNTERS = 10_000
"""Binary versions are made up by devices; beyond this many counters the rarest make room."""

_MAX_LABEL_CHARS = 300
"""About 64 labels are remembered of a device for each kind of report; older ones never come."""

_MAX_REASONS = 20
_NEWEST_REASONS = 10
_LONGEST_REASON = 200
"""Of reasons for failures: kept of a label, those of them that are the newest, and characters."""

_FINGERPRINT_CHARS = 12
_MS_PER_HOUR = 3_600_000
_EXPIRED_AT_ONCE = 500
MAX_BATCH = 500
"""Reports counted in one step."""

_OUTCOMES = {int(outcome): outcome for outcome in Outcome}

Address = tuple[AppId, DeploymentId]


class ReportStore:
    """Devices and counters by deployment."""

    def __init__(self, client: StoreClient, scripts: Scripts):
        """Use ``client`` for reads and ``scripts`` for reports."""
        self._client = client
        self._scripts = scripts

    def count(self, address: Address, told: Told, *, now_ms: int) -> Outcome:
        """Count one report, or let a device leave, in one atomic step."""
        return self.count_many(address, [told], now_ms=now_ms)[0]

    def count_many(self, address: Address, batch: Sequence[Told], *, now_ms: int) -> list[Outcome]:
        """Count up to ``MAX_BATCH`` reports of one deployment in their order, in one atomic step.

        A step whose answer was lost is tried again; what it had counted is then a repetition.
        """
        return outcomes(self._scripts.call(counting(address, batch, now_ms=now_ms)))

    def connected(self) -> Connection | None:
        """Return a connection for a line of this store's; see ``store.line.connected``."""
        return connected(self._client)

    def line(self, connection: Connection) -> Line:
        """Return a line that runs what ``counting`` returns, from the running event loop."""
        return Line(connection, self._scripts)

    def counts(self, app_id: AppId, deployment_id: DeploymentId) -> dict[str, Counts]:
        """Return the counts of each label and binary version that has any."""
        places: defaultdict[str, dict[str, int]] = defaultdict(dict)
        for field, value in self._client.hgetall(keys.counts(app_id, deployment_id)).items():
            place, _, counter = field.rpartition("|")
            places[place][counter] = max(0, int(value))
        return {place: Counts(**counters) for place, counters in places.items()}

    def changes(self, address: Address) -> list[Change]:
        """Return how much the counters of each label changed in each period that is kept."""
        key = keys.series(*address)
        return [read(key, _change, *each) for each in self._client.hgetall(key).items()]

    def forget_changes(self, address: Address, before_ms: Mapping[Period, int]) -> None:
        """Drop the changes of each period that ended before a time."""
        old = [
            f"{each.period.value}{each.number}|{each.label}|{each.counter}"
            for each in self.changes(address)
            if (each.number + 1) * each.period.ms <= before_ms[each.period]
        ]
        for start in range(0, len(old), _EXPIRED_AT_ONCE):
            self._client.hdel(keys.series(*address), *old[start : start + _EXPIRED_AT_ONCE])

    def failures(self, address: Address, label: str) -> list[Failure]:
        """Return why a release failed: the reasons that are kept, most frequent first."""
        held = self._client.hget(keys.failures(*address), label)
        found = [
            Failure(reason, int(count), int(at_s) * 1_000)
            for reason, count, at_s in orjson.loads(held or "[]")
        ]
        return sorted(found, key=lambda each: (-each.count, -each.last_at_ms, each.reason))

    def expire(self, address: Address, *, now_ms: int, days: int) -> int:
        """Let go of devices that have said nothing for so many days; return how many."""
        hour = now_ms // _MS_PER_HOUR
        day = hour // 24
        touched = [keys.counts(*address), keys.devices(*address), keys.series(*address)]
        gone, cursor = 0, "0"
        while True:
            limits: list[str | int] = [cursor, day - days - 1, hour, day, _EXPIRED_AT_ONCE]
            reply: list[Any] = self._scripts.run("expire_devices", touched, limits)
            cursor = str(reply[0])
            gone += int(reply[1])
            if cursor == "0":
                return gone


def _touched(address: Address) -> list[str]:
    return [keys.deployment(*address), keys.releases(*address), *keys.metrics(*address)]


def counting(address: Address, batch: Sequence[Told], *, now_ms: int) -> Call:
    """Return what counts up to ``MAX_BATCH`` reports of one deployment; see ``outcomes``."""
    return Call("report", _touched(address), [_encode(batch, now_ms)])


def outcomes(reply: Sequence[int]) -> list[Outcome]:
    """Return what became of each report of a batch."""
    return [_OUTCOMES[each] for each in reply]


def _encode(batch: Sequence[Told], now_ms: int) -> bytes:
    numbers: dict[int, int] = {}
    kinds: list[tuple[str | int, ...]] = []
    told: list[int | str] = []
    for report, device in batch:
        number = numbers.get(id(report))
        if number is None:
            kinds.append(_row(report))
            number = numbers[id(report)] = len(kinds)
        told.append(number)
        told.append(device)
    return orjson.dumps(
        {
            "hour": now_ms // _MS_PER_HOUR,
            "now": now_ms // 1_000,
            "counters": _MAX_COUNTERS,
            "labels": _MAX_LABEL_CHARS,
            "reasons": _MAX_REASONS,
            "newest": _NEWEST_REASONS,
            "kinds": kinds,
            "reports": told,
        }
    )


def _row(report: Report) -> tuple[str | int, ...]:
    # Zero is a binary version, and -1 a label that was never given.
    number = report.number or -1 if report.label else 0
    return (
        report.happening.value,
        number,
        report.place,
        report.fingerprint[:_FINGERPRINT_CHARS],
        report.reason[:_LONGEST_REASON],
    )


def _change(field: str, by: str) -> Change:
    when, label, counter = field.split("|")
    return Change(Period(when[0]), int(when[1:]), label, counter, int(by))
