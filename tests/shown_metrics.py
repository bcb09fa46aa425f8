"""The names of all metrics there are, as ``GET /metrics`` of a busy server shows them."""

import re
from contextlib import ExitStack
from typing import TYPE_CHECKING

import rq
import uvicorn
from flask import Flask

from codepush.api.metrics import job_metrics
from codepush.edge.clock import CoarseClock
from codepush.edge.worker import _Server
from codepush.store.connection import connect_queue
from codepush.store.queue import DELIVERIES
from codepush.telemetry import work
from codepush.telemetry.metrics import exposition

if TYPE_CHECKING:
    from codepush.services.container import Services
    from codepush.settings import Settings


def shown_metrics(app: Flask) -> set[str]:
    """Return them, with what only workers and the event loop make them show."""
    services: Services = app.extensions["codepush"]
    settings: Settings = app.extensions["codepush.settings"]
    _Server(uvicorn.Config(app), CoarseClock(), lambda: None)
    counted = {each.name: {tuple("x" for _ in each.labels): 1} for each in work.ALL}
    services.vitals.add(counted)
    with connect_queue(settings.effective_queue_url) as queue, ExitStack() as stack:
        for name in ("low", DELIVERIES):
            worker = rq.Worker([name], connection=queue)
            worker.register_birth()
            stack.callback(worker.register_death)
        text = exposition(lambda: job_metrics(services.vitals)).decode()
    # Where there is one process only, the library tells when each counter was made, and also of
    # those that only workers count.
    found = re.findall(r"^# TYPE (codepush_\w+) \w+$", text, re.MULTILINE)
    idle = {f"codepush_{each.name}" for each in work.ALL}
    return {name for name in found if not name.endswith("_created")} - idle
