"""All kinds of load at once, at half of a peak that is borne first, while parts are killed.

``SOAK_S=600 make soak ARGS=tests/server/soak`` takes eleven minutes and prints the figures of
``benchmarks/RESULTS.md``.
"""

import io
import os
import random
import time
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
import requests

from codepush.server.embedded import EmbeddedStore
from tests.api_client import bundle
from tests.archive.native_client import unzip
from tests.server.processes import Processes, wait_for
from tests.server.real import RealServer
from tests.server.soak import memory
from tests.server.soak.devices import Checker, Reporter
from tests.server.soak.ground import Ground, Sender
from tests.server.soak.releases import Deployment, Developer, Told
from tests.server.test_kills import kill
from tests.webhooks.receiver import Handler, Receiver

SOAK_S = int(os.environ.get("SOAK_S") or 600)
PEAK_S = max(15, SOAK_S // 10)
"""At the full peak, before; this is the warm-up, too."""
KILL_EVERY_S = min(60.0, SOAK_S / 6)
PATIENCE_S = 150.0
APPS = 4
CHECKERS, CHECKS = 4, 2_000
REPORTERS, REPORTS = 4, 400
RELEASES = 4
DEVICES = 500
"""Of each reporter."""
HOOKS = 4
SETTINGS = {
    "QUOTA_USER_PER_HOUR": "0",
    "QUOTA_ADDRESS_PER_HOUR": "0",
    "WEBHOOK_ALLOW_HTTP": "1",
    "WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8",
}
TOLD = {"deployment.released": "Staging", "deployment.promoted": "Production"}
GROWTH = 1.10
HELD_MB = 0.001
"""What a process holds of each release, until histories are full: data, and no leak. It is 0.8 kB,
and half a kB for a diff."""
STORE_MB = 2.0
"""By how much the store may grow beyond what lasts: its own buffers, sessions of jobs, quotas."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as started:
        yield started


class Soak:
    """One server under load."""

    def __init__(self, processes: Processes, receiver: Receiver) -> None:
        self.processes = processes
        self.receiver = receiver
        self.server = RealServer(processes, **SETTINGS)
        url, headers = self.server.url, self.server.headers
        self.ground = Ground(url, processes.port, headers)
        self.told = Told()
        self.kills = {"worker": 0, "web": 0, "store": 0}
        self.store_url = EmbeddedStore(processes.data_dir).url
        self._random = random.Random(7)
        self._hook()
        labels = (SOAK_S + 2 * PEAK_S) * REPORTS // (2 * REPORTERS * DEVICES) + 3
        self.fleet = self._make("Fleet")[0]
        for number in range(labels):
            self._release(self.fleet, f"Fleet {number + 1}")
        pairs = [self._make(f"App{number}") for number in range(APPS)]
        self.deployments = [deployment for pair in pairs for deployment in pair]
        self.developers = [Developer(self.ground, *pair, RELEASES / APPS) for pair in pairs]
        for developer in self.developers:  # so that devices always have something to ask for
            for _ in range(2):
                developer.send()
        self.checkers = [
            Checker(self.ground, number, CHECKS / CHECKERS, self.deployments, self.told)
            for number in range(CHECKERS)
        ]
        self.reporters = [
            Reporter(self.ground, number, REPORTS / REPORTERS, self.fleet.key, DEVICES, labels)
            for number in range(REPORTERS)
        ]

    @property
    def senders(self) -> list[Sender]:
        return [*self.developers, *self.checkers, *self.reporters]

    def call(self, method: str, path: str, **options: Any) -> Any:
        url = f"{self.server.url}/api/v1{path}"
        answer = requests.request(method, url, headers=self.server.headers, timeout=60, **options)
        assert answer.ok, answer.text
        return answer.json()

    def _hook(self) -> None:
        for number in range(HOOKS):
            body = {"url": f"{self.receiver.url}/hook{number}", "events": list(TOLD)}
            self.call("POST", "/webhooks", json=body)
        # One of them refuses now and then, and is to be told again.
        attempts = iter(range(10**9))

        def answer(handler: Handler) -> None:
            handler.answer(500 if next(attempts) % 50 == 10 else 200, b"ok")

        self.receiver.answers["/hook0"] = answer

    def _make(self, app: str) -> tuple[Deployment, Deployment]:
        self.call("POST", "/apps", json={"name": app})
        listed = self.call("GET", f"/apps/{app}/deployments")["deployments"]
        keys = {each["name"]: each["key"] for each in listed}
        staging, production = (Deployment(app, name, keys[name]) for name in TOLD.values())
        return staging, production

    def _release(self, deployment: Deployment, text: str) -> None:
        deployment.start(text)
        made = self.call(
            "POST",
            f"/apps/{deployment.app}/deployments/{deployment.name}/release",
            files={"package": ("p.zip", bundle(text))},
            data={"packageInfo": f'{{"appVersion": "1.0.0", "description": "{text}"}}'},
        )
        deployment.acknowledge(made["release"])

    def kill_worker(self) -> None:
        self._kill("worker", [p for p in self.server.everything() if memory.role(p) == "worker"])

    def kill_web(self) -> None:
        """Kill the youngest web process: the oldest tells how memory grows."""
        web = [p for p in self.server.everything() if memory.role(p) == "web"]
        children = [p for p in web if _parent(p) in {each.pid for each in web}]
        self.ground.web_kills.append(time.monotonic())
        self._kill("web", sorted(children, key=lambda p: p.create_time())[-1:])

    def kill_store(self) -> None:
        self.ground.store_kills.append(time.monotonic())
        self._kill("store", [p for p in self.server.everything() if memory.role(p) == "store"])

    def _kill(self, name: str, victims: list[psutil.Process]) -> None:
        if victims:
            kill(self._random.choice(victims))
            self.kills[name] += 1

    def run(self) -> None:
        """Bear the peak, then half of it for the time of the soak, with kills."""
        began = time.monotonic()
        for sender in self.senders:
            sender.start()
        time.sleep(PEAK_S)
        self.at_peak = self._rates(began, {})
        self.ground.pace = 0.5
        self.store_before = memory.of_store(self.store_url)
        began = time.monotonic()
        sent = {sender.name: sender.sent for sender in self.senders}
        plan = sorted(
            [(at * KILL_EVERY_S, self.kill_worker) for at in range(1, 1 + _count(SOAK_S, 0.0))]
            + [((at + 0.5) * KILL_EVERY_S, self.kill_web) for at in range(_count(SOAK_S, 0.5))]
            + [(SOAK_S * share + 1.0, self.kill_store) for share in (1 / 3, 2 / 3)],
            key=lambda each: each[0],
        )
        for at, act in plan:
            time.sleep(max(0.0, began + at - time.monotonic()))
            act()
        time.sleep(max(0.0, began + SOAK_S - time.monotonic()))
        self.rates = self._rates(began, sent)
        self.store_after = memory.of_store(self.store_url)
        self.ground.is_over.set()
        for sender in self.senders:
            sender.finish()

    def _rates(self, began: float, before: dict[str, int]) -> dict[str, float]:
        groups = {"checks": self.checkers, "reports": self.reporters, "releases": self.developers}
        took = time.monotonic() - began
        return {
            name: sum(each.sent - before.get(each.name, 0) for each in group) / took
            for name, group in groups.items()
        }

    # What must hold afterwards.

    def check_histories(self) -> None:
        """Each acknowledged release is there, once, in order; and is what devices were told."""
        for deployment in self.deployments:
            path = f"/apps/{deployment.app}/deployments/{deployment.name}/releases?limit=1000"
            listed = self.call("GET", path)["releases"]
            held = [(each["description"], each["packageHash"]) for each in listed]
            happened = list(zip(deployment.texts, deployment.hashes, strict=True))
            assert held == happened[-500:]
            labels = {f"v{number}": each for number, each in enumerate(happened, 1)}
            told = self.told.of(deployment.key)
            assert told
            assert {label: labels[label] for label in told} == told

    def check_newest(self) -> None:
        """Each deployment's newest release downloads whole."""
        for deployment in self.deployments:
            path = f"/v0.1/public/codepush/update_check?deployment_key={deployment.key}"
            url = f"{self.server.url}{path}&app_version=1.0.0"
            info = requests.get(url, timeout=30).json()["update_info"]
            assert info["label"] == f"v{len(deployment.texts)}"
            package = bundle(deployment.texts[-1])
            content = requests.get(info["download_url"], timeout=30).content
            assert unzip(io.BytesIO(content)) == unzip(io.BytesIO(package))

    def check_reports(self) -> None:
        """Each report counted exactly once."""
        path = f"/apps/Fleet/deployments/{self.fleet.name}/metrics"
        metrics = {each["label"]: each for each in self.call("GET", path)["metrics"]}
        expected = [reporter.expected() for reporter in self.reporters]
        for label in expected[0]:
            held = metrics.get(label, {})
            counted = (held.get("downloaded", 0), held.get("installed", 0))
            wanted = tuple(sum(each[label][at] for each in expected) for at in (0, 1))
            assert counted == wanted, label
        # Each device runs one release: the newest that it installed.
        active = sum(each.get("totalActive", 0) for each in metrics.values())
        assert active == sum(each["v1"][1] for each in expected)

    def check_deliveries(self) -> int:
        """Each webhook was told of each release, in order; return how many deliveries that is."""
        wanted = {
            (each.app, each.name): [f"v{number}" for number in range(1, len(each.texts) + 1)]
            for each in (*self.deployments, self.fleet)
        }
        count = sum(map(len, wanted.values()))
        for number in range(HOOKS):
            path = f"/hook{number}"
            wait_for(lambda p=path: len(self._ids(p)) >= count, f"deliveries at {path}", PATIENCE_S)
            told: dict[tuple[str, str], list[str]] = {place: [] for place in wanted}
            seen = set()
            for each in self.receiver.at(path):
                if each.id not in seen:
                    seen.add(each.id)
                    body = each.json
                    told[body["app"], body["deployment"]].append(body["release"]["label"])
            assert told == wanted
        return HOOKS * count

    def _ids(self, path: str) -> set[str]:
        return {each.id for each in self.receiver.at(path)}

    def command(self, *words: str) -> str:
        process = self.processes.python("-P", "-m", "codepush", *words)
        told, said = process.communicate(timeout=120)
        assert process.returncode == 0, (told, said)
        return told


def _parent(process: psutil.Process) -> int:
    try:
        return process.ppid()
    except psutil.Error:
        return 0


def _count(seconds: float, shift: float) -> int:
    """How many kills there are at a pace, none of them in the last moments."""
    return int((seconds - 5) / KILL_EVERY_S - shift)


@pytest.mark.slow
@pytest.mark.timeout(SOAK_S + 900)
def test_nothing_is_lost_wrong_or_growing(processes: Processes, receiver: Receiver) -> None:
    soak = Soak(processes, receiver)
    watch = memory.Memory(processes)
    watch.start()
    soak.run()
    until = time.monotonic()
    since = until - SOAK_S
    made = sum(each.made_since(since) for each in soak.deployments)
    deliveries = soak.check_deliveries()
    watch.stop()

    ground = soak.ground
    print(f"\nat the peak, each second: {soak.at_peak}; then: {soak.rates}; kills: {soak.kills}")
    print(f"{len(ground.failures)} requests sent again, {deliveries} deliveries")
    print(f"{made} releases made meanwhile, of which web processes hold {made * HELD_MB:.1f} MB")
    print(f"store, MB, and how much of it lasts: {soak.store_before}, then {soak.store_after}")
    for name, first, last in watch.growth(since, until):
        print(f"{name}: {first:.1f} MB, then {last:.1f} MB")
    for name in ("worker", "deliveries", "web"):
        print(name, [round(mb, 1) for _, mb in watch.of_short_lived(name, since)])
    assert ground.wrong == []
    assert ground.unexcused() == []
    soak.check_histories()
    soak.check_newest()
    soak.check_reports()
    assert soak.command("verify").endswith("Everything is sound.\n")
    soak.command("audit", "verify")
    for name, first, last in watch.growth(since, until):
        held = made * HELD_MB if name == "web" else 0.0
        assert last - held <= max(first * GROWTH, first + memory.LEAST_MB), name
    for name in ("worker", "deliveries", "web"):
        # None lives long: those that came later must need no more than those before. Some end
        # before they did anything, so a few of them tell nothing.
        largest = [mb for _, mb in sorted(watch.of_short_lived(name, since))]
        assert largest, name
        if len(largest) >= 6:
            half = len(largest) // 2
            assert max(largest[half:]) <= max(largest[:half]) * GROWTH, name
    before, after = (used - lasts for used, lasts in (soak.store_before, soak.store_after))
    assert after <= before + STORE_MB
    soak.server.stop()
