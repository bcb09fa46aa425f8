"""Drains what is due over a bounded pool of threads, fairly and in order.

One thread decides and many call. The deciding thread takes webhooks whose queues have something
due, and starts attempts in turns, one webhook after the other. Within a webhook and a deployment,
first attempts are made one after the other; attempts at other deployments, and retries, run beside
them. A webhook begins with few attempts at once, gets more with each success, and one at a time
after a failure. Those that fail, are slow or unknown share half of the threads, and so do those of
one organization, so that nobody can take all.

A job does not last for ever, and its end holds nobody up: it begins nothing more at endpoints that
are slow, goes on with the others until those have ended, and so has moments to wait for at last.
"""

import contextlib
import logging
import queue
import random
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from codepush.domain.errors import NotFoundError
from codepush.domain.ids import DeliveryId, OrganizationId, WebhookId, new_id
from codepush.domain.webhooks import Delivery, Webhook
from codepush.services.calling import Calling, Done
from codepush.services.clock import Clock
from codepush.services.handing_on import HandingOn
from codepush.services.sharing import FIRST_AT_ONCE, Hand, Shares, may_hold
from codepush.store.connection import STORE_ERRORS
from codepush.store.deliveries import LONGEST_HOLD_MS
from codepush.store.stores import Stores

log = logging.getLogger("codepush.webhooks")

THREADS = 64
_RENEW_S = 5.0
_FETCHED = 50
_ENOUGH = 10
_CROWDED_MS = 500
"""Until those are looked at again that there was no place for."""
_PAUSE_S = 0.02
_LONGEST_END_S = 60.0
"""For the end of a job, where ever new endpoints turn out to be slow."""
_REFILL_S = 0.1
_LOOK_S = 0.1
"""For organizations that are due, after which what is held has its turn."""

Key = tuple[OrganizationId, WebhookId]


@dataclass(frozen=True, slots=True)
class _Result:
    key: Key
    delivery_id: DeliveryId
    done: Done | None


