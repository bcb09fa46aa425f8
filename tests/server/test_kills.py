"""SIGKILL in the middle of work: what was acknowledged is there afterwards, whole."""

import io
import json
import random
import threading
import time
from typing import Any

import psutil
import pytest
import requests

from tests.api_client import bundle
from tests.archive.native_client import unzip
from tests.server.processes import Processes
from tests.server.real import RealServer

RELEASES = 200
SENDERS = 4


class Releaser:
    """Releases from several threads, noting what was acknowledged."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self.headers = {"Authorization": f"Bearer {token}"}
        self.acknowledged: dict[int, dict[str, Any]] = {}
        self.trouble: list[str] = []
        self._numbers = iter(range(RELEASES))
        self._lock = threading.Lock()

    def run(self) -> list[threading.Thread]:
        threads = [threading.Thread(target=self._send_all, daemon=True) for _ in range(SENDERS)]
        for thread in threads:
            thread.start()
        return threads

    def _send_all(self) -> None:
        while True:
            with self._lock:
                number = next(self._numbers, None)
            if number is None:
                return
            self._send(number)

    def _send(self, number: int) -> None:
        """Send one release until the server has an opinion; 409 means that it has it already."""
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            try:
                answer = requests.post(
                    f"{self.url}/apps/App/deployments/Staging/release",
                    headers=self.headers,
                    files={"package": ("p.zip", bundle(f"release {number}"))},
                    data={"packageInfo": json.dumps({"appVersion": f"1.0.{number}"})},
                    timeout=30,
                )
            except requests.RequestException as exc:
                self.trouble.append(f"{number}: {exc!r:.200}")
                time.sleep(0.05)
                continue
            if answer.status_code == 201:
                self.acknowledged[number] = answer.json()["package"]
                return
            if answer.status_code == 409:
                return  # an attempt whose answer was lost
            self.trouble.append(f"{number}: {answer.status_code} {answer.text}")
            time.sleep(0.1)
        raise AssertionError(f"release {number}: {self.trouble[-5:]}")


def kill(process: psutil.Process | None) -> None:
    if process:
        try:
            process.kill()
        except psutil.Error:
            return


def check_all(url: str, sender: Releaser) -> None:
    """Every acknowledged release is in the history and downloads whole."""
    path = f"{url}/apps/App/deployments/Staging/history"
    history = requests.get(path, headers=sender.headers, timeout=30).json()["history"]
    labels = [release["label"] for release in history]
    assert len(set(labels)) == len(labels)
    by_label = {release["label"]: release for release in history}
    for number, package in sender.acknowledged.items():
        found = by_label[package["label"]]
        assert _lasting(found) == _lasting(package)
        content = requests.get(package["blobUrl"], timeout=30).content
        assert content == bundle(f"release {number}")
        # A worker may have made it smaller meanwhile.
        served = requests.get(found["blobUrl"], timeout=30).content
        assert len(served) == found["size"] <= package["size"]
        assert unzip(io.BytesIO(served)) == unzip(io.BytesIO(content))


def _lasting(package: dict[str, Any]) -> dict[str, Any]:
    changing = {"blobUrl", "size", "diffPackageMap"}
    return {name: value for name, value in package.items() if name not in changing}


@pytest.mark.timeout(400)
def test_no_acknowledged_release_is_lost_whatever_is_killed(
    processes: Processes,
) -> None:
    server = RealServer(processes)
    url = server.url
    sender = Releaser(url, server.token)
    server.add_app("App")
    threads = sender.run()
    victims = [
        lambda: kill(server.one_of("codepush.server.web")),
        lambda: kill(server.one_of("valkey-server")),
        lambda: kill(server.one_of("codepush.server.worker")),
    ]
    killed = 0
    while any(thread.is_alive() for thread in threads):
        victims[killed % len(victims)]()
        killed += 1
        time.sleep(random.uniform(0.1, 0.6))
        # Not for ever: a child that keeps dying is restarted ever more slowly.
        if killed >= 12 or len(sender.acknowledged) > RELEASES * 3 // 4:
            break
    assert killed >= 3
    # Now all of them at once, in the middle of work.
    for process in server.everything():
        kill(process)
    server.process.wait(10)
    again = RealServer(processes)
    for thread in threads:
        thread.join(180)
        assert not thread.is_alive()
    assert len(sender.acknowledged) >= RELEASES * 9 // 10, sender.trouble
    check_all(url, sender)
    again.stop()
    # And once more from what lies on the disk.
    last = RealServer(processes)
    check_all(url, sender)
    last.stop()
