"""Tells workers at once that something happened which webhooks may tell of.

Best effort, and off the path of the request: the event itself is in its log already, and an
organization whose bell was not heard is looked at within a minute.
"""

import logging
import threading

from codepush.domain.ids import OrganizationId
from codepush.store.agenda import Agenda
from codepush.store.connection import STORE_ERRORS

log = logging.getLogger("codepush.store")

_PAUSE_S = 0.05
"""From a ring to the write: a store that syncs each write would keep the request that rang waiting
for it, and many rings in a row are one."""


class Bell:
    """Brings organizations forward on the agenda, from a thread that ends when it has done so."""

    def __init__(self, agenda: Agenda):
        """Ring ``agenda``."""
        self._agenda = agenda
        self._lock = threading.Lock()
        self._rung: set[OrganizationId] = set()

    def ring(self, organization_id: OrganizationId) -> None:
        """Say that something happened in an organization; returns at once."""
        with self._lock:
            is_first = not self._rung
            self._rung.add(organization_id)
        if is_first:
            timer = threading.Timer(_PAUSE_S, self._tell)
            timer.daemon = True
            timer.start()

    def _tell(self) -> None:
        with self._lock:
            rung, self._rung = self._rung, set()
        try:
            for organization_id in rung:
                self._agenda.bring_forward(organization_id, 0)
        except STORE_ERRORS as exc:
            log.debug("webhooks of some organizations wait for a minute (%s)", exc)
