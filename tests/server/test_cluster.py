"""The whole server with a Redis Cluster for its store: web, worker, webhooks, devices, commands."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.api_client import make_zip
from tests.redis_servers import Cluster, RedisServer
from tests.server.processes import Processes, wait_for
from tests.server.real import RealServer
from tests.webhooks.receiver import Receiver

CHECK = "/v0.1/public/codepush/update_check"
REPORT = "/v0.1/public/codepush/report_status/deploy"
APPS = 4
"""Enough that they lie with different masters."""


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[tuple[Cluster, RedisServer]]:
    cluster, queue = Cluster(tmp_path / "cluster"), RedisServer(tmp_path / "queue")
    try:
        yield cluster.start(), queue.start()
    finally:
        cluster.kill()
        queue.kill()


def package(number: int) -> bytes:
    """A package in which a little changes and most stays, so that a diff is worth it."""
    return make_zip(
        {
            "CodePush/index.android.bundle": f"console.log({number})".encode(),
            "CodePush/assets/large.png": bytes(range(256)) * 400,
        }
    )


def test_everything_works_on_a_cluster(
    processes: Processes, stores: tuple[Cluster, RedisServer]
) -> None:
    cluster, queue = stores
    settings = {
        "REDIS_URL": cluster.url,
        "QUEUE_URL": queue.url,
        "SECRET_KEY": "a key that only this test knows and uses",
        "WEBHOOK_ALLOW_HTTP": "1",
        "WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8",
    }
    server = RealServer(processes, **settings)

    def call(method: str, path: str, **options: Any) -> Any:
        url = f"{server.url}{path}"
        answer = requests.request(method, url, headers=server.headers, timeout=30, **options)
        assert answer.ok, answer.text
        return answer.json() if answer.content and answer.text != "OK" else None

    with Receiver() as receiver:
        call("POST", "/api/v1/webhooks", json={"url": f"{receiver.url}/hook"})
        for name in (f"App{number}" for number in range(APPS)):
            call("POST", "/api/v1/apps", json={"name": name})
            for number in range(2):
                call(
                    "POST",
                    f"/api/v1/apps/{name}/deployments/Staging/release",
                    files={"package": ("p.zip", package(number))},
                    data={"packageInfo": '{"appVersion": "1.0.0"}'},
                )
            path = f"/api/v1/apps/{name}/deployments/Staging/promote"
            call("POST", path, json={"to": "Production"})

        def told() -> list[tuple[str, str]]:
            bodies = [each.json for each in receiver.at("/hook")]
            kinds = {"deployment.released", "deployment.promoted"}
            return [(each["app"], each["event"]) for each in bodies if each["event"] in kinds]

        wait_for(lambda: len(told()) >= 3 * APPS, "deliveries", 60)
        assert len(set(told())) == 2 * APPS

    for name in (f"App{number}" for number in range(APPS)):
        at = f"/api/v1/apps/{name}/deployments/Staging"
        key = call("GET", at)["deployment"]["key"]
        first = call("GET", f"{at}/releases/v1")["release"]["packageHash"]
        query = {"deployment_key": key, "app_version": "1.0.0", "package_hash": first}

        def offered(query: dict[str, str] = query) -> Any:
            info = requests.get(f"{server.url}{CHECK}", params=query, timeout=30).json()
            return info["update_info"]

        wait_for(lambda: offered()["package_size"] < len(package(1)) / 2, "a diff", 60)
        assert offered()["label"] == "v2"
        report = {
            "deployment_key": key,
            "app_version": "1.0.0",
            "client_unique_id": "d",
            "label": "v2",
            "status": "DeploymentSucceeded",
        }
        requests.post(f"{server.url}{REPORT}", json=report, timeout=30).raise_for_status()
        (counted,) = [
            each for each in call("GET", f"{at}/metrics")["metrics"] if each["label"] == "v2"
        ]
        assert counted["totalActive"] == 1

    assert all(node.ask("DBSIZE") for node in cluster.masters)
    verify = processes.python("-P", "-m", "codepush", "verify", **settings)
    said = verify.communicate(timeout=60)
    assert said[0].endswith("Everything is sound.\n"), said
    server.stop()
