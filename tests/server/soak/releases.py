"""Developers of a soak: they release and promote, and know what devices must be told when."""

import bisect
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import requests

from tests.api_client import bundle
from tests.server.soak.ground import Ground, Sender

STALE_S = 5.0
"""After an acknowledgement, how long a device may be told of what was before, on a busy machine."""


@dataclass
class Deployment:
    """What was released to a deployment, in order: by one thread, watched by many."""

    app: str
    name: str
    key: str
    texts: list[str] = field(default_factory=list)
    started_at: list[float] = field(default_factory=list)
    acknowledged_at: list[float] = field(default_factory=list)
    hashes: list[str] = field(default_factory=list)

    def start(self, text: str) -> None:
        """Note what is about to be released."""
        self.started_at.append(time.monotonic())
        self.texts.append(text)

    def acknowledge(self, release: dict[str, Any]) -> None:
        """Note that it was."""
        assert release["label"] == f"v{len(self.texts)}", (release, self.texts)
        assert release["description"] == self.texts[-1]
        self.hashes.append(release["packageHash"])
        self.acknowledged_at.append(time.monotonic())

    def made_since(self, at: float) -> int:
        """Return how many releases were acknowledged since then."""
        return len(self.acknowledged_at) - bisect.bisect_left(self.acknowledged_at, at)

    def allowed(self, asked_at: float, answered_at: float, outages: list[float]) -> range:
        """Return the numbers of the releases that an answer may have been about, from 1 on.

        Args:
            asked_at: When a device asked.
            answered_at: When it had its answer.
            outages: When the store was killed: until it is back, the state before holds on.
        """
        since = asked_at - STALE_S
        since = min([since, *(at - STALE_S for at in outages if 0 <= asked_at - at <= 20)])
        least = bisect.bisect_right(self.acknowledged_at, since)
        most = bisect.bisect_right(self.started_at, answered_at)
        return range(max(least, 1), most + 1)


class Developer(Sender):
    """Releases to Staging, and promotes every other one to Production."""

    def __init__(self, ground: Ground, staging: Deployment, production: Deployment, rate: float):
        """Release ``rate`` times a second at the peak."""
        super().__init__(ground, f"developer of {staging.app}", rate)
        self.staging = staging
        self.production = production
        self.promoted = 0
        self._http = requests.Session()
        self._http.headers.update(ground.headers)

    def send(self) -> None:
        """Release once; promote each second time."""
        number = len(self.staging.texts) + 1
        text = f"{self.staging.app} {number}"
        self.staging.start(text)
        self._make(
            self.staging,
            "release",
            files={"package": ("p.zip", bundle(text))},
            data={"packageInfo": f'{{"appVersion": "1.0.0", "description": "{text}"}}'},
        )
        if number % 2 == 0:
            self.production.start(text)
            self._make(self.staging, "promote", to=self.production, json={"to": "Production"})
            self.promoted += 1

    def _make(
        self, source: Deployment, what: str, *, to: Deployment | None = None, **body: Any
    ) -> None:
        made = to or source
        url = f"{self.ground.url}/api/v1/apps/{source.app}/deployments/{source.name}/{what}"
        once = {"Idempotency-Key": f"{made.name} {len(made.texts)}"}
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                answer = self._http.post(url, headers=once, timeout=30, **body)
            except requests.RequestException as exc:
                self.ground.fail(what, repr(exc)[:200], is_broken=True)
                continue
            if answer.status_code == 201:
                made.acknowledge(answer.json()["release"])
                return
            self.ground.fail(what, f"{answer.status_code} {answer.text[:200]}", is_broken=False)
        raise AssertionError(f"{what} of {made.texts[-1]} was not acknowledged in a minute")

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


class Told:
    """What devices were told of each release: the same to all of them, and as in the history."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._lock = threading.Lock()
        self._seen: dict[tuple[str, str], tuple[str, str]] = {}

    def note(self, key: str, label: str, description: str, package_hash: str) -> bool:
        """Note an answer; tells whether it agrees with all before."""
        with self._lock:
            known = self._seen.setdefault((key, label), (description, package_hash))
        return known == (description, package_hash)

    def of(self, key: str) -> dict[str, tuple[str, str]]:
        """Return description and hash by label."""
        return {label: told for (at, label), told in self._seen.items() if at == key}
