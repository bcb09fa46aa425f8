"""The store's clock: one for all workers, whatever those of their machines say."""

import threading
import time

from codepush.store import keys
from codepush.store.scripts import Scripts

_FRESH_S = 0.05
_UNNOTICED_MS = 2_000
"""A replica that takes over may have a clock that is a little behind."""
_NOTED_EVERY_MS = 5_000
"""Each is a write, and what is noted by so much too early makes up for so much less."""


class StoreClock:
    """Tells the time in ms since 1970, to any thread; not more than 50 ms old."""

    def __init__(self, scripts: Scripts):
        """Ask with ``scripts``."""
        self._scripts = scripts
        self._lock = threading.Lock()
        self._read_at = 0.0
        self._now_ms = 0

    def __call__(self) -> int:
        """Return the time.

        Raises:
            redis.RedisError: The store does not answer.
        """
        with self._lock:
            if time.monotonic() - self._read_at > _FRESH_S:
                self.read()
            return self._now_ms

    def read(self, mended: int | None = None) -> int | None:
        """Read the clock; return what it showed before, if it has jumped back since.

        Args:
            mended: Such a time, which is what will not be returned any more: nothing waits for it.

        Raises:
            redis.RedisError: The store does not answer.
        """
        args = [_UNNOTICED_MS, _NOTED_EVERY_MS, "" if mended is None else mended]
        now_ms, before_ms = self._scripts.run("read_clock", [keys.CLOCK], args)
        self._now_ms = int(now_ms)
        self._read_at = time.monotonic()
        return int(before_ms) or None
