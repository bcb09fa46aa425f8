"""The acquisition SDKs of three generations, as apps in the field have them."""

import random
import time
from pathlib import Path
from typing import Any

import pytest

from codepush.domain.rollout import is_selected
from tests.e2e.clients import (
    ClientError,
    Device,
    Manager,
    Person,
    Server,
    hash_folder,
    install,
    is_diff,
    write_bundle,
)
from tests.server.processes import wait_for

pytestmark = pytest.mark.e2e

SDKS = ["code-push-2", "code-push-3", "code-push-4"]
NEWEST = SDKS[-1]
SUCCEEDED, FAILED = "DeploymentSucceeded", "DeploymentFailed"


@pytest.fixture
def person(server: Server) -> Person:
    return server.create_user()


@pytest.fixture
def manager(person: Person) -> Manager:
    """A management SDK, by which tests release what devices then find."""
    return person.manager()


@pytest.mark.parametrize("sdk", SDKS)
def test_a_device_finds_downloads_and_runs_updates_and_its_reports_are_counted(
    sdk: str, person: Person, manager: Manager, tmp_path: Path
) -> None:
    key = manager.add_app()["Staging"]
    ann, ben = (Device(sdk, person.url, key, name) for name in ("ann", "ben"))

    # Nothing is released: the binary's own bundle runs.
    assert ann.check() is None
    for device in (ann, ben):
        device.report_deploy()
    assert manager.metrics() == {"1.0.0": {"active": 2}}

    released = manager.release(write_bundle(tmp_path / "1", "one"), description="Eins «1» 🎉")
    v1 = ann.check()
    assert v1 == {
        "deploymentKey": key,
        "description": "Eins «1» 🎉",
        "label": "v1",
        "appVersion": "1.0.0",
        "isMandatory": False,
        "packageHash": released["packageHash"],
        # A worker may have made it smaller meanwhile.
        "packageSize": v1["packageSize"],
        "downloadUrl": v1["downloadUrl"],
    }
    assert 0 < v1["packageSize"] <= released["size"]
    running = _install(ann, v1, tmp_path / "ann-v1")
    for device in (ann, ben):
        device.report_download(v1)
        device.report_deploy(v1, SUCCEEDED, "1.0.0")
    assert manager.metrics() == {"v1": _counts(active=2, downloaded=2, installed=2)}
    ann, ben = ann.on(v1), ben.on(v1)
    assert ann.check() is None

    manager.release(write_bundle(tmp_path / "2", "two"), isMandatory=True)
    v2 = ann.check()
    assert (v2["label"], v2["isMandatory"]) == ("v2", True)
    assert v2["packageHash"] != v1["packageHash"]
    _install(ann, v2, tmp_path / "ann-v2", running)
    for device in (ann, ben):
        device.report_download(v2)
    ann.report_deploy(v2, SUCCEEDED, "v1")
    ben.report_deploy(v2, FAILED)
    counted = {
        "v1": _counts(active=1, downloaded=2, installed=2),
        "v2": _counts(active=1, downloaded=2, installed=1, failed=1),
    }
    assert manager.metrics() == counted
    assert ann.on(v2).check() is None
    assert ben.check() == v2

    # A network that repeats itself changes nothing.
    ann.report_deploy()
    ann.report_deploy(v1, SUCCEEDED, "1.0.0")
    ann.report_download(v2)
    ann.report_deploy(v2, SUCCEEDED, "v1")
    ben.report_download(v2)
    ben.report_deploy(v2, FAILED)
    assert manager.metrics() == counted


def test_the_cli_shows_what_devices_reported(
    person: Person, manager: Manager, tmp_path: Path
) -> None:
    key = manager.add_app()["Staging"]
    manager.release(write_bundle(tmp_path, "one"))
    devices = [Device(NEWEST, person.url, key, f"device {number}") for number in range(4)]
    package = devices[0].check()
    for device in devices:
        device.report_download(package)
    devices[0].report_deploy(package, SUCCEEDED)
    devices[1].report_deploy(package, FAILED)
    devices[2].report_deploy()
    devices[3].report_deploy()

    cli = person.cli(tmp_path / "home")
    listed = {each["name"]: each["package"] for each in cli.json("deployment", "ls", "App")}
    assert listed["Production"] is None
    assert listed["Staging"]["metrics"] == {
        **_counts(active=1, downloaded=4, installed=1, failed=1),
        "totalActive": 3,
    }
    (update,) = cli.json("deployment", "history", "App", "Staging")
    assert update["metrics"] == listed["Staging"]["metrics"]
    text = "Active: 33% (1 of 3)\nTotal: 1 (2 pending)\nRollbacks: 1"
    assert [row["Install Metrics"] for row in cli.table("deployment", "ls", "App")] == [
        "No installs recorded",
        text,
    ]
    (row,) = cli.table("deployment", "history", "App", "Staging")
    assert row["Install Metrics"] == text


