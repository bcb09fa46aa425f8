"""Takes what devices report of their installs."""

from codepush.domain.reports import Outcome, Report
from codepush.services.acquisition import unknown_key
from codepush.services.clock import Clock
from codepush.services.snapshot import Snapshot
from codepush.store.connection import STORE_ERRORS
from codepush.store.stores import Stores
from codepush.telemetry.counters import Counter

REPORTS = Counter(
    "reports_total", "Reports of devices, by what happened and how it counted.", ("what", "outcome")
)
REFUSED = "refused"
"""In place of an outcome: the store did not take the report, and the device was told so."""


class Reporting:
    """Reports, each counted once."""

    def __init__(self, stores: Stores, snapshot: Snapshot, clock: Clock):
        """Use ``stores``; find deployments in ``snapshot``."""
        self._stores = stores
        self._snapshot = snapshot
        self._clock = clock

    def report(self, report: Report, device: str) -> Outcome:
        """Count a report of a device, by the digest of its id.

        When this returns, the store holds it.

        A report about an unknown label counts nothing, and is no error: the release may have been
        cleared since, and the device could do nothing about it.

        Raises:
            NotFoundError: No deployment has the report's key.
        """
        prepared = self._snapshot.get(report.key)
        if prepared is None:
            raise unknown_key()
        now_ms = self._clock()
        address = prepared.mark.address
        try:
            outcome = self._stores.reports.count(address, (report, device), now_ms=now_ms)
        except STORE_ERRORS:
            REPORTS.add(1, report.happening, REFUSED)
            raise
        REPORTS.add(1, report.happening, outcome.name.lower())
        if outcome is Outcome.UNKNOWN_DEPLOYMENT:
            raise unknown_key()
        left = report.leaves(device, outcome)
        previous = self._snapshot.get(left) if left else None
        if previous is not None:
            address = previous.mark.address
            self._stores.reports.count(address, (report.leaving(), device), now_ms=now_ms)
        return outcome
