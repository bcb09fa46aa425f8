"""The same app under a plain WSGI server and under ours: the same answers to the same requests."""

import json
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.api_client import bundle
from tests.server.processes import ROOT, Processes, wait_for
from tests.server.real import RealServer

CHECKS = ("/v0.1/public/codepush/update_check", "/updateCheck")
DEPLOY = "/v0.1/public/codepush/report_status/deploy"
CAMEL = {
    "deployment_key": "deploymentKey",
    "app_version": "appVersion",
    "package_hash": "packageHash",
    "client_unique_id": "clientUniqueId",
    "is_companion": "isCompanion",
}


class World:
    """One store, one storage and two servers on them."""

    def __init__(self, ours: RealServer, plain_url: str, key: str) -> None:
        self.ours = ours
        self.plain_url = plain_url
        self.key = key

    def both(self, method: str, path: str, **options: Any) -> tuple[Any, ...]:
        """Send a request to both, as to one address; return the one answer."""
        headers = {"Host": "example.com", **options.pop("headers", {})}
        found = []
        # Twice to ours: the first time may find the memory empty, and go the slower way.
        for url in (self.plain_url, self.ours.url, self.ours.url):
            answer = requests.request(method, url + path, headers=headers, timeout=30, **options)
            kept = {n.lower(): v for n, v in answer.headers.items()}
            for name in ("date", "server", "connection", "x-request-id"):
                kept.pop(name, None)
            if "allow" in kept:
                kept["allow"] = " ".join(sorted(kept["allow"].split(", ")))
            found.append((answer.status_code, kept, answer.content))
        assert found[0] == found[1] == found[2]
        return found[0]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    ports = []
    for _ in range(2):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            ports.append(int(probe.getsockname()[1]))
    processes = Processes(uuid.uuid4().hex, tmp_path_factory.mktemp("var"), ports[0])
    ours = RealServer(processes, WEB_CONCURRENCY="1", QUOTA_ADDRESS_PER_HOUR="0")
    ours.add_app("App")
    deployment = f"{ours.url}/apps/App/deployments/Staging"
    for number, rollout in ((1, 100), (2, 50)):
        requests.post(
            f"{deployment}/release",
            headers=ours.headers,
            files={"package": ("p.zip", bundle(str(number)))},
            data={
                "packageInfo": json.dumps(
                    {"appVersion": "1.0.0", "rollout": rollout, "description": "Fixes ✓"}
                )
            },
            timeout=30,
        ).raise_for_status()
    key = requests.get(deployment, headers=ours.headers, timeout=30).json()["deployment"]["key"]
    environment = processes.environment(
        REDIS_URL=f"unix://{processes.data_dir}/valkey.sock",
        LOG_LEVEL="error",
        QUOTA_ADDRESS_PER_HOUR="0",
    )
    command = [sys.executable, "-m", "gunicorn", "--worker-class=gthread", "--threads=4"]
    command += [f"--bind=127.0.0.1:{ports[1]}", "wsgi:app"]
    plain = subprocess.Popen(command, env=environment, cwd=ROOT, stderr=subprocess.DEVNULL)
    plain_url = f"http://127.0.0.1:{ports[1]}"

    def answers() -> bool:
        try:
            return requests.get(f"{plain_url}/health", timeout=5).ok
        except requests.RequestException:
            return False

    wait_for(answers, "the plain server", 60)
    time.sleep(1.0)  # packages are looked into after their release, which changes answers
    yield World(ours, plain_url, key)
    plain.terminate()
    plain.wait(30)
    ours.stop()
    assert processes.close() == []


QUERIES: list[dict[str, Any]] = [
    {"client_unique_id": "device-1"},
    {"client_unique_id": "device-2", "label": "v1"},
    {"client_unique_id": "", "label": "v1"},
    {},
    {"label": "v2", "package_hash": "0" * 64, "client_unique_id": "d"},
    {"app_version": "1.0", "client_unique_id": "d"},
    {"app_version": "0.9.0", "client_unique_id": "d"},
    {"app_version": "2.0.0", "is_companion": "true", "client_unique_id": "d"},
    {"app_version": "x", "client_unique_id": "d"},
    {"app_version": "", "client_unique_id": "d"},
    {"deployment_key": "unknown-key-of-nobody", "client_unique_id": "d"},
    {"deployment_key": "?", "client_unique_id": "d"},
    {"deployment_key": "", "client_unique_id": "d"},
    {"client_unique_id": "客户端 😀+&="},
    {"client_unique_id": ["a", "b"]},
    {"label": ["v1", "v2"], "client_unique_id": "d"},
    {"more": "x" * 3_000, "client_unique_id": "d"},
]


@pytest.mark.parametrize("path", CHECKS)
@pytest.mark.parametrize("query", QUERIES, ids=range(len(QUERIES)))
def test_checks(world: World, path: str, query: dict[str, Any]) -> None:
    asked = {"deployment_key": world.key, "app_version": "1.0.0", **query}
    if path == "/updateCheck":
        asked = {CAMEL.get(name, name): value for name, value in asked.items()}
    world.both("GET", path, params=asked)


@pytest.mark.parametrize("number", range(30))
def test_each_device_is_on_the_same_side_of_a_rollout(world: World, number: int) -> None:
    asked = {"deployment_key": world.key, "app_version": "1.0.0", "client_unique_id": f"d{number}"}
    status, _, _ = world.both("GET", CHECKS[0], params=asked)
    assert status == 200


@pytest.mark.parametrize(
    "headers",
    [{"Host": "other.example:8080"}, {"Host": "my_host"}, {"Host": "a,b"}, {"Origin": "http://x"}],
    ids=str,
)
def test_headers(world: World, headers: dict[str, str]) -> None:
    asked = {"deployment_key": world.key, "app_version": "1.0.0", "client_unique_id": "d"}
    world.both("GET", CHECKS[0], params=asked, headers=headers)


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "POST", "DELETE"])
def test_methods(world: World, method: str) -> None:
    world.both(method, f"{CHECKS[0]}?deployment_key={world.key}&app_version=1.0.0")


BODIES: list[Any] = [
    {"app_version": "1.0.0", "client_unique_id": "r1", "label": "v1"},
    {"app_version": "1.0.0", "client_unique_id": "r1"},
    {"app_version": "1.0.0", "label": "v1", "status": "DeploymentSucceeded"},
    {"app_version": "1.0.0", "client_unique_id": "r", "label": "v9", "status": "DeploymentFailed"},
    {"app_version": "1.0.0", "label": "v1", "status": "Frobnicated"},
    {"app_version": 1, "label": "v1"},
    {"app_version": "x" * 2_000},
    {"app_version": "latest"},
    {"deployment_key": "unknown-key-of-nobody", "app_version": "1.0.0"},
    {"deployment_key": None, "app_version": "1.0.0"},
    {"app_version": "1.0.0", "client_unique_id": "r1", "error": {"a": 1}},
]


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_reports(world: World, body: dict[str, Any]) -> None:
    world.both("POST", DEPLOY, json={"deployment_key": world.key, **body})


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b"{" * 70_000, b"null"])
def test_bodies_that_are_none(world: World, body: bytes) -> None:
    world.both("POST", DEPLOY, data=body)


@pytest.mark.parametrize("path", ["/", "/health", "/nothing", "/apps/", "/blobs/a/b"])
def test_other_routes(world: World, path: str) -> None:
    world.both("GET", path)