@pytest.mark.parametrize("sdk", SDKS)
def test_a_binary_out_of_range_is_told_to_update_itself(
    sdk: str, person: Person, manager: Manager, tmp_path: Path
) -> None:
    key = manager.add_app()["Staging"]
    manager.release(write_bundle(tmp_path, "one"), "^2.1.0")

    def check(binary: str, companion: bool | None = None) -> Any:
        return Device(sdk, person.url, key, "ann", binary, companion).check()

    assert check("1.5") == {"updateAppVersion": True, "appVersion": "^2.1.0"}
    assert check("3.0.0") is None
    assert check("2.1.0")["appVersion"] == "2.1.0"
    # Native code compares this with its own version as text.
    assert check("2.5")["appVersion"] == "2.5"
    assert check("1.5", companion=True)["label"] == "v1"
    with pytest.raises(ClientError, match=r"^400: An update check must include a binary ver"):
        check("one")


def test_a_rollout_reaches_the_devices_that_the_reference_server_would_choose(
    person: Person, manager: Manager, tmp_path: Path
) -> None:
    key = manager.add_app()["Staging"]
    manager.release(write_bundle(tmp_path / "1", "one"))
    ids = [f"device-{number}" for number in range(38)] + ["客户端", "8F5A6E8C-1F1B-4C0C-A5A2"]
    devices = [Device(NEWEST, person.url, key, name) for name in ids]
    v1 = devices[0].check()
    manager.release(write_bundle(tmp_path / "2", "two"), rollout=30)

    def offered(running: dict[str, Any]) -> list[str | None]:
        answers = [device.on(running).check() for device in devices]
        return [answer and answer["label"] for answer in answers]

    def come_to_be_offered(wanted: list[str | None], running: dict[str, Any]) -> None:
        # Each web process hears of a change by itself, which may take it a moment.
        wait_for(lambda: offered(running) == wanted, f"the offers {wanted}", 20)

    chosen = [is_selected(name, "v2", 30) for name in ids]
    assert {True, False} == set(chosen)
    come_to_be_offered(["v2" if each else "v1" for each in chosen], {})
    come_to_be_offered(["v2" if each else None for each in chosen], v1)
    # A device that does not say who it is waits for the end of the rollout.
    assert Device(NEWEST, person.url, key).check()["label"] == "v1"

    manager("patchRelease", "App", "Staging", "v2", {"rollout": 60})
    come_to_be_offered(["v2" if is_selected(name, "v2", 60) else None for name in ids], v1)
    manager("patchRelease", "App", "Staging", "v2", {"rollout": 100})
    come_to_be_offered(["v2"] * len(ids), v1)


def test_devices_follow_mandatory_disabled_promoted_and_rolled_back_releases(
    person: Person, manager: Manager, tmp_path: Path
) -> None:
    keys = manager.add_app()
    one, two, three = (write_bundle(tmp_path / text, text) for text in ("one", "two", "three"))
    fresh = Device(NEWEST, person.url, keys["Staging"], "ann")

    manager.release(one)
    v1 = fresh.check()
    manager.release(two, isMandatory=True)
    v2 = fresh.on(v1).check()
    manager.release(three)
    # Whoever skipped a mandatory release must take the newer one.
    assert [d.check()["isMandatory"] for d in (fresh.on(v1), fresh.on(v2))] == [True, False]
    v3 = fresh.on(v2).check()

    manager("patchRelease", "App", "Staging", "v3", {"isDisabled": True})
    assert fresh.on(v1).check()["label"] == "v2"
    assert fresh.on(v2).check() is None
    manager("patchRelease", "App", "Staging", "v3", {"isDisabled": False})
    assert fresh.on(v2).check()["label"] == "v3"

    manager("rollback", "App", "Staging", "v1")
    v4 = fresh.on(v3).check()
    assert (v4["label"], v4["packageHash"]) == ("v4", v1["packageHash"])
    # It has the same contents already.
    assert fresh.on(v1).check() is None

    production = Device(NEWEST, person.url, keys["Production"], "ann")
    assert production.check() is None
    manager("promote", "App", "Staging", "Production", {"label": "v2", "description": ""})
    promoted = production.check()
    assert (promoted["label"], promoted["packageHash"]) == ("v1", v2["packageHash"])

    def is_shared() -> bool:
        source = manager.history()["v2"]
        return bool(production.check()["downloadUrl"] == source["blobUrl"])

    # In between, a worker may have made it smaller, once.
    wait_for(is_shared, "both deployments serve one package")

    # A device that changes the deployment leaves the old one.
    fresh.report_deploy(v4, SUCCEEDED)
    production.report_deploy(promoted, SUCCEEDED, "v4", keys["Staging"])
    assert manager.metrics(deployment="Staging") == {"v4": _counts(installed=1)}
    assert manager.metrics(deployment="Production") == {"v1": _counts(active=1, installed=1)}


