"""Puts jobs that failed back into their queues when the pause before their next try is over.

RQ's own way is a process beside each worker, which outlives a worker that is killed; this is a
thread of it. Of many workers one does it, by RQ's own lock.
"""

import logging
import threading
from collections.abc import Iterable

import redis
from rq.scheduler import RQScheduler

log = logging.getLogger("codepush.server")

PERIOD_S = 2.0


class Scheduling:
    """A thread that enqueues what is due."""

    def __init__(self, client: redis.Redis, queues: Iterable[str], period_s: float = PERIOD_S):
        """Watch the ``queues`` of ``client``."""
        self._scheduler = RQScheduler(list(queues), client, logging_level=logging.WARNING)
        self._period_s = period_s
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="scheduling", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, within moments, and let another worker do it."""
        self._stopped.set()
        self._thread.join()
        try:
            self._scheduler.release_locks()  # type: ignore[no-untyped-call] # RQ's
        except redis.RedisError as exc:
            log.debug("the lock of scheduling is left to expire (%s)", exc)

    def _run(self) -> None:
        while not self._stopped.wait(self._period_s):
            try:
                self.turn()
            except redis.RedisError as exc:
                log.warning("jobs that failed wait for the store (%s)", exc)

    def turn(self) -> None:
        """Enqueue what is due by now, unless another worker does it."""
        self._scheduler.acquire_locks()  # type: ignore[no-untyped-call] # RQ's
        self._scheduler.enqueue_scheduled_jobs()  # type: ignore[no-untyped-call] # RQ's
