"""The access log: lines about requests, written by a thread, so that no request waits for it."""

import threading
from collections import deque
from itertools import count

import structlog

from codepush.telemetry.counters import Counter

MODES = ("off", "sampled", "all")

LOST = Counter("access_log_lost_total", "Lines of the access log that were dropped under load.")

_MOST_WAITING = 10_000
_PERIOD_S = 0.2


class AccessLog:
    """Writes a line for each request, for one in some, or for none.

    Attributes:
        every: Requests of which one gets a line; 0 for none.
    """

    def __init__(self, mode: str, one_in: int):
        """Begin.

        Args:
            mode: One of ``MODES``. A sample has one request in ``one_in``, and each that failed
                with a status of 500 or more.
            one_in: Used where the mode is ``sampled``.
        """
        self.every = {"off": 0, "sampled": one_in, "all": 1}[mode]
        self._count = count()
        self._log = structlog.get_logger("codepush.access").bind()
        self._waiting: deque[dict[str, object]] = deque()
        self._stopped = threading.Event()
        if self.every:
            threading.Thread(target=self._run, name="access log", daemon=True).start()

    def wants(self, status: int) -> bool:
        """Tell whether a request that was answered with ``status`` gets a line."""
        if not self.every:
            return False
        return next(self._count) % self.every == 0 or status >= 500

    def write(self, **line: object) -> None:
        """Have a line written soon."""
        if len(self._waiting) >= _MOST_WAITING:
            LOST.add()
        else:
            self._waiting.append(line)

    def stop(self) -> None:
        """Write what waits, and no more."""
        self._stopped.set()
        self._flush()

    def _run(self) -> None:
        while not self._stopped.wait(_PERIOD_S):
            self._flush()

    def _flush(self) -> None:
        while self._waiting:
            self._log.info("request", **self._waiting.popleft())
