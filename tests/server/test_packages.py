"""Smaller packages and diffs of a real server: its worker makes them, also after a kill."""

import hashlib
import json
import os
import signal
from collections.abc import Callable
from typing import Any

import psutil
import pytest
import requests

from codepush.domain.ids import PackageHash
from codepush.server.embedded import EmbeddedStore
from codepush.store.connection import connect_queue
from tests.api_client import make_zip
from tests.archive.native_client import hash_of
from tests.server.processes import Processes, wait_for
from tests.server.real import RealServer, cmdline
from tests.services.line import tree

PATIENCE_S = 60


@pytest.fixture
def server(processes: Processes) -> Any:
    running = RealServer(processes, WEB_CONCURRENCY="1")
    running.add_app("App")
    yield running
    running.stop()


def release(server: RealServer, text: str) -> dict[str, Any]:
    files = {"package": ("p.zip", make_zip(tree(text)))}
    answer = requests.post(
        f"{server.url}/apps/App/deployments/Staging/release",
        files=files,
        data={"packageInfo": json.dumps({"appVersion": "1.0.0"})},
        headers=server.headers,
        timeout=30,
    )
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()["package"]
    return made


def newest(server: RealServer) -> dict[str, Any]:
    url = f"{server.url}/apps/App/deployments/Staging"
    found = requests.get(url, headers=server.headers, timeout=30).json()
    package: dict[str, Any] = found["deployment"]["package"]
    return package


def has_diff_from(server: RealServer, base: PackageHash) -> Callable[[], bool]:
    return lambda: base in newest(server).get("diffPackageMap", {})


def worker_of(server: RealServer) -> psutil.Process:
    """The worker itself, and not the child that does a job; waits where it is being started."""

    def workers() -> list[psutil.Process]:
        found = [each for each in server.everything() if "codepush.server.worker" in cmdline(each)]
        pids = {each.pid for each in found}
        return [each for each in found if each.ppid() not in pids]

    wait_for(workers, "a worker", PATIENCE_S)
    return workers()[0]


def test_served_packages_shrink_and_diffs_appear(server: RealServer, processes: Processes) -> None:
    first = release(server, "1")
    uploaded = release(server, "2")
    assert first["size"] == len(make_zip(tree("1")))
    wait_for(has_diff_from(server, hash_of(tree("1"))), "a diff", PATIENCE_S)
    made = newest(server)
    assert made["size"] < uploaded["size"]
    assert made["packageHash"] == uploaded["packageHash"]
    for url, size in [
        (made["blobUrl"], made["size"]),
        *((each["url"], each["size"]) for each in made["diffPackageMap"].values()),
    ]:
        body = requests.get(url, timeout=30).content
        assert len(body) == size
        assert hashlib.sha256(body).hexdigest() == url.rpartition("/")[2]
    collection = processes.python("-P", "-m", "codepush", "storage", "gc")
    output, errors = collection.communicate(timeout=60)
    waiting = "2 without use wait for their grace period"  # as they were uploaded
    assert output == f"0 packages deleted (0.0 MB), {waiting}.\n", errors
    assert requests.get(first["blobUrl"], timeout=30).status_code == 200


def test_a_killed_worker_loses_nothing(server: RealServer) -> None:
    release(server, "1")
    for number in range(2, 5):
        release(server, str(number))
        worker_of(server).send_signal(signal.SIGKILL)
    wait_for(has_diff_from(server, hash_of(tree("3"))), "a diff", 150)


def test_a_lost_queue_is_rebuilt(server: RealServer, processes: Processes) -> None:
    worker = worker_of(server)
    os.kill(worker.pid, signal.SIGSTOP)
    try:
        release(server, "1")
        release(server, "2")
        with connect_queue(EmbeddedStore(processes.data_dir).url) as client:
            for key in client.scan_iter("rq:queue:*"):
                client.delete(key)
    finally:
        os.kill(worker.pid, signal.SIGCONT)
    repair = processes.python("-P", "-m", "codepush", "repair")
    output, errors = repair.communicate(timeout=60)
    # The worker may have had the first one in its hands when it was stopped.
    assert output in {"2 jobs enqueued.\n", "1 job enqueued.\n"}, errors
    wait_for(has_diff_from(server, hash_of(tree("1"))), "a diff", PATIENCE_S)


def test_releasing_works_while_no_worker_does(server: RealServer) -> None:
    worker = worker_of(server)
    os.kill(worker.pid, signal.SIGSTOP)
    try:
        made = release(server, "1")
        assert newest(server)["blobUrl"] == made["blobUrl"]
    finally:
        os.kill(worker.pid, signal.SIGCONT)
    wait_for(lambda: newest(server)["size"] < made["size"], "a smaller package", PATIENCE_S)
