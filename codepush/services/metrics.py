"""What devices reported, over time; and how long it is kept."""

from datetime import timedelta

from codepush.domain.models import Principal
from codepush.domain.series import Failure, Period, Point, points
from codepush.services.clock import Clock
from codepush.services.deployments import Deployments
from codepush.services.tenants import contained, every_app
from codepush.store.stores import Stores


class Metrics:
    """Series, reasons of failures, and the end of both."""

    def __init__(
        self,
        stores: Stores,
        deployments: Deployments,
        clock: Clock,
        *,
        device_days: int,
        series_days: dict[Period, int],
    ):
        """Use ``stores``; forget devices after ``device_days``, series after ``series_days``."""
        self._stores = stores
        self._deployments = deployments
        self._clock = clock
        self._device_days = device_days
        self._series_days = series_days

    def series(
        self, principal: Principal, reference: str, name: str, period: Period
    ) -> list[Point]:
        """Return how each label of a deployment fared in each period, oldest first.

        Raises:
            NotFoundError: There is no such deployment for this principal.
        """
        app, deployment = self._deployments.get(principal, reference, name)
        changes = self._stores.reports.changes((app.id, deployment.id))
        return points(changes, period, self._stores.reports.counts(app.id, deployment.id))

    def failures(
        self, principal: Principal, reference: str, name: str, label: str
    ) -> list[Failure]:
        """Return why a release failed on devices, most frequent first.

        Raises:
            NotFoundError: There is no such deployment for this principal.
        """
        app, deployment = self._deployments.get(principal, reference, name)
        return self._stores.reports.failures((app.id, deployment.id), label)

    def expire_all(self) -> int:
        """Let go of absent devices and old series, everywhere; return how many devices."""
        now_ms = self._clock()
        before_ms = {
            period: now_ms - int(timedelta(days=days).total_seconds() * 1_000)
            for period, days in self._series_days.items()
        }
        reports = self._stores.reports
        gone = 0
        for app in every_app(self._stores):
            for deployment_id in app.deployments.values():
                address = app.id, deployment_id
                with contained(f"The deployment {deployment_id} of the app {app.id}"):
                    gone += reports.expire(address, now_ms=now_ms, days=self._device_days)
                    reports.forget_changes(address, before_ms)
        return gone
