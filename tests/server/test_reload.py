"""Several web processes: changes reach all of them, and reloads drop nothing."""

import http.client
import json
import random
import threading
import time
from typing import Any

import psutil
import pytest
import requests

from tests.api_client import bundle
from tests.server.processes import Processes, wait_for
from tests.server.real import RealServer, cmdline
from tests.server.test_kills import kill

CHECK = "/v0.1/public/codepush/update_check"


def make(processes: Processes, workers: int) -> tuple[RealServer, str, str]:
    """A server with one release; its deployment's address and key."""
    server = RealServer(processes, WEB_CONCURRENCY=str(workers))
    server.add_app("App")
    deployment = f"{server.url}/apps/App/deployments/Staging"
    requests.post(
        f"{deployment}/release",
        headers=server.headers,
        files={"package": ("p.zip", bundle("1"))},
        data={"packageInfo": json.dumps({"appVersion": "1.0.0"})},
        timeout=30,
    ).raise_for_status()
    found = requests.get(deployment, headers=server.headers, timeout=30).json()
    return server, deployment, found["deployment"]["key"]


class Devices:
    """Ask all the time over several connections, which lie with different processes."""

    def __init__(self, port: int, key: str, connections: int) -> None:
        self.path = f"{CHECK}?deployment_key={key}&app_version=1.0.0&client_unique_id=d"
        self.port = port
        self.answers = 0
        self.dropped: list[str] = []
        self.seen: dict[int, tuple[float, str]] = {}
        self.stopped = threading.Event()
        self.threads = [
            threading.Thread(target=self._run, args=(number,), daemon=True)
            for number in range(connections)
        ]
        for thread in self.threads:
            thread.start()

    def _run(self, number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        while not self.stopped.is_set():
            asked_at = time.monotonic()
            try:
                connection.request("GET", self.path)
                answer = connection.getresponse()
                body = json.loads(answer.read())
            except (OSError, http.client.HTTPException, ValueError) as exc:
                self.dropped.append(repr(exc))
                connection.close()
                continue
            assert answer.status == 200
            self.answers += 1
            self.seen[number] = (asked_at, body["update_info"]["description"])
            time.sleep(0.005)
        connection.close()

    def stop(self) -> None:
        self.stopped.set()
        for thread in self.threads:
            thread.join()


def change(server: RealServer, deployment: str, text: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            answer: Any = requests.patch(
                f"{deployment}/release",
                json={"packageInfo": {"description": text}},
                headers=server.headers,
                timeout=30,
            )
            if answer.status_code in {200, 204}:
                return
        except requests.RequestException:
            pass
        time.sleep(0.05)
    raise AssertionError("the change was not made")


def run(processes: Processes, changes: int, restarts: set[int]) -> None:
    server, deployment, key = make(processes, workers=4)
    devices = Devices(processes.port, key, connections=12)
    for number in range(changes):
        if number in restarts:
            kill(server.one_of("valkey-server"))
        change(server, deployment, f"change {number}")
        changed_at = time.monotonic()

        def all_know(after: float = changed_at + 1.0, text: str = f"change {number}") -> bool:
            told = list(devices.seen.values())
            late = [seen for asked_at, seen in told if asked_at > after]
            assert all(seen == text for seen in late), late
            return len(told) == 12 and all(seen == text for _, seen in told)

        wait_for(all_know, "every process knows")
    devices.stop()
    assert devices.answers > changes
    server.stop()


def test_no_process_answers_with_an_old_release_a_second_later(processes: Processes) -> None:
    run(processes, changes=15, restarts={5, 10})


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_no_process_does_so_over_two_hundred_changes(processes: Processes) -> None:
    run(processes, changes=200, restarts=set(random.sample(range(200), 12)))


def test_a_reload_drops_no_request(processes: Processes) -> None:
    server, _, key = make(processes, workers=2)
    devices = Devices(processes.port, key, connections=6)
    wait_for(lambda: devices.answers > 50, "answers")
    masters = [
        process
        for process in server.everything()
        if "codepush.server.web" in " ".join(cmdline(process)) and process.children()
    ]
    assert len(masters) == 1
    before = {child.pid for child in masters[0].children()}
    masters[0].send_signal(1)

    def are_new() -> bool:
        now = {child.pid for child in masters[0].children() if child.status() != "zombie"}
        return len(now) == 2 and not now & before

    def replaced() -> bool:
        try:
            return are_new()
        except psutil.Error:
            return False

    wait_for(replaced, "new processes", 60)
    more = devices.answers + 50
    wait_for(lambda: devices.answers > more, "answers go on")
    devices.stop()
    assert devices.dropped == []
    server.stop()
