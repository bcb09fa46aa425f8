"""Devices of a soak: they ask for updates, download, and report, and know what is right."""

import http.client
import json
import random
import time
from typing import Any
from urllib.parse import quote, urlsplit

from tests.server.soak.ground import Ground, Sender
from tests.server.soak.releases import Deployment, Told

CHECK = "/v0.1/public/codepush/update_check"
REPORT = "/v0.1/public/codepush/report_status"
DOWNLOAD_EVERY = 100


class Connection:
    """Keeps a connection alive; what breaks is noted and tried again."""

    def __init__(self, ground: Ground, kind: str) -> None:
        """Connect at the first request."""
        self._ground = ground
        self._kind = kind
        self._http = http.client.HTTPConnection("127.0.0.1", ground.port, timeout=20)

    def ask(self, method: str, path: str, body: str | None = None) -> bytes:
        """Return the body of an answer with status 200, however often that must be asked for."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                self._http.request(method, path, body)
                answer = self._http.getresponse()
                content = answer.read()
            except (OSError, http.client.HTTPException) as exc:
                self._http.close()
                self._ground.fail(self._kind, repr(exc)[:200], is_broken=True)
                continue
            if answer.status == 200:
                return content
            told = f"{answer.status} {content[:200]!r}"
            self._ground.fail(self._kind, told, is_broken=False)
        raise AssertionError(f"{method} {path} was not answered in a minute")

    def close(self) -> None:
        """Close it."""
        self._http.close()


class Checker(Sender):
    """Asks for updates, as one of many devices with one of many releases."""

    def __init__(
        self, ground: Ground, number: int, rate: float, deployments: list[Deployment], told: Told
    ) -> None:
        """Ask ``rate`` times a second at the peak."""
        super().__init__(ground, f"checker {number}", rate)
        self._random = random.Random(number)
        self._deployments = deployments
        self._told = told
        self._connection = Connection(ground, "check")
        self.offered = 0
        self.downloads = 0

    def send(self) -> None:
        """Ask once, and judge the answer."""
        deployment = self._random.choice(self._deployments)
        known = len(deployment.hashes)
        held = 0 if self._random.random() < 0.7 else self._random.randint(max(1, known - 8), known)
        path = (
            f"{CHECK}?deployment_key={quote(deployment.key)}&app_version=1.0.0"
            f"&client_unique_id=device{self._random.randrange(100_000)}"
        )
        if held:
            path += f"&package_hash={deployment.hashes[held - 1]}&label=v{held}"
        asked_at = time.monotonic()
        info = json.loads(self._connection.ask("GET", path))["update_info"]
        allowed = deployment.allowed(asked_at, time.monotonic(), self.ground.store_kills)
        if fault := self._fault(deployment, held, info, allowed):
            at = time.monotonic() - self.ground.began_at
            self.ground.wrong.append(
                f"after {at:.1f} s, {deployment.app} {deployment.name}: {fault}: {info}"
            )
        elif info["is_available"]:
            self.offered += 1
            if self.offered % DOWNLOAD_EVERY == 0:
                self._download(info)

    def _fault(
        self, deployment: Deployment, held: int, info: dict[str, Any], allowed: range
    ) -> str:
        if not info["is_available"]:
            return "" if held in allowed else f"told of nothing; it holds v{held}, not of {allowed}"
        number = int(info["label"][1:])
        if number not in allowed:
            return f"not of {allowed}"
        if number == held:
            return "told of what it has"
        description, digest = info["description"], info["package_hash"]
        if description != deployment.texts[number - 1]:
            return f"described as another, not {deployment.texts[number - 1]!r}"
        if not self._told.note(deployment.key, info["label"], description, digest):
            return "not what others were told"
        return ""

    def _download(self, info: dict[str, Any]) -> None:
        content = self._connection.ask("GET", urlsplit(info["download_url"]).path)
        self.downloads += 1
        if len(content) != info["package_size"]:
            self.ground.wrong.append(f"{len(content)} bytes downloaded of {info}")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


class Reporter(Sender):
    """A share of the fleet: each device downloads and installs one release after the other."""

    def __init__(
        self, ground: Ground, number: int, rate: float, key: str, devices: int, labels: int
    ) -> None:
        """Report ``rate`` times a second at the peak, until all have installed all ``labels``."""
        super().__init__(ground, f"reporter {number}", rate)
        self._key = key
        self._devices = devices
        self._labels = labels
        self._connection = Connection(ground, "report")
        self.reports = 0
        self.again = 0

    def send(self) -> None:
        """Report once; each tenth report goes out twice, as from a device that lost the answer."""
        step, device = divmod(self.reports, self._devices)
        label, is_installed = step // 2 + 1, step % 2 == 1
        assert label <= self._labels, "the fleet has installed everything: give it more to do"
        body = {
            "deployment_key": self._key,
            "app_version": "1.0.0",
            "client_unique_id": f"{self.name} {device}",
            "label": f"v{label}",
        }
        if is_installed:
            body["status"] = "DeploymentSucceeded"
        path = f"{REPORT}/{'deploy' if is_installed else 'download'}"
        self._connection.ask("POST", path, json.dumps(body))
        if self.reports % 10 == 0:
            self._connection.ask("POST", path, json.dumps(body))
            self.again += 1
        self.reports += 1

    def expected(self) -> dict[str, tuple[int, int]]:
        """Return, for each label, how many of its devices downloaded and installed it."""
        counted = {}
        for label in range(1, self._labels + 1):
            done = [
                min(max(self.reports - step * self._devices, 0), self._devices)
                for step in (2 * label - 2, 2 * label - 1)
            ]
            counted[f"v{label}"] = (done[0], done[1])
        return counted

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
