"""The storage that Flask-Limiter counts in: one round trip a request, open when Redis is away.

It has a connection of its own with little patience: a request that is not counted is better than
one that waits. Requests over a quota cost no round trip at all, so a flood of them costs the store
nothing.
"""

import math
import time
from collections import OrderedDict
from contextvars import ContextVar
from dataclasses import dataclass
from threading import Lock
from typing import Any

import redis
import structlog
from limits.storage import RedisStorage

from codepush.domain.store_urls import SCHEMES
from codepush.store import keys, written
from codepush.store.connection import STORE_ERRORS, connect_quota
from codepush.store.scripts import Scripts
from codepush.telemetry.counters import Counter

log = structlog.get_logger(__name__)

_PREFIX = "codepush+"
_PAUSE_S = 1.0
"""How long Redis is left alone after it failed, so that not every request waits for it."""
_WARN_EVERY_S = 60.0
_MOST_FULL = 10_000
"""Full windows that a process remembers."""

UNAVAILABLE = Counter(
    "quota_unavailable_total", "Requests that passed uncounted because the quotas' store was away."
)


@dataclass(frozen=True, slots=True)
class Window:
    """What has been counted for one subject.

    Attributes:
        used: Requests so far, the present one among them.
        ends_at_s: When counting begins anew, in seconds since 1970, by the store's clock.
        left_ms: How long that was from when it was counted.
    """

    used: int
    ends_at_s: int
    left_ms: int

    @property
    def left_s(self) -> int:
        """Whole seconds after which it surely has ended."""
        return math.ceil(self.left_ms / 1_000)


_last: ContextVar[Window | None] = ContextVar("last_window", default=None)


def last_window() -> Window | None:
    """Return the window that this thread counted in last; None if the store was away."""
    return _last.get()


def storage_uri(url: str) -> str:
    """Return the URI by which ``limits`` finds this storage, for a store's URL."""
    return _PREFIX + url


class QuotaStorage(RedisStorage):
    """Counters of fixed windows in Redis."""

    # As ``limits`` declares it.
    STORAGE_SCHEME = [f"{_PREFIX}{scheme}" for scheme in SCHEMES]  # noqa: RUF012

    def __init__(self, uri: str):
        """Connect when first used.

        Args:
            uri: See ``storage_uri``.
        """
        self._client = connect_quota(uri.removeprefix(_PREFIX))
        # The pool is for a client that it makes, which is never used.
        super().__init__(uri, connection_pool=redis.ConnectionPool(), key_prefix=keys.QUOTA)
        self._scripts = Scripts(self._client)
        self._lock = Lock()
        self._full: OrderedDict[str, tuple[int, int, float]] = OrderedDict()
        self._away_until_s = 0.0
        self._warned_at_s = -math.inf

    def get_connection(self, readonly: bool = False) -> Any:  # noqa: ARG002 - as in the parent
        """Return the client, of a single server or of a cluster."""
        return self._client

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count ``amount`` requests of a window of ``expiry`` seconds; return how many there are.

        Never fails: 0 says that they could not be counted.
        """
        window = self._recall(key) or self._count(key, expiry, amount)
        _last.set(window)
        return window.used if window else 0

    def close(self, key: str) -> None:
        """Remember that the window counted in last is full; it stays so until it ends."""
        window = _last.get()
        if window is None:
            return
        ends_s = time.monotonic() + window.left_ms / 1_000
        with self._lock:
            # The end that was told first: rounding would put it off a little with each refusal.
            self._full.setdefault(key, (window.used, window.ends_at_s, ends_s))
            if len(self._full) > _MOST_FULL:
                self._full.popitem(last=False)

    def _recall(self, key: str) -> Window | None:
        """Return a window that is known to be full."""
        full = self._full.get(key)
        if full is None:
            return None
        used, ends_at_s, ends_s = full
        left_s = ends_s - time.monotonic()
        if left_s <= 0:
            with self._lock:
                self._full.pop(key, None)
            return None
        return Window(used, ends_at_s, math.ceil(left_s * 1_000))

    def _count(self, key: str, expiry: int, amount: int) -> Window | None:
        if time.monotonic() < self._away_until_s:
            UNAVAILABLE.add()
            return None
        try:
            with written.aside():
                used, left_ms, end_ms = self._scripts.run(
                    "count_request", [self.prefixed_key(key)], [amount, expiry * 1_000]
                )
        except STORE_ERRORS as exc:
            self._note_failure(exc)
            return None
        return Window(used, math.ceil(end_ms / 1_000), left_ms)

    def _note_failure(self, exc: Exception) -> None:
        now_s = time.monotonic()
        self._away_until_s = now_s + _PAUSE_S
        UNAVAILABLE.add()
        with self._lock:
            is_due = now_s - self._warned_at_s >= _WARN_EVERY_S
            if is_due:
                self._warned_at_s = now_s
        if is_due:
            log.warning(
                "the store of quotas does not answer: requests pass uncounted",
                error=type(exc).__name__,
                reason=str(exc),
                uncounted=UNAVAILABLE.value,
            )
