"""A server of some size is backed up while it is written to, and restored elsewhere."""

import json
import os
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.api_client import bundle
from tests.e2e.clients import Person, Server
from tests.server.processes import wait_for

APPS = 50
RELEASES = 500
DEVICES = 1_000
VERSIONS = ("1.0.0", "1.1.0", "^1.0.0", "2.x", "*")
BINARIES = ("1.0.0", "1.1.0", "1.2.3", "2.0.0", "3.1.4")

pytestmark = [pytest.mark.slow, pytest.mark.e2e, pytest.mark.timeout(1_500)]


class Filler:
    """Fills a server through its API."""

    def __init__(self, person: Person) -> None:
        self.url = person.url
        self.http = requests.Session()
        self.http.headers["Authorization"] = f"Bearer {person.token}"

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        answer = self.http.request(method, f"{self.url}{path}", timeout=120, **options)
        assert answer.ok, (method, path, answer.status_code, answer.text)
        return answer

    def add_app(self, name: str) -> None:
        body = {"name": name, "os": "Android", "platform": "React-Native"}
        self.call("POST", "/apps", json=body)

    def release(self, app: str, text: str, **info: Any) -> None:
        self.call(
            "POST",
            f"/apps/{app}/deployments/Staging/release",
            files={"package": ("package.zip", bundle(text))},
            data={"packageInfo": json.dumps(info)},
        )

    def key(self, app: str) -> str:
        path = f"/apps/{app}/deployments/Staging"
        return str(self.call("GET", path).json()["deployment"]["key"])

    def history(self, app: str) -> list[dict[str, Any]]:
        path = f"/apps/{app}/deployments/Staging/history"
        found: list[dict[str, Any]] = self.call("GET", path).json()["history"]
        return found


def fill(person: Person, number: int) -> None:
    """Make one app with ten releases."""
    generator = random.Random(number)
    filler = Filler(person)
    app = f"App{number}"
    filler.add_app(app)
    for at in range(RELEASES // APPS):
        last = at == RELEASES // APPS - 1
        filler.release(
            app,
            f"{app} {at} {'x' * generator.randrange(2_000)}",
            appVersion=generator.choice(VERSIONS),
            isMandatory=generator.random() < 0.3,
            isDisabled=generator.random() < 0.2,
            description=f"Release {at} – ä",
            **({"rollout": generator.randrange(5, 95)} if last else {}),
        )


class Busy:
    """Writes without a pause: new apps, releases, renames, removals, reports of devices."""

    def __init__(self, person: Person, keys: list[str]) -> None:
        self.steps = 0
        self.failures: list[BaseException] = []
        self._filler = Filler(person)
        self._keys = keys
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        filler, generator = self._filler, random.Random(5)
        try:
            while not self._stopped.is_set():
                self.steps += 1
                app = f"Busy{self.steps}"
                filler.add_app(app)
                filler.release(app, app, appVersion="1.0.0")
                filler.call("PATCH", f"/apps/{app}", json={"name": f"{app}-renamed"})
                filler.call("POST", "/accessKeys", json={"friendlyName": app})
                for _ in range(5):
                    report = {
                        "deployment_key": generator.choice(self._keys),
                        "app_version": "1.0.0",
                        "label": "v1",
                        "status": "DeploymentSucceeded",
                        "client_unique_id": f"device {generator.randrange(10_000)}",
                    }
                    path = "/v0.1/public/codepush/report_status/deploy"
                    requests.post(f"{filler.url}{path}", json=report, timeout=60).raise_for_status()
                if self.steps % 2:
                    filler.call("DELETE", f"/apps/{app}-renamed")
        except BaseException as exc:  # noqa: BLE001 - told in ``stop``
            self.failures.append(exc)

    def stop(self) -> int:
        self._stopped.set()
        self._thread.join()
        assert self.failures == []
        return self.steps


def checks(url: str, samples: list[dict[str, str]]) -> list[Any]:
    """Ask for updates as devices do; addresses of the server are left out."""

    def ask(sample: dict[str, str]) -> Any:
        path = f"{url}/v0.1/public/codepush/update_check"
        answer = requests.get(path, params=sample, timeout=60)
        return answer.status_code, json.loads(answer.text.replace(url, "http://server"))

    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(ask, samples))


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Server]:
    yield from started(tmp_path / "source")


def started(folder: Path) -> Iterator[Server]:
    folder.mkdir(exist_ok=True)
    server = Server(folder, QUOTA_USER_PER_HOUR="0", QUOTA_ADDRESS_PER_HOUR="0")
    server.start()
    try:
        yield server
    finally:
        server.close()


def test_a_copy_of_a_busy_server_answers_as_the_original_did(
    source: Server, tmp_path: Path
) -> None:
    person = source.create_user("ann", "Acme")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: fill(person, number), range(APPS)))
    # What workers make of packages changes the answers to devices: let them come to an end.
    wait_for(lambda: source.command("repair").endswith("0 jobs enqueued.\n"), "packages", 600)

    filler = Filler(person)
    keys = [filler.key(f"App{number}") for number in range(APPS)]
    hashes = [[each["packageHash"] for each in filler.history(f"App{n}")] for n in range(APPS)]
    busy = Busy(person, keys)
    wait_for(lambda: busy.steps > 3, "writes", 120)
    backup = tmp_path / "backup"
    told = source.command("backup", str(backup), "--blobs")
    before = busy.steps
    wait_for(lambda: busy.steps > before + 1, "writes after the backup", 120)
    steps = busy.stop()

    generator = random.Random(11)
    samples = []
    for _ in range(DEVICES):
        at = generator.randrange(APPS)
        samples.append(
            {
                "deployment_key": keys[at],
                "app_version": generator.choice(BINARIES),
                "package_hash": generator.choice(["", *hashes[at]]),
                "client_unique_id": f"device {generator.randrange(10**9)}",
            }
        )
    expected = checks(source.url, samples)
    assert {status for status, _ in expected} == {200}
    offered = sum(answer["update_info"]["is_available"] for _, answer in expected)
    assert 100 < offered < DEVICES

    folder = tmp_path / "copy"
    folder.mkdir()
    copy = Server(folder, QUOTA_USER_PER_HOUR="0", QUOTA_ADDRESS_PER_HOUR="0")
    restored = copy.command("restore", str(backup), "--sha256", told.split()[-1])
    verified = copy.command("verify")
    assert verified.endswith("Everything is sound.\n")
    copy.start()
    try:
        assert checks(copy.url, samples) == expected
    finally:
        copy.stop()
    print(f"\n{steps} rounds of writes; {restored.strip()}; {verified.strip()}")
    print(f"{DEVICES} devices, {offered} of them offered an update: identical")

    # The tests of the command line, on another copy.
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "tests/e2e/test_cli.py", "-m", "not slow"],
        env=os.environ | {"COPY_OF": str(backup)},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-5_000:]
    print(ran.stdout.splitlines()[-1])
