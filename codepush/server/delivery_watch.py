"""Enqueues a job that delivers to webhooks whenever something is due, from a thread of a worker."""

import logging
import threading

from codepush.services.clock_jumps import ClockJumps
from codepush.store.connection import connect, is_outage
from codepush.store.queue import DELIVERIES, JobQueue
from codepush.store.stores import open_stores

log = logging.getLogger("codepush.server")

DELIVER = "codepush.jobs.webhooks.deliver"
_LOOK_S = 0.25
"""Between two looks: two reads each, whatever the number of webhooks."""
_PAUSE_S = 5.0
"""After what was not foreseen, which is logged each time."""
_TIMEOUT_S = 180


class DeliveryWatch:
    """A thread that looks at the agenda, and enqueues one job at a time for all workers."""

    def __init__(self, url: str, queue_url: str):
        """Watch the agenda in the store at ``url``, and enqueue at ``queue_url``."""
        stores = open_stores(connect(url))
        self._agenda = stores.agenda
        self._jumps = ClockJumps(stores, stores.clock)
        self._queue = JobQueue(queue_url)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="delivery watch", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, within moments."""
        self._stopped.set()
        if self._thread.ident is not None:  # it was started
            self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(_LOOK_S):
            try:
                self.look(self._jumps.look())
            except Exception as exc:
                if is_outage(exc):
                    log.debug("webhooks wait for the store (%s)", exc)
                    continue
                # The thread goes on: nobody would start another.
                log.exception("webhooks wait, because it could not be seen what is due")
                self._stopped.wait(_PAUSE_S)

    def look(self, now_ms: int) -> bool:
        """Enqueue a job if something is due and none is enqueued; tells whether it did."""
        if not self._agenda.due(now_ms, 1) or not self._agenda.note_job():
            return False
        return self._queue.enqueue(DELIVERIES, DELIVER, timeout_s=_TIMEOUT_S)
