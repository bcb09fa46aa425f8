"""A queue of its own (``QUEUE_URL``) that dies under a whole server, and what is made up for.

docs/faults.md has a row for it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.api_client import bundle
from tests.redis_servers import RedisServer
from tests.server.processes import Processes, wait_for
from tests.server.real import RealServer
from tests.webhooks.receiver import Receiver

METRICS = "a-token-of-the-tests"
PATIENCE_S = 150
"""Both wait for a turn that comes once a minute."""


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[RedisServer]:
    """One that keeps nothing on a disk, so it comes back without what it held."""
    server = RedisServer(tmp_path / "queue")
    yield server.start()
    server.kill()


class Api:
    """A real server, as its administrator uses it."""

    def __init__(self, server: RealServer) -> None:
        self.server = server
        self.staging = "/api/v1/apps/App/deployments/Staging"

    def call(self, method: str, path: str, status: int = 200, **options: Any) -> Any:
        answer = requests.request(
            method,
            f"{self.server.url}{path}",
            headers=self.server.headers,
            timeout=30,
            **options,
        )
        assert answer.status_code == status, answer.text
        return answer.json()

    def release(self) -> Any:
        return self.call(
            "POST",
            f"{self.staging}/release",
            201,
            files={"package": ("p.zip", bundle("1"))},
            data={"packageInfo": '{"appVersion": "1.0.0"}'},
        )["release"]

    def readiness(self) -> str:
        answer = self.server.get("/health/ready")
        assert answer.status_code == 200
        return answer.text

    def numbers(self) -> str:
        return self.server.get("/metrics", headers={"Authorization": f"Bearer {METRICS}"}).text


def test_a_queue_that_dies_delays_work_and_loses_none(
    processes: Processes, queue: RedisServer
) -> None:
    server = RealServer(
        processes,
        QUEUE_URL=queue.url,
        METRICS_TOKEN=METRICS,
        WEBHOOK_ALLOW_HTTP="1",
        WEBHOOK_ALLOWED_NETWORKS="127.0.0.0/8",
    )
    api = Api(server)
    with Receiver() as receiver:
        api.call("POST", "/api/v1/apps", 201, json={"name": "App"})
        api.call("POST", "/api/v1/webhooks", 201, json={"url": f"{receiver.url}/hook"})
        key = api.call("GET", api.staging)["deployment"]["key"]
        wait_for(lambda: api.readiness() == "Ready", "its workers")
        queue.kill()

        made = api.release()
        query = {"deploymentKey": key, "appVersion": "1.0.0"}
        update = server.get("/updateCheck", params=query).json()["updateInfo"]
        assert update["label"] == made["label"] == "v1"
        away = "Degraded: the queue of jobs does not answer. Background work waits."
        assert api.readiness() == away
        assert server.get("/health").text == "Healthy"
        # What the alert of deploy/prometheus looks at, since neither of the two metrics that tell
        # of workers and of failed requests says anything.
        numbers = api.numbers()
        assert "codepush_queue_up 0.0\n" in numbers
        assert "codepush_worker_heartbeat_age_seconds" not in numbers
        assert "codepush_store_errors_total 0.0\n" in numbers
        assert receiver.at("/hook") == []

        queue.start()
        wait_for(lambda: api.readiness() == "Ready", "its workers", PATIENCE_S)
        wait_for(lambda: receiver.at("/hook"), "the delivery", PATIENCE_S)
        assert receiver.at("/hook")[0].json["release"]["label"] == "v1"
        wait_for(
            lambda: api.call("GET", f"{api.staging}/releases/v1")["release"]["size"] < made["size"],
            "a smaller package",
            PATIENCE_S,
        )
    server.stop()
