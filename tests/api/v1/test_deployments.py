"""Deployments and what devices reported."""

from typing import Any

import pytest

from tests.api.v1.client import SeedClient
from tests.conftest import FakeClock

KEY = "brought-along-key_1"


@pytest.fixture
def world(seed: SeedClient) -> SeedClient:
    seed.add_app()
    return seed


def report(client: SeedClient, key: str, kind: str, device: str, **fields: str) -> None:
    body = {"deployment_key": key, "client_unique_id": device, **fields}
    answer = client.http.post(f"/v0.1/public/codepush/report_status/{kind}", json=body)
    assert answer.status_code == 200


def test_deployments_are_listed_by_name_without_a_package(
    world: SeedClient, clock: FakeClock
) -> None:
    listed = world.get("/apps/App/deployments")["deployments"]
    assert [each["name"] for each in listed] == ["Production", "Staging"]
    for each in listed:
        assert each["package"] is None
        assert each["createdTime"] == clock.now_ms
        assert len(each["key"]) == 40


def test_a_deployment_shows_its_newest_release(world: SeedClient, clock: FakeClock) -> None:
    world.release(description="first")
    world.release(b"second", description="Bug fixes", rollout=25, isMandatory=True)
    package = world.get("/apps/App/deployments/Staging")["deployment"]["package"]
    assert package["label"] == "v2"
    assert package["releaseMethod"] == "Upload"
    assert package["uploadTime"] == clock.now_ms
    assert (package["rollout"], package["isMandatory"]) == (25, True)
    assert package["blobUrl"].startswith("http://localhost/blobs/")
    assert package["size"] == 6
    path = package["blobUrl"].removeprefix("http://localhost")
    assert world.http.get(path, buffered=True).data == b"second"
    assert world.get("/apps/App/deployments")["deployments"][1]["package"] == package


def test_a_deployment_is_added(world: SeedClient) -> None:
    made = world.post("/apps/App/deployments", {"name": "Beta"})["deployment"]
    assert made["package"] is None
    assert world.get("/apps/App/deployments/Beta") == {"deployment": made}
    assert world.get("/apps/App")["app"]["deployments"] == ["Beta", "Production", "Staging"]
    error = world.refused(409, "POST", "/apps/App/deployments", {"name": "Beta"})
    assert error["details"]["parameter"] == "name"


def test_a_deployment_may_bring_its_key_along(world: SeedClient, bob: SeedClient) -> None:
    body = {"name": "Beta", "key": KEY}
    assert world.post("/apps/App/deployments", body)["deployment"]["key"] == KEY
    bob.add_app()
    error = bob.refused(409, "POST", "/apps/App/deployments", body)
    assert error["details"] == {"parameter": "key", "reason": "Taken"}


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        ({}, "name"),
        ({"name": "a/b"}, "name"),
        ({"name": 5}, "name"),
        ({"name": "Beta", "key": "short"}, "key"),
        ({"name": "Beta", "key": "with space in it"}, "key"),
        ({"name": "Beta", "key": ""}, "key"),
        ({"name": "Beta", "package": None}, "package"),
    ],
)
def test_a_deployment_of_nonsense_is_refused(
    world: SeedClient, body: dict[str, Any], parameter: str
) -> None:
    error = world.refused(400, "POST", "/apps/App/deployments", body)
    assert error["details"]["parameter"] == parameter
    assert len(world.get("/apps/App/deployments")["deployments"]) == 2


def test_a_deployment_is_renamed_and_keeps_its_key(world: SeedClient) -> None:
    before = world.get("/apps/App/deployments/Staging")["deployment"]
    after = world.patch("/apps/App/deployments/Staging", {"name": "Test"})["deployment"]
    assert after == {**before, "name": "Test"}
    world.refused(404, "GET", "/apps/App/deployments/Staging")
    world.refused(409, "PATCH", "/apps/App/deployments/Test", {"name": "Production"})
    assert world.patch("/apps/App/deployments/Test", {})["deployment"] == after


def test_a_key_for_a_deployment_that_has_one_is_refused(world: SeedClient) -> None:
    body = {"name": "Test", "key": "another-key-of-devices"}
    error = world.refused(400, "PATCH", "/apps/App/deployments/Staging", body)
    assert error["details"] == {"parameter": "key", "reason": "Unknown field; leave it out."}
    assert world.get("/apps/App")["app"]["deployments"] == ["Production", "Staging"]


def test_a_deployment_is_deleted_and_its_key_is_dead(world: SeedClient) -> None:
    key = world.get("/apps/App/deployments/Staging")["deployment"]["key"]
    world.delete("/apps/App/deployments/Staging")
    world.refused(404, "DELETE", "/apps/App/deployments/Staging")
    query = {"deployment_key": key, "app_version": "1.0.0"}
    check = world.http.get("/v0.1/public/codepush/update_check", query_string=query)
    assert check.status_code == 404
    assert world.get("/apps/App")["app"]["deployments"] == ["Production"]


def test_metrics_are_those_that_devices_reported(world: SeedClient) -> None:
    world.release()
    world.release(b"2", description="2")
    key = world.get("/apps/App/deployments/Staging")["deployment"]["key"]
    deployed = {"app_version": "1.0.0", "status": "DeploymentSucceeded"}
    for device in ("a", "b", "c"):
        report(world, key, "deploy", device, app_version="1.0.0")
    for device in ("a", "b"):
        report(world, key, "download", device, label="v1")
        report(world, key, "deploy", device, label="v1", **deployed)
    report(world, key, "download", "a", label="v2")
    report(world, key, "deploy", "a", label="v2", **deployed | {"status": "DeploymentFailed"})
    place = {"label": None, "binaryVersion": None}
    none = {"totalActive": 0, "downloaded": 0, "installed": 0, "failed": 0}
    first = {**none, "totalActive": 2, "downloaded": 2, "installed": 2}
    second = {**none, "downloaded": 1, "failed": 1}
    path = "/apps/App/deployments/Staging/metrics"
    binary, *released = world.get(path)["metrics"]
    assert (binary["binaryVersion"], binary["label"]) == ("1.0.0", None)
    assert binary["totalActive"] == 1
    assert released == [{**place, "label": "v1", **first}, {**place, "label": "v2", **second}]
    assert [each["metrics"] for each in world.releases()] == [first, second]
    found = world.get("/apps/App/deployments/Staging/releases/v1")["release"]
    assert found == world.releases()[0]
    assert world.get("/apps/App/deployments/Production/metrics") == {"metrics": []}


def test_metrics_are_listed_by_number_and_not_by_text(world: SeedClient) -> None:
    for number in range(11):
        world.release(str(number).encode())
    key = world.get("/apps/App/deployments/Staging")["deployment"]["key"]
    for number in (10, 2, 1):
        report(world, key, "download", "a", label=f"v{number}")
    labels = [
        each["label"] for each in world.get("/apps/App/deployments/Staging/metrics")["metrics"]
    ]
    assert labels == ["v1", "v2", "v10"]
