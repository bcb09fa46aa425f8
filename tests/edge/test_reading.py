"""Bodies of reports, read once for all devices that say the same."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codepush.domain.ids import DeploymentKey
from codepush.domain.reports import Happening, device_digest
from codepush.edge.reading import Reader
from codepush.services.container import Services
from tests.api_client import ApiClient, bundle

DEPLOY = b"/v0.1/public/codepush/report_status/deploy"


@pytest.fixture
def key(api: ApiClient, services: Services) -> DeploymentKey:
    api.add_app()
    key = DeploymentKey(api.key())
    assert services.snapshot.get(key)
    return key


@pytest.fixture
def reader(services: Services) -> Reader:
    return Reader(services.snapshot, "")


def body_of(key: str, device: str | None = "d1", **more: Any) -> bytes:
    fields: dict[str, Any] = {"deployment_key": key, "app_version": "1.0.0"}
    if device is not None:
        fields["client_unique_id"] = device
    fields |= {"label": "v1", "status": "DeploymentSucceeded"} | more
    return json.dumps(fields, separators=(",", ":")).encode()


def test_devices_that_say_the_same_share_a_report(reader: Reader, key: DeploymentKey) -> None:
    first = reader.read(DEPLOY, body_of(key, "d1"))
    second = reader.read(DEPLOY, body_of(key, "d2"))
    assert first
    assert second
    assert first[0] is second[0]
    assert (first[1], second[1]) == (device_digest("d1"), device_digest("d2"))
    assert first[0].report.happening is Happening.RUNS


def test_bodies_are_forgotten_now_and_then(reader: Reader, key: DeploymentKey) -> None:
    # Of a release that is no longer the newest, nobody reports much.
    first = reader.read(DEPLOY, body_of(key, "d1"))
    reader.forget()
    again = reader.read(DEPLOY, body_of(key, "d2"))
    assert first
    assert again
    assert first[0] is not again[0]
    assert first[0].report == again[0].report


def test_what_differs_in_anything_else_is_another_report(
    reader: Reader, key: DeploymentKey
) -> None:
    bodies = [
        body_of(key),
        body_of(key, label="v2"),
        body_of(key, status="DeploymentFailed"),
        body_of(key, app_version="1.0.1"),
        body_of(key, status="DeploymentFailed", error="it crashed"),
    ]
    found = [reader.read(DEPLOY, body) for body in bodies * 2]
    assert all(found)
    reports = [each[0].report for each in found if each]
    assert len(set(reports)) == len(bodies)
    assert reports[: len(bodies)] == reports[len(bodies) :]
    path = b"/v0.1/public/codepush/report_status/download"
    download = reader.read(path, body_of(key))
    assert download
    assert download[0].report.happening is Happening.DOWNLOADED


@pytest.mark.parametrize(
    "body",
    [
        '{"client_unique_id":"a","client_unique_id":"%s",REST}',
        '{"x":{"client_unique_id":"%s"},"client_unique_id":"a",REST}',
        '{"client_unique_id":"a","x":{"client_unique_id":"%s"},REST}',
        '{"clientUniqueId":"a","client_unique_id":"%s",REST}',
        '{"client_unique_id":"a","clientUniqueId":"%s",REST}',
        '{"error":"\\"client_unique_id\\":\\"%s","client_unique_id":"a",REST}',
        '{"client_unique_id": "%s",REST}',
        '{"client_unique_id":"\\u0061%s",REST}',
        '{"client_unique_id":null,"x":"%s",REST}',
        '{"x":["client_unique_id","%s"],REST}',
    ],
)
def test_odd_bodies_are_read_as_a_parser_reads_them(
    reader: Reader, key: DeploymentKey, body: str
) -> None:
    rest = f'"deployment_key":"{key}","app_version":"1.0.0","label":"v1","status":"Downloaded"'
    for device in ("d1", "d2", "d3", "d1"):
        text = (body % device).replace("REST", rest)
        told = json.loads(text)
        expected = told.get("clientUniqueId") or told.get("client_unique_id") or ""
        found = reader.read(DEPLOY, text.encode())
        assert found
        assert found[1] == device_digest(expected)


def test_spellings_are_remembered_apart(reader: Reader, key: DeploymentKey) -> None:
    """Of two spellings the camelCase one wins, of one spelling the last."""
    rest = f'"deployment_key":"{key}","app_version":"1.0.0","label":"v1","status":"Downloaded"'
    for name, device in (("clientUniqueId", "d1"), ("client_unique_id", "x")):
        text = f'{{"clientUniqueId": "x","{name}":"d1",{rest}}}'
        found = reader.read(DEPLOY, text.encode())
        assert found
        assert found[1] == device_digest(device)


@pytest.mark.parametrize("change", ["release", "delete"])
def test_what_is_remembered_ends_with_the_deployment_it_is_about(
    reader: Reader, key: DeploymentKey, api: ApiClient, services: Services, change: str
) -> None:
    before = reader.read(DEPLOY, body_of(key))
    assert before
    if change == "release":
        api.release(bundle("1"))
        services.snapshot.get(key)
        after = reader.read(DEPLOY, body_of(key))
        assert after
        held = services.snapshot.held(key)
        assert held
        assert after[0].mark is held.mark is not before[0].mark
    else:
        api.call("DELETE", "/apps/App/deployments/Staging", 204)
        assert reader.read(DEPLOY, body_of(key)) is None


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b"null", b'{"client_unique_id":"d1"}', b'{"client_unique_id":"d1', b"\xff"],
)
def test_what_is_no_report_is_left_to_flask(
    reader: Reader, key: DeploymentKey, body: bytes
) -> None:
    assert reader.read(DEPLOY, body) is None
    good = body_of(key)
    for bad in (
        good[:-1],
        good.replace(b"1.0.0", b"latest"),
        good.replace(key.encode(), b"x" * 30),
    ):
        reader.read(DEPLOY, good)
        is_deploy_of_a_label = b"latest" in bad  # its version is not counted by
        assert (reader.read(DEPLOY, bad) is None) is not is_deploy_of_a_label


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(devices=st.lists(st.text(max_size=12) | st.text("ab.-~_", max_size=6), max_size=8))
def test_whoever_says_it_is_who_says_it(
    reader: Reader, key: DeploymentKey, devices: list[str]
) -> None:
    for device in devices:
        try:
            body = json.dumps(json.loads(body_of(key, device)), ensure_ascii=False).encode()
        except UnicodeEncodeError:
            continue
        for each in (body, body_of(key, device)):
            found = reader.read(DEPLOY, each)
            if found:
                assert found[1] == device_digest(device)
