"""Takes what devices report of their installs."""

from codepush.domain.reports import Happening, Report
from codepush.services.acquisition import Acquisition, unknown_key
from codepush.services.clock import Clock
from codepush.store.reports import Outcome
from codepush.store.stores import Stores


class Reporting:
    """Reports, each counted once."""

    def __init__(self, stores: Stores, acquisition: Acquisition, clock: Clock):
        """Use ``stores``; find deployments through ``acquisition``."""
        self._stores = stores
        self._acquisition = acquisition
        self._clock = clock

    def report(self, report: Report) -> Outcome:
        """Count a report; when this returns, the store holds it.

        A report about an unknown label counts nothing, and is no error: the release may have been
        cleared since, and the device could do nothing about it.

        Raises:
            NotFoundError: No deployment has the report's key.
        """
        address = self._stores.deployments.address(report.key)
        if address is None:
            raise unknown_key()
        outcome = self._stores.reports.count(*address, report, now_ms=self._clock())
        if outcome is Outcome.UNKNOWN_DEPLOYMENT:
            raise unknown_key()
        # Also when it was counted before: the process may have died between the two steps. Only
        # while the device is still here, since it may have gone back to the other one.
        is_here = outcome in {Outcome.COUNTED, Outcome.THERE_ALREADY}
        if is_here and report.happening is Happening.RUNS:
            self._leave_previous(report)
        return outcome

    def _leave_previous(self, report: Report) -> None:
        if not report.previous_key or report.previous_key == report.key or not report.device:
            return
        previous = self._stores.deployments.address(report.previous_key)
        if previous is not None:
            self._stores.reports.leave(*previous, report.device)
