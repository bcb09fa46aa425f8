"""How the webhooks that a worker holds share its threads."""

from collections import Counter, OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field

from codepush.domain.ids import DeliveryId, OrganizationId
from codepush.domain.webhooks import Delivery, Webhook

MAX_AT_ONCE = 8
"""Attempts at one webhook."""
FIRST_AT_ONCE = 2
QUICK_MS = 1_000
"""An endpoint that took its last delivery within this time is quick."""


MAX_HANDS = 500
"""Webhooks that one process holds at one time."""


@dataclass(slots=True)
class Hand:
    """A webhook that this process holds, and what it knows to be due for it.

    Attributes:
        is_failing: Whether its newest attempt failed.
        took_ms: How long that took; None where there was none yet.
        is_used: Whether an attempt was made since it is held.
        is_lost: Whether it is somebody else's by now, or an attempt could not be noted: nothing
            more is begun, and it is not held on to.
    """

    webhook: Webhook
    waiting: OrderedDict[DeliveryId, Delivery] = field(default_factory=OrderedDict)
    running: dict[DeliveryId, Delivery] = field(default_factory=dict)
    at_once: int = FIRST_AT_ONCE
    is_failing: bool = False
    took_ms: int | None = None
    is_used: bool = False
    is_lost: bool = False
    filled_at: float = 0.0

    @property
    def is_quick(self) -> bool:
        """Whether what is started now is likely over in moments."""
        return not self.is_failing and self.took_ms is not None and self.took_ms < QUICK_MS

    @property
    def is_slow(self) -> bool:
        """Whether what is started now likely lasts; a webhook may be neither slow nor quick."""
        return self.is_failing or (self.took_ms is not None and self.took_ms >= QUICK_MS)

    def next(self) -> Delivery | None:
        """Return what may be started now, or None."""
        if len(self.running) >= self.at_once:
            return None
        busy = {each.lane for each in self.running.values()} - {None}
        for each in self.waiting.values():
            if each.lane is None or each.lane not in busy:
                return each
            # What is behind it in its lane waits for it, and so is passed over too.
        return None

    def lose(self) -> None:
        """Begin nothing more at it."""
        self.is_lost = True
        self.waiting.clear()

    def note(self, *, is_success: bool, took_ms: int) -> None:
        """Take in how an attempt went."""
        self.is_used = True
        self.is_failing = not is_success
        self.took_ms = took_ms
        self.at_once = min(self.at_once * 2, MAX_AT_ONCE) if is_success else 1


class Shares:
    """Who uses how many threads: at most half go to one organization, or to all not quick.

    Of those that are not quick, half again go to endpoints that are known to be slow, so that one
    that was never called waits for no dead ones.
    """

    def __init__(self, threads: int, hands: Iterable[Hand]):
        """Count what runs; ``threads`` are there in all."""
        self._threads = threads
        self._organizations: Counter[OrganizationId] = Counter()
        self._waited_for: Counter[OrganizationId] = Counter()
        self._slow: Counter[OrganizationId] = Counter()
        for hand in hands:
            self.take(hand, len(hand.running))

    def take(self, hand: Hand, count: int = 1) -> None:
        """Count attempts at a webhook."""
        organization_id = hand.webhook.organization_id
        self._organizations[organization_id] += count
        if not hand.is_quick:
            self._waited_for[organization_id] += count
        if hand.is_slow:
            self._slow[organization_id] += count

    def has_room(self, hand: Hand) -> bool:
        """Return whether one more attempt at a webhook is within its share."""
        organization_id = hand.webhook.organization_id
        if self._organizations[organization_id] >= self._part(2):
            return False
        return hand.is_quick or (
            self._is_within(self._waited_for, organization_id, 2)
            and (not hand.is_slow or self._is_within(self._slow, organization_id, 4))
        )

    def _is_within(
        self, used: Counter[OrganizationId], organization_id: OrganizationId, part: int
    ) -> bool:
        """Return whether all use less than a part of the threads, and one half of that."""
        return used.total() < self._part(part) and used[organization_id] < self._part(2 * part)

    def _part(self, part: int) -> int:
        return max(1, self._threads // part)


def may_hold(hand: Hand, held: Iterable[Hand], threads: int) -> bool:
    """Return whether one more webhook may be held, given those that are.

    Those that are not quick keep their place for long: so they have half of the places, and no
    organization more than are enough to use its share of the threads.
    """
    others = list(held)
    if len(others) >= MAX_HANDS:
        return False
    waited_for = [each.webhook.organization_id for each in others if not each.is_quick]
    return hand.is_quick or (
        len(waited_for) < MAX_HANDS // 2
        and waited_for.count(hand.webhook.organization_id) < max(1, threads // 2)
    )
