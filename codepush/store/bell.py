"""Tells workers at once that something happened which webhooks may tell of.

Best effort, and off the path of the request: the event itself is in its log already, and an
organization whose bell was not heard is looked at within a minute.
"""

import logging
import queue
import threading
import time

from codepush.domain.ids import OrganizationId
from codepush.store.agenda import Agenda
from codepush.store.connection import STORE_ERRORS

log = logging.getLogger("codepush.store")

_PAUSE_S = 0.05
"""From a ring to the write: a store that syncs each write would keep the request that rang waiting
for it, and many rings in a row are one."""


class Bell:
    """Brings organizations forward on the agenda, from a thread of its own."""

    def __init__(self, agenda: Agenda):
        """Ring ``agenda``; the thread begins with the first ring."""
        self._agenda = agenda
        self._rung: queue.SimpleQueue[OrganizationId] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def ring(self, organization_id: OrganizationId) -> None:
        """Say that something happened in an organization; returns at once."""
        self._rung.put(organization_id)
        if self._thread is None:
            with self._lock:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="bell", daemon=True)
                    self._thread.start()

    def _run(self) -> None:
        while True:
            rung = {self._rung.get()}
            time.sleep(_PAUSE_S)
            while not self._rung.empty():
                rung.add(self._rung.get())
            try:
                for organization_id in rung:
                    self._agenda.bring_forward(organization_id, time.time_ns() // 1_000_000)
            except STORE_ERRORS as exc:
                log.debug("webhooks of some organizations wait for a minute (%s)", exc)
