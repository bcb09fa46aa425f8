"""Releases: uploaded, changed, promoted, rolled back, listed and cleared."""

import io
import json
from typing import Any

import pytest

from codepush.services.container import Services
from tests.api.v1.client import SeedClient
from tests.api_client import bundle
from tests.conftest import FakeClock

STAGING = "/apps/App/deployments/Staging"
RELEASES = f"{STAGING}/releases"


@pytest.fixture
def world(seed: SeedClient) -> SeedClient:
    seed.add_app()
    return seed


def labels(client: SeedClient, deployment: str = "Staging") -> list[str]:
    return [each["label"] for each in client.releases(deployment=deployment)]


def released(client: SeedClient) -> Any:
    """Return a new release."""
    answer: Any = client.release().get_json()
    return answer["release"]


def upload(client: SeedClient, data: dict[str, Any]) -> dict[str, Any]:
    """Return the error of a form."""
    return client.refused(
        400,
        "POST",
        f"{STAGING}/release",
        data=data,
        content_type="multipart/form-data",
    )


def package(content: bytes = b"x") -> tuple[io.BytesIO, str]:
    return io.BytesIO(content), "package.zip"


# Uploading.


def test_a_release_reaches_a_device(world: SeedClient, clock: FakeClock) -> None:
    made: Any = world.release(
        description="Bug fixes", isMandatory=True, isDisabled=False, rollout=100
    ).get_json()
    release = made["release"]
    assert release["label"] == "v1"
    assert release["releasedBy"] == "ann@example.com"
    assert (release["originalLabel"], release["originalDeployment"]) == (None, None)
    assert release["uploadTime"] == clock.now_ms
    key = world.get(STAGING)["deployment"]["key"]
    query = {"deployment_key": key, "app_version": "1.0.0"}
    answer: Any = world.http.get("/v0.1/public/codepush/update_check", query_string=query)
    told = answer.get_json()["update_info"]
    assert told["is_available"]
    assert told["package_hash"] == release["packageHash"]
    assert told["download_url"] == release["blobUrl"]


def test_properties_that_are_left_out_have_their_defaults(world: SeedClient) -> None:
    release: Any = world.release(appVersion="^1.0.0").get_json()["release"]  # type: ignore[index]
    assert release["appVersion"] == "^1.0.0"
    assert release["description"] == ""
    assert (release["isMandatory"], release["isDisabled"]) == (False, False)
    assert release["rollout"] == 100


@pytest.mark.parametrize(
    ("info", "parameter"),
    [
        ("", "appVersion"),
        ("{}", "appVersion"),
        ("[]", "packageInfo"),
        ("null", "packageInfo"),
        ("{", "packageInfo"),
        ('{"appVersion": NaN}', "packageInfo"),
        ('{"appVersion": ""}', "appVersion"),
        ('{"appVersion": "one"}', "appVersion"),
        ('{"appVersion": 1}', "appVersion"),
        ('{"appVersion": null}', "appVersion"),
        ('{"appVersion": "1.0.0", "rollout": 0}', "rollout"),
        ('{"appVersion": "1.0.0", "rollout": 101}', "rollout"),
        ('{"appVersion": "1.0.0", "rollout": "50"}', "rollout"),
        ('{"appVersion": "1.0.0", "rollout": true}', "rollout"),
        ('{"appVersion": "1.0.0", "isMandatory": "true"}', "isMandatory"),
        ('{"appVersion": "1.0.0", "isDisabled": 1}', "isDisabled"),
        ('{"appVersion": "1.0.0", "description": 1}', "description"),
        ('{"appVersion": "1.0.0", "label": "v9"}', "label"),
        ('{"appVersion": "1.0.0", "description": "%s"}' % ("x" * 10_001), "description"),
    ],
)
def test_a_release_of_nonsense_is_refused(world: SeedClient, info: str, parameter: str) -> None:
    error = upload(world, {"package": package(), "packageInfo": info})
    assert error["details"]["parameter"] == parameter
    assert labels(world) == []


def test_a_form_that_is_not_whole_is_refused(world: SeedClient) -> None:
    info = json.dumps({"appVersion": "1.0.0"})
    assert upload(world, {"packageInfo": info})["details"]["parameter"] == "package"
    assert upload(world, {"package": package()})["details"]["parameter"] == "appVersion"
    assert upload(world, {"package": "text", "packageInfo": info})["details"] == {
        "parameter": "package",
        "reason": "Missing",
    }
    assert upload(world, {"package": package(b""), "packageInfo": info})["code"] == (
        "InvalidParameter"
    )


@pytest.mark.parametrize("extra", ["rollout", "file"])
def test_a_part_that_is_not_known_is_refused_by_name(world: SeedClient, extra: str) -> None:
    value = package() if extra == "file" else "50"
    info = json.dumps({"appVersion": "1.0.0"})
    error = upload(world, {"package": package(), "packageInfo": info, extra: value})
    assert error["details"]["parameter"] == extra


