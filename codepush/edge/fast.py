"""What a process answers on its event loop, past Flask."""

from flask import Flask

from codepush.edge.checks import Checks
from codepush.edge.commit import Reports
from codepush.edge.watch import Watch
from codepush.services.container import Services
from codepush.settings import Settings
from codepush.telemetry.access import AccessLog
from codepush.web.context import EXTENSION
from codepush.web.headers import guards


class Edge:
    """The device endpoints of one process that are answered on its event loop."""

    def __init__(self, services: Services, settings: Settings, access: AccessLog):
        """Answer with ``services``."""
        self.watch = Watch(access, settings.trusted_proxies, settings.public_path)
        self.spool_dir = settings.spool_dir
        self.guards = guards(settings)
        want_diff = services.acquisition.want_diff
        self.checks = Checks(services.snapshot, services.storage, settings, want_diff)
        reports = services.stores.reports
        self.reports = Reports(services.snapshot, reports, services.clock, settings)


def edge_of(app: object) -> Edge | None:
    """Return what can be answered past an app; None where it is not ours."""
    if not isinstance(app, Flask) or EXTENSION not in app.extensions:
        return None
    settings: Settings = app.extensions[f"{EXTENSION}.settings"]
    access: AccessLog = app.extensions[f"{EXTENSION}.observer"].access
    return Edge(app.extensions[EXTENSION], settings, access)
