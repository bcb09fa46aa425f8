"""What a process answers on its event loop, past Flask."""

from flask import Flask

from codepush.edge.checks import Checks
from codepush.edge.commit import Reports
from codepush.services.container import Services
from codepush.settings import Settings
from codepush.web.context import EXTENSION


class Edge:
    """The device endpoints of one process that are answered on its event loop."""

    def __init__(self, services: Services, settings: Settings):
        """Answer with ``services``."""
        self.spool_dir = settings.spool_dir
        want_diff = services.acquisition.want_diff
        self.checks = Checks(services.snapshot, services.storage, settings, want_diff)
        reports = services.stores.reports
        self.reports = Reports(services.snapshot, reports, services.clock, settings)


def edge_of(app: object) -> Edge | None:
    """Return what can be answered past an app; None where it is not ours."""
    if not isinstance(app, Flask) or EXTENSION not in app.extensions:
        return None
    return Edge(app.extensions[EXTENSION], app.extensions[f"{EXTENSION}.settings"])