def test_the_properties_may_come_as_a_part_with_a_media_type(world: SeedClient) -> None:
    info = (io.BytesIO(b'{"appVersion": "1.0.0"}'), "info.json", "application/json")
    data = {"package": package(), "packageInfo": info}
    world.call("POST", f"{STAGING}/release", data=data, expect=201)


def test_properties_are_never_read_without_a_bound(world: SeedClient) -> None:
    info = (io.BytesIO(b'{"appVersion": "1.0.0"}' + b" " * 65_536), "info.json")
    response = world.call(
        "POST", f"{STAGING}/release", data={"package": package(), "packageInfo": info}, expect=413
    )
    assert response.get_json()["error"]["details"]["parameter"] == "packageInfo"
    info_text = '{"appVersion": "1.0.0"}' + " " * 300_000
    error = upload(world, {"package": package(), "packageInfo": info_text})
    assert error["code"] == "InvalidParameter"
    assert labels(world) == []


@pytest.mark.parametrize("media_type", ["application/json", "application/zip", "text/plain", ""])
def test_a_release_is_a_form(world: SeedClient, media_type: str) -> None:
    path = f"{STAGING}/release"
    headers = {"Content-Type": media_type}
    assert world.refused(415, "POST", path, b"{}", headers=headers)["code"] == (
        "UnsupportedMediaType"
    )
    world.refused(415, "POST", path)


def test_a_package_over_the_limit_is_refused(world: SeedClient) -> None:
    part = b'--x\r\nContent-Disposition: form-data; name="package"; filename="p"\r\n\r\n'
    body = part + bytes(5_000_001) + b"\r\n--x--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    error = world.refused(413, "POST", f"{STAGING}/release", body, headers=headers)
    assert error["code"] == "PayloadTooLarge"
    assert error["details"]["parameter"] == "package"
    assert "5 megabytes" in error["message"]


def test_a_release_over_an_unfinished_rollout_is_refused(world: SeedClient) -> None:
    world.release(rollout=10)
    error = world.refused(409, "POST", f"{STAGING}/release", data={
        "package": package(b"2"), "packageInfo": '{"appVersion": "1.0.0"}'})  # fmt: skip
    assert error["message"].startswith("Please update the previous release to 100% rollout")


def test_the_same_contents_are_not_released_twice(world: SeedClient) -> None:
    world.release()
    world.release(expect=409)
    world.release(expect=201, appVersion="2.0.0")


# Listing.


def test_releases_are_listed_oldest_first_with_their_metrics(world: SeedClient) -> None:
    for number in range(12):
        world.release(str(number).encode(), description=str(number))
    listed = world.releases()
    assert [each["label"] for each in listed] == [f"v{n}" for n in range(1, 13)]
    for each in listed:
        assert set(each["metrics"]) == {"totalActive", "downloaded", "installed", "failed"}


def test_a_release_is_found_by_its_label(world: SeedClient) -> None:
    world.release()
    assert world.get(f"{RELEASES}/v1")["release"] == world.releases()[0]
    for label in ("v2", "v0", "v01", "V1", "1", "latest", "v1 "):
        assert world.refused(404, "GET", f"{RELEASES}/{label}")["code"] == "NotFound"


def test_releases_that_are_cleared_leave_their_labels_used(world: SeedClient) -> None:
    world.release()
    world.delete(RELEASES)
    assert labels(world) == []
    world.release()
    assert labels(world) == ["v2"]


# Changing.


def test_a_rollout_goes_up_and_down(world: SeedClient) -> None:
    world.release()
    for rollout in (50, 20, 100, 1, 99):
        changed = world.patch(f"{RELEASES}/v1", {"rollout": rollout})["release"]
        assert changed["rollout"] == rollout
        assert world.get(f"{RELEASES}/v1")["release"]["rollout"] == rollout


def test_a_release_is_changed_and_the_rest_stays(world: SeedClient) -> None:
    before: Any = world.release(description="a").get_json()
    body = {
        "description": "b",
        "isMandatory": True,
        "isDisabled": True,
        "appVersion": "1.x",
        "rollout": 7,
    }
    after = world.patch(f"{RELEASES}/v1", body)["release"]
    assert after == {**before["release"], **body}


def test_a_change_to_what_it_is_already_changes_nothing(world: SeedClient) -> None:
    before = {"release": released(world)}
    entries = len(world.entries())
    for body in ({}, {"rollout": 100}, {"isMandatory": False, "description": ""}):
        assert world.patch(f"{RELEASES}/v1", body) == before
    assert len(world.entries()) == entries


def test_only_the_newest_enabled_release_is_rolled_out_in_part(world: SeedClient) -> None:
    world.release()
    world.release(b"2")
    error = world.refused(409, "PATCH", f"{RELEASES}/v1", {"rollout": 50})
    assert "v2 is newer" in error["message"]
    world.patch(f"{RELEASES}/v2", {"isDisabled": True})
    world.patch(f"{RELEASES}/v1", {"rollout": 50})
    world.refused(409, "PATCH", f"{RELEASES}/v2", {"isDisabled": False})


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        ({"rollout": 0}, "rollout"),
        ({"rollout": 101}, "rollout"),
        ({"rollout": None}, "rollout"),
        ({"rollout": 50.5}, "rollout"),
        ({"isMandatory": None}, "isMandatory"),
        ({"appVersion": "nonsense"}, "appVersion"),
        ({"label": "v2"}, "label"),
        ({"size": 1}, "size"),
    ],
)
def test_a_change_to_nonsense_is_refused(
    world: SeedClient, body: dict[str, Any], parameter: str
) -> None:
    before = {"release": released(world)}
    error = world.refused(400, "PATCH", f"{RELEASES}/v1", body)
    assert error["details"]["parameter"] == parameter
    assert world.patch(f"{RELEASES}/v1", {}) == before


