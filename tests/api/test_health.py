"""What ``/health`` and ``/health/ready`` say of a store, away, full or hung, and of workers."""

import signal
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import rq
from flask.testing import FlaskClient

from codepush.api.health import WORKER_SILENT_S
from codepush.app import create_app
from codepush.settings import Settings
from codepush.store import keys
from codepush.store.connection import connect, connect_queue
from codepush.store.queue import DELIVERIES
from tests.redis_servers import Cluster, RedisServer, wait_for

FULL = "is full and takes no changes."
AWAY = "does not answer."
NO_WORKER = "Degraded: no worker is there. Background work waits; start `codepush worker`."


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path / "redis", "--maxmemory-policy", "noeviction")
    try:
        yield server.start()
    finally:
        server.kill()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path / "cluster")
    try:
        yield cluster.start()
    finally:
        cluster.kill()


def asking(settings: Settings, url: str) -> FlaskClient:
    return create_app(replace(settings, redis_url=url)).test_client()


def is_well(http: FlaskClient) -> bool:
    answer = http.get("/health")
    ready = http.get("/health/ready")
    assert ready.status_code == 200
    return answer.status_code == 200 and answer.text == "Healthy" and "store" not in ready.text


def said(http: FlaskClient, ending: str) -> set[str]:
    """Return what both say of the store, once it ends as given."""

    def unhealthy() -> list[str]:
        return [line for line in http.get("/health").text.splitlines() if line.endswith(ending)]

    wait_for(unhealthy, ending)
    faults = {line.removeprefix("Unhealthy: ") for line in unhealthy()}
    assert http.get("/health").status_code == 503
    ready = http.get("/health/ready")
    assert ready.status_code == 200
    assert faults <= {line.removeprefix("Degraded: ") for line in ready.text.splitlines()}
    return faults


def test_a_full_store(settings: Settings, server: RedisServer) -> None:
    http = asking(settings, server.url)
    wait_for(lambda: is_well(http), "health")
    server.ask("CONFIG", "SET", "maxmemory", "1mb")
    assert said(http, FULL) == {f"the store {FULL}"}
    server.ask("CONFIG", "SET", "maxmemory", "0")
    wait_for(lambda: is_well(http), "health")
    written = list(connect(server.url).scan_iter("*health*"))
    assert written == [keys.health(0)]
    assert not keys.is_lasting(written[0])
    assert 0 < int(str(server.ask("TTL", written[0]))) <= 60


def test_a_store_that_refuses_otherwise(settings: Settings, server: RedisServer) -> None:
    http = asking(settings, server.url)
    server.ask("CONFIG", "SET", "min-replicas-to-write", "1")
    assert said(http, "takes no changes right now.") == {"the store takes no changes right now."}
    server.ask("CONFIG", "SET", "min-replicas-to-write", "0")
    wait_for(lambda: is_well(http), "health")


def test_a_store_that_hangs_and_one_that_is_gone(settings: Settings, server: RedisServer) -> None:
    http = asking(settings, server.url)
    wait_for(lambda: is_well(http), "health")
    assert server.process
    server.process.send_signal(signal.SIGSTOP)
    wait_for(lambda: http.get("/health").text == f"Unhealthy: the store {AWAY}", "a fault")
    assert http.get("/health/ready").text.startswith(f"Degraded: the store {AWAY}")
    server.process.send_signal(signal.SIGCONT)
    wait_for(lambda: is_well(http), "health")
    server.kill()
    wait_for(lambda: http.get("/health").text == f"Unhealthy: the store {AWAY}", "a fault")
    server.start()
    wait_for(lambda: is_well(http), "health")


def test_each_master_of_a_cluster(settings: Settings, cluster: Cluster) -> None:
    http = asking(settings, cluster.url)
    wait_for(lambda: is_well(http), "health")
    places = [node.port for node in sorted(cluster.masters, key=lambda each: str(each.port))]
    for node in cluster.masters:
        name = f"master {places.index(node.port) + 1} of the store's 3"
        node.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")
        node.ask("CONFIG", "SET", "maxmemory", "1mb")
        assert said(http, FULL) == {f"{name} {FULL}"}
        node.ask("CONFIG", "SET", "maxmemory", "0")
        wait_for(lambda: is_well(http), "health")
    for node in cluster.masters:
        name = f"master {places.index(node.port) + 1} of the store's 3"
        assert node.process
        node.process.send_signal(signal.SIGSTOP)
        assert said(http, AWAY) >= {f"{name} {AWAY}"}
        node.process.send_signal(signal.SIGCONT)
        wait_for(lambda: is_well(http), "health")
    cluster.masters[1].kill()
    assert f"master {places.index(cluster.masters[1].port) + 1} of the store's 3 {AWAY}" in said(
        http, AWAY
    )
    cluster.masters[0].kill()
    cluster.masters[2].kill()
    wait_for(lambda: f"Unhealthy: the store {AWAY}" in http.get("/health").text, "a dead cluster")


def test_readiness_tells_of_workers_that_are_missing_or_silent(
    http: FlaskClient, settings: Settings
) -> None:
    """As rq has them in its Redis: there must be one for deliveries, and one for all else."""

    def heard(ago_s: float, worker: rq.Worker) -> None:
        at = datetime.now(UTC) - timedelta(seconds=ago_s)
        queue.hset(worker.key, "last_heartbeat", f"{at:%Y-%m-%dT%H:%M:%S.%fZ}")

    def ready() -> str:
        answer = http.get("/health/ready")
        assert answer.status_code == 200, "devices are answered without"
        return answer.text

    assert ready() == NO_WORKER
    with connect_queue(
        http.application.extensions["codepush.settings"].effective_queue_url
    ) as queue:
        workers = [rq.Worker([name], connection=queue) for name in ("low", DELIVERIES)]
        try:
            workers[0].register_birth()
            assert ready() == NO_WORKER, "nobody delivers"
            workers[1].register_birth()
            assert ready() == "Ready"
            for worker in workers:
                heard(2 * WORKER_SILENT_S, worker)
                assert ready() == NO_WORKER, "it was heard two minutes ago"
                heard(WORKER_SILENT_S / 2, worker)
                assert ready() == "Ready"
        finally:
            for worker in workers:
                worker.register_death()
    assert ready() == NO_WORKER
