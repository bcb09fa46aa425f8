"""Metrics of a whole server: some web processes, and a worker."""

import socket
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from codepush.server import metrics
from codepush.server.embedded import EmbeddedStore
from codepush.store.queue import JobQueue
from tests.server.processes import Processes, wait_for
from tests.server.real import RealServer, cmdline

TOKEN = "a-token-of-the-tests"


@pytest.fixture
def metrics_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def server(processes: Processes, metrics_port: int) -> Iterator[RealServer]:
    running = RealServer(
        processes,
        WEB_CONCURRENCY="2",
        METRICS_TOKEN=TOKEN,
        METRICS_PORT=str(metrics_port),
        QUOTA_ADDRESS_PER_HOUR="0",
    )
    yield running
    running.stop()


def read(url: str) -> dict[tuple[str, ...], float]:
    response = requests.get(url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=10)
    response.raise_for_status()
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


def test_numbers_of_all_processes_add_up_and_outlive_them(
    server: RealServer, metrics_port: int
) -> None:
    name = ("codepush_request_seconds_count", "GET", "/apps", "4xx")
    url, port = f"{server.url}/metrics", f"http://127.0.0.1:{metrics_port}/metrics"
    for _ in range(40):
        requests.get(f"{server.url}/apps", timeout=10)  # each a connection of its own
    wait_for(lambda: read(url)[name] == read(port)[name] == 40, "both tell all requests")
    web = server.one_of("codepush.server.web")
    assert web
    # Of a web process only: those that do jobs come and go.
    masters = pids(server)
    children = [each for each in map(psutil.Process, masters) if each.ppid() in masters]
    assert children
    victim = children[0]
    victim.kill()
    wait_for(lambda: read(url)[name] == 40, "what a killed process counted stays")
    checks = ("codepush_update_checks_total", "unknown key")
    query = f"deploymentKey={'k' * 30}&appVersion=1.0.0"
    for _ in range(10):
        requests.get(f"{server.url}/updateCheck?{query}", timeout=10)
    wait_for(lambda: read(port).get(checks) == 10, "what is counted in memory is published")


def pids(server: RealServer) -> set[int]:
    return {
        each.pid for each in server.everything() if "codepush.server.web" in " ".join(cmdline(each))
    }


def test_jobs_are_counted_and_the_worker_is_heard(server: RealServer) -> None:
    url = f"{server.url}/metrics"
    before = read(url)
    queue = JobQueue(EmbeddedStore(server.data_dir).url)
    assert queue.enqueue("low", "codepush.jobs.housekeeping.keep_audit")
    assert queue.enqueue("low", "codepush.jobs.housekeeping.no_such_job")
    for outcome in ("succeeded", "failed"):
        name = ("codepush_jobs_total", outcome)
        wait_for(lambda n=name: read(url).get(n, 0) > before.get(n, 0), f"a job that {outcome}")
    found = read(url)
    assert found[("codepush_queue_depth", "low")] == 0
    assert found[("codepush_worker_heartbeat_age_seconds",)] < 60


def test_readiness_names_each_part_that_is_away(server: RealServer) -> None:
    ready = f"{server.url}/health/ready"
    wait_for(lambda: requests.get(ready, timeout=10).text == "Ready", "worker, store and storage")
    blobs = server.data_dir / "blobs"
    blobs.rename(server.data_dir / "elsewhere")
    blobs.touch()
    answer = requests.get(ready, timeout=10)
    assert answer.status_code == 200
    assert answer.text.startswith("Degraded: ")
    assert requests.get(f"{server.url}/health/live", timeout=10).text == "Alive"
    blobs.unlink()
    (server.data_dir / "elsewhere").rename(blobs)
    wait_for(lambda: requests.get(ready, timeout=10).text == "Ready", "all is well again")


def test_metrics_are_in_memory_and_of_one_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = tmp_path / "shm"
    memory.mkdir()
    monkeypatch.setattr(metrics, "_MEMORY", memory)
    here = metrics.place(tmp_path / "a")
    assert here.parent == memory
    assert here.stat().st_mode & 0o777 == 0o700
    assert metrics.place(tmp_path / "a") == here
    assert metrics.place(tmp_path / "b") != here
    here.rmdir()
    here.symlink_to(tmp_path)
    assert metrics.place(tmp_path / "a") == tmp_path / "a" / "metrics", "somebody else made it"
    monkeypatch.setattr(metrics, "_MEMORY", tmp_path / "none")
    assert metrics.place(tmp_path / "a") == tmp_path / "a" / "metrics"
