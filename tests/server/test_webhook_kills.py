"""SIGKILL in the middle of deliveries: each release that was acknowledged is told, and no other."""

import random
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.api_client import bundle
from tests.server.processes import Processes, wait_for
from tests.server.real import RealServer
from tests.server.test_kills import kill
from tests.webhooks.receiver import Receiver

ALLOWED = {"WEBHOOK_ALLOW_HTTP": "1", "WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8"}
QUOTAS = {"QUOTA_USER_PER_HOUR": "0", "QUOTA_ADDRESS_PER_HOUR": "0"}
DEPLOYMENTS = ("Staging", "Production")
KILLED = (
    "codepush.server.worker",
    "codepush.server.worker deliveries",
    "valkey-server",
    "codepush.server.web",
)
PATIENCE_S = 150.0
"""A bell that was not heard costs a minute, a lease of a killed worker 20 s."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as started:
        yield started


class Releaser:
    """Releases to two deployments until the server has an opinion of each."""

    def __init__(self, server: RealServer, count: int) -> None:
        self.url, self.headers = f"{server.url}/api/v1", server.headers
        self.acknowledged: set[tuple[str, str]] = set()
        self._count = count
        self.threads = [
            threading.Thread(target=self._release_all, args=(name,), daemon=True)
            for name in DEPLOYMENTS
        ]
        for thread in self.threads:
            thread.start()

    def _release_all(self, deployment: str) -> None:
        for number in range(self._count // len(DEPLOYMENTS)):
            self._release(deployment, number)

    def _release(self, deployment: str, number: int) -> None:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            try:
                answer = requests.post(
                    f"{self.url}/apps/App/deployments/{deployment}/release",
                    headers={**self.headers, "Idempotency-Key": f"{deployment} {number}"},
                    files={"package": ("p.zip", bundle(f"{deployment} {number}"))},
                    data={"packageInfo": f'{{"appVersion": "1.0.{number}"}}'},
                    timeout=30,
                )
            except requests.RequestException:
                time.sleep(0.05)
                continue
            if answer.status_code == 201:
                self.acknowledged.add((deployment, answer.json()["release"]["label"]))
                return
            time.sleep(0.1)
        raise AssertionError(f"{deployment} {number} was never released")

    @property
    def is_busy(self) -> bool:
        return any(thread.is_alive() for thread in self.threads)

    def history(self) -> dict[str, list[str]]:
        found = {}
        for name in DEPLOYMENTS:
            path = f"{self.url}/apps/App/deployments/{name}/releases"
            listed: Any = requests.get(path, headers=self.headers, timeout=30).json()
            found[name] = [each["label"] for each in listed["releases"]]
        return found


def told(receiver: Receiver) -> dict[str, list[str]]:
    """Return the labels of each deployment in the order of their first attempts."""
    found: dict[str, list[str]] = {name: [] for name in DEPLOYMENTS}
    seen = set()
    for each in receiver.at("/hook"):
        body = each.json
        if each.id not in seen:
            seen.add(each.id)
            found[body["deployment"]].append(body["release"]["label"])
    return found


def check(processes: Processes, receiver: Receiver, count: int, kills: int) -> None:
    server = RealServer(processes, **ALLOWED, **QUOTAS)
    server.add_app("App")
    hook = {"url": f"{receiver.url}/hook", "events": ["deployment.released"]}
    made = requests.post(
        f"{server.url}/api/v1/webhooks", json=hook, headers=server.headers, timeout=30
    )
    assert made.status_code == 201, made.text
    releaser = Releaser(server, count)
    words: list[str] = []
    killed = 0
    while releaser.is_busy or killed < len(KILLED):
        words = words or random.sample(KILLED, len(KILLED))
        if killed < kills:
            kill(server.one_of(words.pop()))
            killed += 1
        time.sleep(random.uniform(0.1, 1.3))
    print(killed, "were killed")
    for thread in releaser.threads:
        thread.join()
    assert len(releaser.acknowledged) == count
    happened = releaser.history()
    wait_for(lambda: sum(map(len, told(receiver).values())) >= count, "every delivery", PATIENCE_S)
    # Each that was acknowledged, none that did not happen, in the order in which they happened.
    assert told(receiver) == happened
    assert {(name, label) for name, held in happened.items() for label in held} == (
        releaser.acknowledged
    )
    server.stop()


@pytest.mark.timeout(400)
def test_each_release_is_told_whatever_is_killed(processes: Processes, receiver: Receiver) -> None:
    check(processes, receiver, count=40, kills=6)


@pytest.mark.slow
@pytest.mark.timeout(1_200)
def test_each_of_500_releases_is_told_whatever_is_killed(
    processes: Processes, receiver: Receiver
) -> None:
    check(processes, receiver, count=500, kills=60)
