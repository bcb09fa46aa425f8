"""SIGKILL amid reports: every acknowledged one is counted once, and active adds up."""

import http.client
import json
import random
import threading
import time
from typing import Any

import pytest
import requests

from tests.api_client import bundle
from tests.server.processes import Processes
from tests.server.real import RealServer
from tests.server.test_kills import kill

SENDERS = 4
REPORT = "/v0.1/public/codepush/report_status/deploy"


class Fleet:
    """Devices that report v1 and then v2, each until the server has acknowledged it."""

    def __init__(self, port: int, key: str, devices: int) -> None:
        self.port = port
        self.key = key
        self.devices = devices
        self.acknowledged = 0
        self.trouble = 0
        self._lock = threading.Lock()
        self.threads = [
            threading.Thread(target=self._run, args=(number,), daemon=True)
            for number in range(SENDERS)
        ]
        for thread in self.threads:
            thread.start()

    def _run(self, sender: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        for number in range(sender, self.devices, SENDERS):
            for label in ("v1", "v2"):
                body = {
                    "deployment_key": self.key,
                    "app_version": "1.0.0",
                    "client_unique_id": f"device-{number}",
                    "label": label,
                    "status": "DeploymentSucceeded",
                }
                self._send(connection, json.dumps(body))
                with self._lock:
                    self.acknowledged += 1
        connection.close()

    def _send(self, connection: http.client.HTTPConnection, body: str) -> None:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            try:
                connection.request("POST", REPORT, body)
                answer = connection.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException):
                connection.close()
                self.trouble += 1
                time.sleep(0.02)
                continue
            if answer.status == 200:
                return
            assert answer.status == 503
            self.trouble += 1
            time.sleep(0.05)
        raise AssertionError("the server did not come back")


def run(processes: Processes, devices: int, kills: int) -> None:
    server = RealServer(processes)
    server.add_app("App")
    deployment = f"{server.url}/apps/App/deployments/Staging"
    for text in ("1", "2"):
        requests.post(
            f"{deployment}/release",
            headers=server.headers,
            files={"package": ("p.zip", bundle(text))},
            data={"packageInfo": json.dumps({"appVersion": "1.0.0"})},
            timeout=30,
        ).raise_for_status()
    found = requests.get(deployment, headers=server.headers, timeout=30).json()
    fleet = Fleet(processes.port, found["deployment"]["key"], devices)
    killed = 0
    while any(thread.is_alive() for thread in fleet.threads):
        time.sleep(random.uniform(0.2, 0.8))
        if killed < kills:
            kill(server.one_of(["valkey-server", "codepush.server.web"][killed % 2]))
            killed += 1
    for thread in fleet.threads:
        thread.join()
    assert killed >= min(kills, 2)
    assert fleet.acknowledged == 2 * devices
    metrics: dict[str, Any] = requests.get(
        f"{deployment}/metrics", headers=server.headers, timeout=30
    ).json()["metrics"]
    assert metrics["v1"]["installed"] == metrics["v2"]["installed"] == devices
    assert sum(place["active"] for place in metrics.values()) == devices
    assert metrics["v2"]["active"] == devices
    server.stop()


def test_reports_amid_kills_are_counted_once(processes: Processes) -> None:
    run(processes, devices=1_500, kills=4)


@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_a_hundred_thousand_reports_amid_kills_are_counted_once(processes: Processes) -> None:
    run(processes, devices=50_000, kills=12)
