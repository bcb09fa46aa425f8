"""Delivers to webhooks, and keeps what they need."""

import logging

from codepush.jobs import stopping
from codepush.jobs.context import services, settings, stores
from codepush.services.deliverer import build_delivering
from codepush.store.connection import STORE_ERRORS

log = logging.getLogger("codepush.webhooks")

_WORK_S = 30.0
_IDLE_S = 0.5


def deliver() -> None:
    """Deliver what is due; what is not done in time is left to the next such job."""
    stores().agenda.note_start()
    try:
        build_delivering(settings(), stores(), stores().clock).run(
            work_s=_WORK_S, idle_s=_IDLE_S, is_stopping=stopping.is_asked
        )
    except STORE_ERRORS as exc:
        log.warning("webhooks wait for the store (%s)", exc)


def keep() -> None:
    """Forget old deliveries, and encrypt secrets under the newest key."""
    services().webhook_upkeep.keep_all()
