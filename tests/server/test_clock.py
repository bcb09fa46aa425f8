"""A machine's clock jumps back under a whole server: web, workers and store. See docs/faults.md."""

import contextlib
import io
import shutil
import struct
import subprocess
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from codepush.server.embedded import EmbeddedStore
from tests.api_client import bundle
from tests.needed import lacking
from tests.server.processes import Processes, connect, wait_for
from tests.server.real import RealServer
from tests.webhooks import receiver as answers
from tests.webhooks.receiver import Receiver

CHECK = "/v0.1/public/codepush/update_check"
REPORT = "/v0.1/public/codepush/report_status/deploy"
SETTINGS = {"WEBHOOK_ALLOW_HTTP": "1", "WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8"}
HOUR_S = 3_600


class Clock:
    """The wall clock of all processes that are started with ``settings``."""

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("cc")
        if compiler is None:
            lacking("the clock of a process is moved by a library, which needs a C compiler")
        library = folder / "clock.so"
        source = Path(__file__).with_name("clock.c")
        command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"]
        subprocess.run(command, check=True)
        self._file = folder / "clock"
        self._file.write_bytes(bytes(8))
        self.settings = {"LD_PRELOAD": str(library), "CODEPUSH_TEST_CLOCK": str(self._file)}

    def shift(self, seconds: int) -> None:
        with self._file.open("r+b") as file:
            file.write(struct.pack("=q", seconds))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as started:
        yield started


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    return Clock(tmp_path)


class Site:
    """One app on a server whose clock can be moved."""

    def __init__(self, processes: Processes, clock: Clock) -> None:
        self.server = RealServer(processes, **SETTINGS, **clock.settings)
        self.released = 0
        self.call("POST", "/apps", json={"name": "App"})
        self.key = self.call("GET", "/apps/App/deployments/Staging")["deployment"]["key"]

    def call(self, method: str, path: str, **options: Any) -> Any:
        url = f"{self.server.url}/api/v1{path}"
        answer = requests.request(method, url, headers=self.server.headers, timeout=30, **options)
        assert answer.ok, answer.text
        return answer.json()

    def release(self, content: bytes = b"") -> dict[str, Any]:
        self.released += 1
        made: dict[str, Any] = self.call(
            "POST",
            "/apps/App/deployments/Staging/release",
            files={"package": ("p.zip", content or bundle(str(self.released)))},
            data={"packageInfo": '{"appVersion": "1.0.0"}'},
        )["release"]
        assert made["label"] == f"v{self.released}"
        return made

    def check(self) -> dict[str, Any]:
        path = f"{CHECK}?deployment_key={self.key}&app_version=1.0.0"
        found: dict[str, Any] = self.server.get(path).json()["update_info"]
        return found

    def report(self, device: str) -> None:
        body = {
            "deployment_key": self.key,
            "app_version": "1.0.0",
            "client_unique_id": device,
            "label": f"v{self.released}",
            "status": "DeploymentSucceeded",
        }
        requests.post(self.server.url + REPORT, json=body, timeout=30).raise_for_status()

    def active(self) -> dict[str, int]:
        metrics = self.call("GET", "/apps/App/deployments/Staging/metrics")["metrics"]
        return {each["label"]: each["totalActive"] for each in metrics if each["totalActive"]}


def heartbeats(processes: Processes) -> dict[str, float]:
    """Return when each web process last told gunicorn that it lives, by the file for that."""
    found = {}
    for process in processes.alive():
        for file in Path(f"/proc/{process.pid}/fd").glob("*"):
            with contextlib.suppress(OSError):  # it was closed meanwhile
                if "/wgunicorn-" in (name := str(file.readlink())):
                    found[name] = file.stat().st_mtime
    return found


def loose() -> bytes:
    """Return a package that could be much smaller."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("CodePush/main.jsbundle", "console.log();\n" * 10_000)
    return buffer.getvalue()


def test_a_clock_that_jumps_back_under_a_whole_server(
    processes: Processes, clock: Clock, receiver: Receiver
) -> None:
    site = Site(processes, clock)
    server = site.server
    hook = {"url": f"{receiver.url}/hook", "events": ["deployment.released"]}
    site.call("POST", "/webhooks", json=hook)
    site.call("POST", "/webhooks", json=hook | {"url": f"{receiver.url}/later"})
    receiver.answers["/later"] = answers.status(500)
    first = site.release()
    site.report("d1")
    site.report("d2")
    wait_for(lambda: receiver.at("/hook") and receiver.at("/later"), "deliveries")
    receiver.answers.clear()

    clock.shift(-HOUR_S)
    with connect(EmbeddedStore(processes.data_dir).url) as store:
        assert HOUR_S - 60 < time.time() - store.time()[0] < HOUR_S + 60
    # Nothing new is told to those that wait for their second try, in some seconds.
    wait_for(lambda: len(receiver.at("/later")) == 2, "a second try after the jump", 30)
    content = loose()
    second = site.release(content)
    # As the clock says: so it was moved under the web processes.
    assert HOUR_S - 60 < (first["uploadTime"] - second["uploadTime"]) / 1_000 < HOUR_S
    wait_for(lambda: site.check()["label"] == "v2", "the update", 2)
    site.report("d1")
    assert site.active() == {"v1": 1, "v2": 1}
    # Gunicorn, which takes a process for hung a minute after the last sign of life, is told on.
    before = heartbeats(processes)
    assert len(before) == 2

    def told_since() -> bool:
        now = heartbeats(processes)
        return all(now.get(file, 0) > told_at for file, told_at in before.items())

    wait_for(told_since, "a sign of life of each", 30)
    wait_for(lambda: len(receiver.at("/hook")) == 2, "a delivery after the jump", 10)
    assert [each.json["release"]["label"] for each in receiver.at("/hook")] == ["v1", "v2"]
    # Workers go on, and make packages smaller.
    wait_for(lambda: site.check()["package_size"] < len(content) / 2, "the job of a worker", 20)
    assert server.get("/health/ready").text == "Ready"
    killed = server.one_of("worker deliveries")
    assert killed
    killed.kill()
    third = site.release()
    wait_for(lambda: len(receiver.at("/hook")) == 3, "a delivery by another worker", 60)
    assert third["uploadTime"] < first["uploadTime"]
    # A token that was made before is as good as before, and one can be made.
    assert site.call("POST", "/auth/tokens", json={"friendlyName": "after"})

    clock.shift(0)
    site.release()
    wait_for(lambda: site.check()["label"] == "v4", "the update", 2)
    wait_for(lambda: len(receiver.at("/hook")) == 4, "a delivery when the clock is right", 10)
    labels = [each.json["release"]["label"] for each in receiver.at("/hook")]
    assert labels == ["v1", "v2", "v3", "v4"]
    for words in ("verify",), ("audit", "verify"):
        process = processes.python("-P", "-m", "codepush", *words)
        told, said = process.communicate(timeout=60)
        assert process.returncode == 0, (told, said)
    server.stop()
