"""How counters went over time, from how much they changed in each period."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from codepush.domain.models import Counts


class Period(StrEnum):
    """How finely to tell; the value is what stored changes begin with."""

    HOUR = "h"
    DAY = "d"

    @property
    def ms(self) -> int:
        """Its length."""
        return 3_600_000 if self is Period.HOUR else 86_400_000


@dataclass(frozen=True, slots=True)
class Change:
    """How much a counter of a label changed in a period.

    Attributes:
        number: Of the period, counted from 1970.
        label: A release's.
        counter: As ``Counts`` spells it.
        by: May be negative, for active devices.
    """

    period: Period
    number: int
    label: str
    counter: str
    by: int


@dataclass(frozen=True, slots=True)
class Point:
    """How a label fared in a period in which anything changed.

    Attributes:
        starts_at_ms: Beginning of the period, in epoch milliseconds.
        counts: Devices active at its end; downloads, installs and failures in it.
    """

    starts_at_ms: int
    label: str
    counts: Counts


def points(changes: list[Change], period: Period, now: Mapping[str, Counts]) -> list[Point]:
    """Return how each label fared, oldest first.

    What was active at a period's end is what is active now, less all that came later.

    Args:
        changes: Of any period.
        period: Which ones to tell.
        now: The counters as they are.
    """
    by_label: defaultdict[str, defaultdict[int, dict[str, int]]] = defaultdict(
        lambda: defaultdict(dict)
    )
    for change in changes:
        if change.period is period:
            by_label[change.label][change.number][change.counter] = change.by
    found = []
    for label, periods in by_label.items():
        active = now[label].active if label in now else 0
        for number in sorted(periods, reverse=True):
            changed = {counter: max(0, by) for counter, by in periods[number].items()}
            counts = Counts(**(changed | {"active": max(0, active)}))
            found.append(Point(number * period.ms, label, counts))
            active -= periods[number].get("active", 0)
    return sorted(found, key=lambda point: point.starts_at_ms)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a release failed on devices.

    Attributes:
        reason: In the words of the devices, shortened.
        count: Devices that said so since it was first kept.
        last_at_ms: When one said so last.
    """

    reason: str
    count: int
    last_at_ms: int
