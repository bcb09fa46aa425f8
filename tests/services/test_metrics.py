"""What devices reported, over time: hours and days, reasons of failures, and the end of it all."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from codepush.domain.ids import AppId, DeploymentId, DeploymentKey
from codepush.domain.series import Period
from codepush.services.container import Services
from codepush.store import reports
from tests.api_client import ApiClient, bundle
from tests.conftest import FakeClock

HOUR_S = 3_600
DAY_S = 86_400


class Devices:
    """Devices of one deployment with two releases."""

    def __init__(self, api: ApiClient, services: Services) -> None:
        self.api = api
        self.services = services
        api.add_app()
        api.release(bundle("1"))
        api.release(bundle("2"))
        self.key = api.key()

    def runs(self, device: str, label: str) -> None:
        self.deploy(device, label, "DeploymentSucceeded")

    def failed(self, device: str, label: str, error: Any) -> None:
        self.deploy(device, label, "DeploymentFailed", error=error)

    def deploy(self, device: str, label: str, status: str, **more: Any) -> None:
        more |= {"app_version": "1.0.0", "client_unique_id": device}
        self.api.report("deploy", self.key, label=label, status=status, **more)

    def get(self, path: str) -> Any:
        base = "/api/v1/apps/App/deployments/Staging"
        return self.api.call("GET", f"{base}/{path}", expect=200).get_json()

    def active(self) -> dict[str, int]:
        counts = self.services.stores.reports.counts(*self.address)
        return {place: each.active for place, each in counts.items() if each.active}

    @property
    def address(self) -> tuple[AppId, DeploymentId]:
        found = self.services.snapshot.get(DeploymentKey(self.key))
        assert found
        return found.mark.address

    def periods(self) -> set[Period]:
        return {each.period for each in self.services.stores.reports.changes(self.address)}


@pytest.fixture
def devices(api: ApiClient, services: Services) -> Devices:
    return Devices(api, services)


def row(point: dict[str, Any]) -> tuple[Any, ...]:
    return (point["time"][:13], *(point[n] for n in ("label", "active", "installed", "failed")))


def test_hours_and_days_tell_what_changed_and_what_was_active(
    devices: Devices, clock: FakeClock
) -> None:
    devices.runs("a", "v1")
    devices.runs("b", "v1")
    clock.advance(2 * HOUR_S)
    devices.runs("a", "v2")
    devices.failed("b", "v2", "no space")
    clock.advance(DAY_S)
    devices.runs("b", "v2")
    assert [row(point) for point in devices.get("metrics/hours")["series"]] == [
        ("2025-06-15T15", "v1", 2, 2, 0),
        ("2025-06-15T17", "v1", 1, 0, 0),
        ("2025-06-15T17", "v2", 1, 1, 1),
        ("2025-06-16T17", "v1", 0, 0, 0),
        ("2025-06-16T17", "v2", 2, 1, 0),
    ]
    assert [row(point) for point in devices.get("metrics/days")["series"]] == [
        ("2025-06-15T00", "v1", 1, 2, 0),
        ("2025-06-15T00", "v2", 1, 1, 1),
        ("2025-06-16T00", "v1", 0, 0, 0),
        ("2025-06-16T00", "v2", 2, 1, 0),
    ]


def test_series_end_and_days_outlive_hours(
    devices: Devices, clock: FakeClock, services: Services
) -> None:
    devices.runs("a", "v1")
    clock.advance(15 * DAY_S)
    services.metrics.expire_all()
    assert devices.periods() == {Period.DAY}
    clock.advance(390 * DAY_S)
    services.metrics.expire_all()
    assert devices.periods() == {Period.HOUR, Period.DAY}  # the device left just now
    clock.advance(402 * DAY_S)
    services.metrics.expire_all()
    assert devices.periods() == set()


def test_an_absent_device_is_forgotten_and_active_nowhere(
    devices: Devices, clock: FakeClock, services: Services
) -> None:
    devices.runs("absent", "v1")
    devices.runs("present", "v1")
    clock.advance(80 * DAY_S)
    devices.runs("present", "v1")  # a repetition, but it is alive
    clock.advance(11 * DAY_S)
    assert services.metrics.expire_all() == 1
    assert services.metrics.expire_all() == 0
    assert devices.active() == {"v1": 1}
    devices.runs("absent", "v2")
    assert devices.active() == {"v1": 1, "v2": 1}
    clock.advance(100 * DAY_S)
    assert services.metrics.expire_all() == 2
    assert devices.active() == {}


def test_reasons_of_failures_are_the_frequent_and_the_newest(
    devices: Devices, clock: FakeClock
) -> None:
    for number in range(5):
        devices.failed(f"often{number}", "v1", "hash  mismatch\n at line 1")
    for number in range(60):
        clock.advance(1)
        devices.failed(f"d{number}", "v1", f"reason {number}")
    devices.failed("x", "v1", "y" * 900)
    devices.failed("x", "v1", "y" * 900)
    found = devices.get("releases/v1/failures")["failures"]
    assert len(found) == 20
    assert (found[0]["reason"], found[0]["count"]) == ("hash mismatch at line 1", 5)
    told = {each["reason"] for each in found}
    assert {f"reason {number}" for number in range(51, 60)} <= told
    assert "y" * 200 in told
    assert devices.get("releases/v2/failures") == {"failures": []}
    assert devices.api.metrics()["v1"]["failed"] == 66


@pytest.mark.parametrize("error", [None, "", 7, {"a": 1}, ["x"]])
def test_a_failure_without_a_reason_counts_all_the_same(devices: Devices, error: Any) -> None:
    devices.failed("a", "v1", error)
    assert devices.api.metrics()["v1"]["failed"] == 1
    assert devices.get("releases/v1/failures") == {"failures": []}


def test_made_up_versions_push_out_each_other_and_nothing_else(
    devices: Devices, http: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "_MAX_COUNTERS", 30)

    def binary(device: str, version: str) -> None:
        devices.api.report("deploy", devices.key, app_version=version, client_unique_id=device)

    devices.runs("a", "v1")
    for number in range(20):
        binary(f"real{number}", "2.0.0")
    for number in range(200):
        binary(f"fake{number}", f"9.9.{number}")
    assert len(devices.active()) <= 30
    assert devices.active()["2.0.0"] == 20
    assert devices.active()["v1"] == 1
    binary("new", "3.0.0")
    assert devices.active()["3.0.0"] == 1


def test_clearing_the_history_clears_all_that_was_reported(devices: Devices) -> None:
    devices.failed("a", "v1", "no space")
    devices.api.call("DELETE", "/apps/App/deployments/Staging/history", expect=204)
    assert devices.get("metrics/hours")["series"] == []
    assert devices.get("releases/v1/failures") == {"failures": []}