class Delivering:
    """One worker's deliveries, from begin to end of a job."""

    def __init__(
        self,
        stores: Stores,
        handing_on: HandingOn,
        calling: Calling,
        clock: Clock,
        *,
        threads: int = THREADS,
    ):
        """Deliver with ``threads`` threads."""
        self._stores = stores
        self._handing_on = handing_on
        self._calling = calling
        self._clock = clock
        self._threads = threads
        self._holder = new_id()
        self._hands: OrderedDict[Key, Hand] = OrderedDict()
        self._results: queue.SimpleQueue[_Result] = queue.SimpleQueue()
        self._running = 0
        self._renewed_at = 0.0
        self._crowded_at = -_RENEW_S

    def run(
        self,
        *,
        work_s: float = 10.0,
        idle_s: float = 0.0,
        is_stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        """Deliver what is due, until nothing is or the time is up; then finish what was begun.

        Args:
            work_s: How long to begin attempts at any endpoint; then at quick ones, until no other
                is waited for.
            idle_s: How long to stay after the last one, for what comes next.
            is_stopping: Asked now and then; True ends it early.

        Raises:
            RedisError: The store does not answer.
        """
        try:
            with ThreadPoolExecutor(self._threads, thread_name_prefix="webhook") as pool:
                ends_at = time.monotonic() + work_s
                busy_at = time.monotonic()
                while (now := time.monotonic()) < ends_at + _LONGEST_END_S and not is_stopping():
                    is_ending = now >= ends_at
                    if is_ending and self._waits_for_quick_ones_only():
                        break
                    self._look()
                    self._start(pool, is_ending=is_ending)
                    self._collect(_PAUSE_S)
                    self._tidy()
                    if self._hands:
                        busy_at = now
                    elif now - busy_at >= idle_s and not self._has_more():
                        break
                while self._running:
                    self._collect(_RENEW_S)
                    self._renew()
        finally:
            for key in list(self._hands):
                self._let_go(key)

    def _has_more(self) -> bool:
        """Return whether something is due: what was let go last may have made place for others."""
        return bool(self._stores.agenda.due(self._clock(), 1))

    def _waits_for_quick_ones_only(self) -> bool:
        return all(hand.is_quick for hand in self._hands.values() if hand.running)

    def _look(self) -> None:
        """Look at organizations that are due, and take their webhooks that are."""
        until = time.monotonic() + _LOOK_S
        for organization_id in self._stores.agenda.due(self._clock()):
            if time.monotonic() > until:
                return
            self._stores.agenda.begin(organization_id, self._clock())
            try:
                self._look_at(organization_id)
            except STORE_ERRORS:
                raise
            except Exception:
                # It is looked at again in a minute; others are not to wait for that.
                log.exception("webhooks of organization %s cannot be served", organization_id)

    def _look_at(self, organization_id: OrganizationId) -> None:
        is_behind = not self._handing_on.step(organization_id)
        now_ms = self._clock()
        due = self._stores.deliveries.due_webhooks(organization_id, now_ms)
        new = [each for each in due if (organization_id, each) not in self._hands]
        for each in set(due).difference(new):
            self._claim((organization_id, each), 0)  # what is due is fetched anyway
        have_places = self._take(organization_id, new)
        if is_behind:
            self._stores.agenda.bring_forward(organization_id, now_ms)
        elif not have_places:
            self._stores.agenda.bring_forward(organization_id, now_ms + _CROWDED_MS)
        else:
            self._say_when(organization_id)

    def _take(self, organization_id: OrganizationId, wanted: Sequence[WebhookId]) -> bool:
        """Take those webhooks that there are places for; tells whether that was all."""
        have_places = True
        webhooks = self._stores.webhooks.get_many(organization_id, wanted) if wanted else []
        random.shuffle(webhooks)  # so that each has its turn where there are too few places
        for webhook in webhooks:
            is_failing = webhook.failing_since_ms is not None
            hand = Hand(
                webhook,
                at_once=1 if is_failing else FIRST_AT_ONCE,
                is_failing=is_failing,
                took_ms=webhook.took_ms,
            )
            if not may_hold(hand, self._hands.values(), self._threads):
                have_places = False
                self._crowded_at = time.monotonic()
                continue
            key = (organization_id, webhook.id)
            deliveries = self._claim(key, _FETCHED)
            if deliveries:
                hand.waiting.update((each.id, each) for each in deliveries)
                hand.filled_at = time.monotonic()
                self._hands[key] = hand
            else:
                self._stores.deliveries.let_go(*key, self._holder)
        return have_places

    def _claim(self, key: Key, count: int) -> list[Delivery]:
        """Hold a webhook longer, and return what is due; where it is somebody else's, leave it."""
        hand = self._hands.get(key)
        if hand and hand.is_lost:
            return []
        now_ms = self._clock()
        known = {*hand.waiting, *hand.running} if hand else set()
        found = self._stores.deliveries.claim(
            *key,
            self._holder,
            now_ms=now_ms,
            until_ms=now_ms + LONGEST_HOLD_MS,
            count=count + len(known) if count else 0,
            known=known,
        )
        if found is None and hand:
            hand.lose()
        return found or []

    def _start(self, pool: ThreadPoolExecutor, *, is_ending: bool) -> None:
        """Start what may be, in turns, until no thread is free or nothing may be started."""
        shares = Shares(self._threads, self._hands.values())
        started = True
        while started and self._running < self._threads:
            started = False
            for key, hand in list(self._hands.items()):
                if self._running >= self._threads:
                    return
                if not shares.has_room(hand) or (is_ending and hand.is_slow):
                    continue
                delivery = hand.next()
                if delivery is None:
                    continue
                del hand.waiting[delivery.id]
                hand.running[delivery.id] = delivery
                shares.take(hand)
                self._running += 1
                self._hands.move_to_end(key)
                pool.submit(self._work, key, hand.webhook, delivery)
                started = True

    def _work(self, key: Key, webhook: Webhook, delivery: Delivery) -> None:
        done = None
        try:
            done = self._calling.attempt(webhook, delivery)
        except Exception:
            log.exception("an attempt of delivery %s is not noted", delivery.id)
        finally:
            self._results.put(_Result(key, delivery.id, done))

    def _collect(self, patience_s: float) -> None:
        """Wait for a result, and take in all that are there."""
        try:
            result = self._results.get(timeout=patience_s)
        except queue.Empty:
            return
        while True:
            self._take_in(result)
            try:
                result = self._results.get_nowait()
            except queue.Empty:
                return

    def _take_in(self, result: _Result) -> None:
        self._running -= 1
        hand = self._hands[result.key]
        del hand.running[result.delivery_id]
        if result.done is None:
            hand.lose()
            return
        hand.note(is_success=result.done.is_success, took_ms=result.done.duration_ms)
        if result.done.is_disabled or result.done.is_quiet:
            hand.waiting.clear()

    def _tidy(self) -> None:
        """Fetch more for webhooks that run out, give back those that have nothing more."""
        self._renew()
        now = time.monotonic()
        for key, hand in list(self._hands.items()):
            if hand.is_lost:
                if not hand.running:
                    del self._hands[key]
                continue
            if hand.is_used and hand.is_slow and not hand.running and self._is_crowded():
                self._let_go(key)
                continue
            if len(hand.waiting) >= _ENOUGH or (
                (hand.running or hand.waiting) and now - hand.filled_at < _REFILL_S
            ):
                continue
            hand.filled_at = now
            with contextlib.suppress(NotFoundError):  # which claiming it finds too
                hand.webhook = self._stores.webhooks.get(*key)
            hand.waiting.update((each.id, each) for each in self._claim(key, _FETCHED))
            if not hand.waiting and not hand.running:
                self._let_go(key)

    def _is_crowded(self) -> bool:
        return time.monotonic() - self._crowded_at < 2 * _CROWDED_MS / 1_000

    def _renew(self) -> None:
        if time.monotonic() - self._renewed_at >= _RENEW_S:
            self._renewed_at = time.monotonic()
            for key in self._hands:
                self._claim(key, 0)

    def _let_go(self, key: Key) -> None:
        del self._hands[key]
        self._stores.deliveries.let_go(*key, self._holder)
        self._say_when(key[0])

    def _say_when(self, organization_id: OrganizationId) -> None:
        due = self._stores.deliveries.next_due(organization_id)
        if due is not None:
            self._stores.agenda.bring_forward(organization_id, due)
