"""Enqueues housekeeping now and then: from a thread of each worker, once for all workers."""

import logging
import threading
import time

import redis
import rq

from codepush.store import keys

log = logging.getLogger("codepush.server")

OFTEN_S = 300
NIGHTLY_S = 86_400
_NIGHT_S = 3 * 3_600
"""When a night begins: at 3:00 UTC."""

JOBS = {
    OFTEN_S: ("codepush.jobs.housekeeping.keep_audit", "codepush.jobs.webhooks.keep"),
    NIGHTLY_S: (
        "codepush.jobs.housekeeping.repair_packages",
        "codepush.jobs.housekeeping.collect_blobs",
        "codepush.jobs.housekeeping.expire_metrics",
    ),
}
"""By the seconds between two turns. The first worker ever has its turn at once."""

_LOOK_S = 60


class Ticker:
    """A thread that enqueues ``JOBS`` at the start of each period, if no other worker did."""

    def __init__(self, client: redis.Redis, queue: str):
        """Enqueue to ``queue`` of ``client``."""
        self._client = client
        self._queue = rq.Queue(queue, connection=client)
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
                self.tick(int(time.time()))
            except redis.RedisError as exc:
                log.warning("housekeeping waits for the store (%s)", exc)
            self._stopped.wait(_LOOK_S)

    def tick(self, now_s: int) -> int:
        """Enqueue what is due at a time and was not yet; return how many jobs."""
        count = 0
        for period_s, jobs in JOBS.items():
            turn = keys.tick(period_s, (now_s - _NIGHT_S) // period_s)
            if self._client.set(turn, "1", nx=True, ex=2 * period_s):
                for job in jobs:
                    self._queue.enqueue(job, result_ttl=0, failure_ttl=86_400, job_timeout=3_600)
                count += len(jobs)
        return count