def test_a_release_that_is_not_there_is_not_changed(world: SeedClient) -> None:
    assert world.refused(404, "PATCH", f"{RELEASES}/v1", {"rollout": 5})["code"] == "NotFound"
    world.release()
    for label in ("v2", "latest"):
        world.refused(404, "PATCH", f"{RELEASES}/{label}", {"rollout": 5})


# Promoting and rolling back.


def test_a_release_is_promoted(world: SeedClient) -> None:
    world.release(description="first", isMandatory=True)
    world.release(b"2", description="second", rollout=50)
    made = world.post(f"{STAGING}/promote", {"to": "Production"})["release"]
    assert (made["label"], made["rollout"], made["releaseMethod"]) == ("v1", 100, "Promote")
    assert (made["originalLabel"], made["originalDeployment"]) == ("v2", "Staging")
    body = {
        "to": "Production",
        "label": "v1",
        "description": "for all",
        "isMandatory": False,
        "isDisabled": False,
        "rollout": 10,
        "appVersion": "2.0.0",
    }
    made = world.post(f"{STAGING}/promote", body)["release"]
    assert made["originalLabel"] == "v1"
    assert {name: made[name] for name in body if name not in {"to", "label"}} == {
        name: value for name, value in body.items() if name not in {"to", "label"}
    }
    assert labels(world, "Production") == ["v1", "v2"]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {}),
        (400, {"to": ""}),
        (400, {"to": "Production", "label": "1"}),
        (400, {"to": "Production", "label": ""}),
        (400, {"to": "Production", "label": "v1\n"}),
        (400, {"to": "Production", "appVersion": "x y"}),
        (400, {"to": "Production", "rollout": 0}),
        (400, {"to": "Production", "target": "x"}),
        (404, {"to": "Nowhere"}),
        (404, {"to": "Production", "label": "v9"}),
        (409, {"to": "Staging"}),
    ],
)
def test_a_promotion_of_nonsense_is_refused(
    world: SeedClient, status: int, body: dict[str, Any]
) -> None:
    world.release()
    world.refused(status, "POST", f"{STAGING}/promote", body)
    assert (labels(world), labels(world, "Production")) == (["v1"], [])


def test_a_promotion_from_nothing_or_over_a_rollout_is_refused(world: SeedClient) -> None:
    world.refused(404, "POST", f"{STAGING}/promote", {"to": "Production"})
    world.release()
    world.post(f"{STAGING}/promote", {"to": "Production", "rollout": 10})
    world.release(b"2")
    world.refused(409, "POST", f"{STAGING}/promote", {"to": "Production"})


@pytest.mark.parametrize(("body", "original"), [(None, "v2"), ({}, "v2"), ({"label": "v1"}, "v1")])
def test_a_deployment_is_rolled_back(
    world: SeedClient, body: dict[str, str] | None, original: str
) -> None:
    for content in (b"1", b"2", b"3"):
        world.release(content)
    made = world.post(f"{STAGING}/rollback", *([] if body is None else [body]))["release"]
    assert (made["label"], made["releaseMethod"]) == ("v4", "Rollback")
    assert (made["originalLabel"], made["originalDeployment"]) == (original, None)


def test_a_rollback_that_cannot_be_is_refused(world: SeedClient) -> None:
    path = f"{STAGING}/rollback"
    world.refused(404, "POST", path)
    world.release()
    world.refused(404, "POST", path, {})
    world.release(b"2", appVersion="2.0.0")
    world.refused(409, "POST", path, {"label": "v2"})
    world.refused(409, "POST", path, {"label": "v1"})
    world.refused(404, "POST", path, {"label": "v9"})
    world.refused(400, "POST", path, {"label": 1})
    world.refused(400, "POST", path, {"to": "v1"})
    assert labels(world) == ["v1", "v2"]


def test_a_failing_storage_is_a_503_and_leaves_no_release(
    world: SeedClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    from codepush.domain.errors import StorageError

    def fail(*_: object, **__: object) -> None:
        raise StorageError("The packages cannot be reached right now. Please try again.")

    monkeypatch.setattr(type(services.storage), "put", fail)
    response = world.release(expect=503)
    assert response.headers["Retry-After"]
    assert response.get_json()["error"]["code"] == "StorageUnavailable"
    assert labels(world) == []


def test_a_large_history_is_listed_whole(world: SeedClient) -> None:
    for number in range(30):
        world.release(bundle(str(number)))
    assert len(world.releases()) == 30
