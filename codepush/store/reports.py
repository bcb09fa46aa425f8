"""What devices report, counted once each.

The server's own record of a device decides where it was before, not the report. Per device and
label an install, a download and a failure count once; a device's last eight reports are remembered,
and an identical one changes nothing. Device ids are stored as 64-bit digests.
"""

from collections import defaultdict
from enum import IntEnum

from codepush.domain.ids import AppId, DeploymentId
from codepush.domain.models import Counts
from codepush.domain.reports import Report
from codepush.store import keys
from codepush.store.connection import StoreClient
from codepush.store.scripts import Scripts

_MAX_COUNTERS = 10_000
"""Binary versions are made up by devices; no new one is counted beyond this many counters."""

_MAX_LABELS = 64
"""Labels remembered of a device for each kind of report; older ones are never reported again."""

_MS_PER_DAY = 86_400_000


class Outcome(IntEnum):
    """What became of a report."""

    UNKNOWN_LABEL = -1
    UNKNOWN_DEPLOYMENT = 0
    COUNTED = 1
    REPEATED = 2
    THERE_ALREADY = 3


class ReportStore:
    """Devices and counters by deployment."""

    def __init__(self, client: StoreClient, scripts: Scripts):
        """Use ``client`` for reads and ``scripts`` for reports."""
        self._client = client
        self._scripts = scripts

    def count(
        self, app_id: AppId, deployment_id: DeploymentId, report: Report, *, now_ms: int
    ) -> Outcome:
        """Count one report in one atomic step."""
        number = report.number
        reply = self._scripts.run(
            "report",
            [
                keys.deployment(app_id, deployment_id),
                keys.releases(app_id, deployment_id),
                *keys.metrics(app_id, deployment_id),
            ],
            [
                report.happening.value,
                "" if number is None else number,
                report.place,
                report.device,
                report.fingerprint,
                now_ms // _MS_PER_DAY,
                _MAX_COUNTERS,
                _MAX_LABELS,
            ],
        )
        return Outcome(reply)

    def leave(self, app_id: AppId, deployment_id: DeploymentId, device: str) -> None:
        """Take a device off a deployment, since it runs another one now."""
        self._scripts.run(
            "leave",
            [
                keys.deployment(app_id, deployment_id),
                keys.counts(app_id, deployment_id),
                keys.devices(app_id, deployment_id),
            ],
            [device],
        )

    def counts(self, app_id: AppId, deployment_id: DeploymentId) -> dict[str, Counts]:
        """Return the counts of each label and binary version that has any."""
        places: defaultdict[str, dict[str, int]] = defaultdict(dict)
        for field, value in self._client.hgetall(keys.counts(app_id, deployment_id)).items():
            place, _, counter = field.rpartition("|")
            places[place][counter] = max(0, int(value))
        return {place: Counts(**counters) for place, counters in places.items()}