def test_a_deleted_deployment_stops_answering_at_once(
    person: Person, manager: Manager, tmp_path: Path
) -> None:
    keys = manager.add_app()
    manager.release(write_bundle(tmp_path, "one"))
    device = Device(NEWEST, person.url, keys["Staging"], "ann")
    package = device.check()
    device.report_deploy(package, SUCCEEDED)

    manager("clearDeploymentHistory", "App", "Staging")
    assert device.check() is None
    assert manager.metrics() == {}
    manager("removeDeployment", "App", "Staging")
    manager("removeApp", "App")

    for sdk in SDKS:
        for key in [*keys.values(), "no-such-key-anywhere"]:
            with pytest.raises(ClientError, match=r"^404: [A-Z].+\.$"):
                Device(sdk, person.url, key, "ann").check()
        with pytest.raises(ClientError, match=r"^400: An update check must include a valid"):
            Device(sdk, person.url, "short", "ann").check()


@pytest.mark.parametrize("sdk", SDKS)
def test_a_device_gets_a_diff_from_the_release_before_last_and_merges_it(
    sdk: str, person: Person, manager: Manager, tmp_path: Path
) -> None:
    photo = random.Random(sdk).randbytes(200_000)
    device = Device(sdk, person.url, manager.add_app()["Staging"], "ann")
    folders = [write_bundle(tmp_path / text, text) for text in ("1", "2", "3")]
    for folder in folders:
        (folder / "assets" / "photo.jpg").write_bytes(photo)
    (folders[0] / "assets" / "only in v1.txt").write_bytes(b"gone in v3")
    (folders[2] / "assets" / "new" / "folder").mkdir(parents=True)
    (folders[2] / "assets" / "new" / "folder" / "only in v3.txt").write_bytes(b"new")

    manager.release(folders[0])
    v1 = device.check()
    running = _install(device, v1, tmp_path / "on-v1")
    device = device.on(v1)
    for folder in folders[1:]:
        manager.release(folder)

    deadline = time.monotonic() + 120
    while (v3 := device.check())["packageSize"] >= len(photo):
        assert time.monotonic() < deadline, "no diff"
        time.sleep(0.2)
    assert v3["label"] == "v3"
    merged = _install(device, v3, tmp_path / "on-v3", running)
    assert is_diff(tmp_path / "on-v3" / "package.zip")
    assert not (merged / "CodePush" / "assets" / "only in v1.txt").exists()
    assert (merged / "CodePush" / "assets" / "new" / "folder" / "only in v3.txt").exists()
    # Whoever runs nothing gets all of it, smaller than it was uploaded.
    full = Device(sdk, person.url, device.key, "ben").check()
    _install(device, full, tmp_path / "fresh")
    assert not is_diff(tmp_path / "fresh" / "package.zip")


def _install(
    device: Device, package: dict[str, Any], folder: Path, running: Path | None = None
) -> Path:
    """Download and install a package, and see that it is the one that was promised."""
    folder.mkdir()
    got = device.download(package, folder / "package.zip")
    assert got == {"bytes": package["packageSize"], "isZip": True}
    installed = install(folder / "package.zip", folder / "unzipped", running)
    assert hash_folder(installed) == package["packageHash"]
    assert (installed / "CodePush" / "index.android.bundle").stat().st_size > 0
    return installed


def _counts(
    active: int = 0, downloaded: int = 0, installed: int = 0, failed: int = 0
) -> dict[str, int]:
    return {"active": active, "downloaded": downloaded, "installed": installed, "failed": failed}
