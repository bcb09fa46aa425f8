"""Enqueues housekeeping every few minutes: from a thread of each worker, once for all workers."""

import logging
import threading
import time

import redis
import rq

from codepush.store import keys

log = logging.getLogger("codepush.server")

PERIOD_S = 300
JOBS = ("codepush.jobs.housekeeping.keep_audit",)


class Ticker:
    """A thread that enqueues ``JOBS`` at the start of each period, if no other worker did."""

    def __init__(self, client: redis.Redis, queue: str, period_s: int = PERIOD_S):
        """Enqueue to ``queue`` of ``client``."""
        self._client = client
        self._queue = rq.Queue(queue, connection=client)
        self._period_s = period_s
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ticker", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, within moments."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self.tick(int(time.time()) // self._period_s)
            except redis.RedisError as exc:
                log.warning("housekeeping waits for the store (%s)", exc)
            self._stopped.wait(self._period_s / 5)

    def tick(self, period: int) -> bool:
        """Enqueue the jobs of one period; tells whether this was the first to try."""
        mine = self._client.set(keys.tick(period), "1", nx=True, ex=2 * self._period_s)
        if mine:
            for job in JOBS:
                self._queue.enqueue(job, result_ttl=0, failure_ttl=86_400)
        return bool(mine)
