"""Metrics of a whole server: some web processes, and a worker."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from codepush.server import metrics
from codepush.server.embedded import EmbeddedStore
from codepush.store.queue import JobQueue
from tests.server.processes import ROOT, Processes, is_alive, wait_for
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
        LOG_LEVEL="info",
        QUOTA_ADDRESS_PER_HOUR="0",
    )
    yield running
    if running.process.poll() is None:
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


def test_the_port_asks_for_the_token(server: RealServer, metrics_port: int) -> None:
    url = f"http://127.0.0.1:{metrics_port}/metrics"
    for wrong in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN}):
        answer = requests.get(url, headers=wrong, timeout=10)
        assert answer.status_code == 401
        assert "codepush_" not in answer.text
    given = {"Authorization": f"bearer {TOKEN}"}
    assert "codepush_queue_up 1.0" in requests.get(url, headers=given, timeout=10).text


def test_the_port_is_open_where_there_is_no_token(processes: Processes, metrics_port: int) -> None:
    server = RealServer(processes, METRICS_PORT=str(metrics_port), WEB_CONCURRENCY="1")
    answer = requests.get(f"http://127.0.0.1:{metrics_port}/metrics", timeout=10)
    assert "codepush_queue_up 1.0" in answer.text
    assert server.get("/metrics").status_code == 404
    server.stop()


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


def folder_of(server: RealServer) -> Path | None:
    """Where the web processes keep their numbers."""
    for process in map(psutil.Process, pids(server)):
        for file in process.open_files():
            if "codepush-metrics-" in file.path:
                return Path(file.path).parent
    return None


def web_master(server: RealServer) -> psutil.Process:
    return min(map(psutil.Process, pids(server)), key=lambda each: each.create_time())


def test_a_stop_leaves_no_folder_of_numbers(server: RealServer) -> None:
    first = folder_of(server)
    assert first
    assert list(first.glob("*.db"))
    web_master(server).kill()
    wait_for(lambda: folder_of(server) not in {None, first}, "another web server")
    second = folder_of(server)
    assert second
    assert second.exists()
    server.stop()
    assert not first.exists()
    assert not second.exists()


def test_a_stop_leaves_none_of_a_web_server_that_had_to_be_killed(server: RealServer) -> None:
    folder = folder_of(server)
    assert folder
    web_master(server).suspend()
    server.process.terminate()
    wait_for(lambda: any("stopping web" in line for line in server.output), "the stop")
    time.sleep(1.0)  # sooner, it would be the same wish
    server.stop()  # in a hurry
    assert not folder.exists()


MASTER = """
import os, sys
from pathlib import Path
from codepush.server import metrics

metrics._MEMORY, data_dir = map(Path, sys.argv[1:])
metrics.prepare(data_dir)
folder = Path(os.environ[metrics.FOLDER])
(folder / "counter_1.db").touch()
metrics.prepare(data_dir)  # as at a reload
assert os.environ[metrics.FOLDER] == str(folder)
if os.fork():
    print(folder, flush=True)
    sys.stdin.read()
    os.wait()
else:  # a web process, which may outlive its master
    sys.stdin.read()
"""


class Master:
    """A process that has a folder, as gunicorn's master, and one that it forked."""

    def __init__(self, memory: Path, data_dir: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", MASTER, str(memory), str(data_dir)],
            env={"PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout
        self.folder = Path(self._process.stdout.readline().strip())
        self.forked = psutil.Process(self._process.pid).children()[0]

    def kill(self) -> None:
        """Kill it; what it forked goes on."""
        self._process.kill()
        self._process.wait()

    def kill_forked(self) -> None:
        self.forked.kill()
        self._process.communicate()
        wait_for(lambda: not is_alive(self.forked), "the end of what it forked")

    def end(self) -> None:
        self._process.communicate()
        assert self._process.returncode == 0
        wait_for(lambda: not is_alive(self.forked), "the end of what it forked")


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    path = tmp_path / "shm"
    path.mkdir()
    return path


def test_each_master_has_a_folder_of_its_own_in_memory(memory: Path, tmp_path: Path) -> None:
    """Of two over one data folder, as while one takes over from the other."""
    first = Master(memory, tmp_path / "var")
    second = Master(memory, tmp_path / "var")
    assert first.folder.parent == second.folder.parent == memory
    assert first.folder != second.folder
    assert first.folder.stat().st_mode & 0o777 == 0o700
    assert (first.folder / "counter_1.db").exists(), "the second left it alone"
    second.end()
    assert list(memory.iterdir()) == [first.folder]
    assert (first.folder / "counter_1.db").exists()
    first.end()
    assert list(memory.iterdir()) == []


def test_the_folder_of_a_killed_master_goes_with_its_last_process(
    memory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "_MEMORY", memory)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (memory / f"{metrics._PREFIX}link").symlink_to(elsewhere)  # somebody else's trap
    killed = Master(memory, tmp_path / "var")
    killed.kill()
    metrics.clear(tmp_path / "var")
    assert (killed.folder / "counter_1.db").exists(), "a web process still writes there"
    killed.kill_forked()
    metrics.clear(tmp_path / "var")
    assert not killed.folder.exists()
    assert elsewhere.exists()


def test_where_there_is_no_memory_it_is_in_the_data_folder(tmp_path: Path) -> None:
    master = Master(tmp_path / "none", tmp_path / "var")
    assert master.folder.parent == tmp_path / "var" / "metrics"
    master.kill()
    master.kill_forked()
    another = Master(tmp_path / "none", tmp_path / "var")
    assert list((tmp_path / "var" / "metrics").iterdir()) == [another.folder]
    another.end()
    assert list((tmp_path / "var" / "metrics").iterdir()) == []
