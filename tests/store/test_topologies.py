"""Stores of every kind that a URL can name: TLS, sentinels, clusters; and what a failover costs."""

import gc
import json
import os
import subprocess
import sys
import threading
import time
import urllib.request
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import redis
import rq

from codepush.app import create_app
from codepush.domain.ids import AppId, OrganizationId, UserId
from codepush.domain.permissions import Role
from codepush.settings import Settings, load_settings
from codepush.store.connection import STORE_ERRORS, StoreClient, connect, connect_queue
from codepush.store.stores import open_stores
from tests.api_client import Account, ApiClient, bundle
from tests.certificates import Certificates
from tests.needed import lacking
from tests.redis_servers import REDIS, Cluster, RedisServer, Sentinels, free_ports, wait_for

USER = UserId("u")
SLOTS = 30
ROOT = Path(__file__).parents[2]


def use(client: StoreClient) -> None:
    """A command, a script, a transaction and a batch, all over the slots."""
    stores = open_stores(client)
    ids = [OrganizationId(f"o{number}") for number in range(SLOTS)]
    for each in ids:
        stores.organizations.set_role(each, USER, Role.OWNER)
        assert stores.organizations.claim_name(f"name {each}", each)
        assert stores.organizations.standing(each, USER) == (Role.OWNER, None)
    assert stores.apps.get_many(AppId(f"a{number}") for number in range(SLOTS)) == {}
    assert len(list(client.scan_iter("cp:1:{o:o[0-9]*}:members"))) == SLOTS


def serve(settings: Settings, url: str) -> None:
    """An app over the store, with its quotas in it: release, ask, report."""
    settings = replace(settings, redis_url=url, quota_redis_url="", quota_user_per_hour=100)
    app = create_app(settings)
    account = Account.create(app.extensions["codepush"], "alice@example.com")
    api = ApiClient(app.test_client(), account)
    api.add_app()
    api.release(bundle())
    key = api.key()
    assert api.check(key)["label"] == "v1"
    api.report("download", key, label="v1", client_unique_id="d")
    assert api.metrics()["v1"]["downloaded"] == 1
    answer = api.call("GET", "/apps/", expect=200)
    assert answer.headers["X-RateLimit-Remaining"] == "95"


def certificates(tmp_path: Path) -> tuple[Certificates, tuple[str, ...], str]:
    """Return them, a server's options, and a URL's."""
    if not REDIS:
        lacking("redis-server, which speaks TLS, is not installed")
    made = Certificates.make(tmp_path)
    files = ("--tls-cert-file", str(made.certificate), "--tls-key-file", str(made.key))
    options = (*files, "--tls-ca-cert-file", str(made.authority))
    query = f"?ssl_ca_certs={made.authority}&ssl_certfile={made.certificate}&ssl_keyfile={made.key}"
    return made, options, query


@pytest.fixture
def tls(tmp_path: Path) -> Iterator[tuple[RedisServer, str, Certificates]]:
    made, options, query = certificates(tmp_path)
    (port,) = free_ports(1)
    server = RedisServer(
        tmp_path / "redis", "--tls-port", str(port), *options, port=port, binary=REDIS
    )
    try:
        yield server.start(), query, made
    finally:
        server.kill()


def test_a_store_behind_tls_with_client_certificates(
    settings: Settings, tls: tuple[RedisServer, str, Certificates]
) -> None:
    server, query, _ = tls
    url = f"rediss://127.0.0.1:{server.port}/0{query}"
    use(connect(url))
    serve(settings, url)
    with connect_queue(url) as client:
        rq.Queue(connection=client).enqueue("tests.fakes.jobs.note", "a")
        assert client.llen("rq:queue:default") == 1


@pytest.mark.parametrize("parts", ["", "?ssl_ca_certs={authority}"])
def test_a_certificate_of_an_unknown_authority_or_none_of_ours_is_an_outage(
    tls: tuple[RedisServer, str, Certificates], parts: str
) -> None:
    server, _, made = tls
    query = parts.format(authority=made.authority)
    client = connect(f"rediss://127.0.0.1:{server.port}/0{query}")
    with pytest.raises(STORE_ERRORS):
        client.ping()
    client.close()
    with warnings.catch_warnings():
        # redis-py leaves the socket of a failed handshake to the garbage collector.
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture
def self_signed(tmp_path: Path) -> Iterator[str]:
    """A server as some platforms have it: nobody signed its certificate, nor asks for ours."""
    _, options, _ = certificates(tmp_path)
    (port,) = free_ports(1)
    more = ("--tls-port", str(port), "--tls-auth-clients", "no")
    server = RedisServer(tmp_path / "redis", *more, *options, port=port, binary=REDIS)
    try:
        server.start()
        yield f"rediss://127.0.0.1:{port}"
    finally:
        server.kill()


def test_a_certificate_that_nobody_signed_is_taken_by_choice(
    settings: Settings, self_signed: str
) -> None:
    off = load_settings({"REDIS_URL": self_signed, "REDIS_TLS_VERIFY": "0"})
    use(connect(off.redis_url))
    serve(settings, off.redis_url)
    with connect_queue(off.effective_queue_url) as client:
        assert client.ping()


def test_what_a_paas_is_told_starts_over_its_redis(self_signed: str, tmp_path: Path) -> None:
    """The lines of ``Procfile`` with the environment of ``app.json``."""
    lines = dict(
        line.split(": ", 1) for line in (ROOT / "Procfile").read_text("utf-8").splitlines()
    )
    env = json.loads((ROOT / "app.json").read_text("utf-8"))["env"]
    given = {name: each.get("value") or "s" * 40 for name, each in env.items()}
    (port,) = free_ports(1)
    given |= {"PUBLIC_URL": "https://cp.example.com", "STORAGE_URL": f"local://{tmp_path}/blobs"}
    given |= {"REDIS_URL": self_signed, "DATA_DIR": str(tmp_path / "var"), "PORT": str(port)}
    assert load_settings(given).registration == "invited"
    given["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

    def start(line: str, **changes: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            line.split(),
            cwd=ROOT,
            env=given | changes,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    for line in lines.values():
        refused = start(line, REDIS_TLS_VERIFY="1")
        assert "REDIS_TLS_VERIFY=0 takes any certificate" in refused.communicate(timeout=60)[1]
        assert refused.returncode
    released = start(lines.pop("release"))
    assert (released.communicate(timeout=60)[1], released.returncode) == ("", 0)
    running = [start(line) for line in lines.values()]
    logs = [threading.Thread(target=each.communicate, daemon=True) for each in running]
    for log in logs:
        log.start()
    try:
        wait_for(lambda: is_ready(port), "the server is ready", 60)
    finally:
        for each in running:
            each.terminate()
        for log in logs:
            log.join(60)
    assert [each.returncode for each in running] == [0, 0]


def is_ready(port: int) -> bool:
    """Whether a server answers, and store, storage and worker are all well."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=5) as answer:
            return bool(answer.read() == b"Ready")
    except OSError:
        return False


def test_a_cluster_behind_tls(settings: Settings, tmp_path: Path) -> None:
    _, options, query = certificates(tmp_path)
    cluster = Cluster(tmp_path, tls=options)
    try:
        url = f"rediss+cluster://127.0.0.1:{cluster.start().masters[0].port}{query}"
        use(connect(url))
        serve(settings, url)
    finally:
        cluster.kill()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path, replicas=1, timeout_ms=3_000)
    try:
        yield cluster.start()
    finally:
        cluster.kill()


@pytest.fixture
def sentinels(tmp_path: Path) -> Iterator[Sentinels]:
    sentinels = Sentinels(tmp_path)
    try:
        yield sentinels.start()
    finally:
        sentinels.kill()


def test_a_cluster_of_three_serves_and_gets_over_the_loss_of_a_master(
    settings: Settings, cluster: Cluster
) -> None:
    client = connect(cluster.url)
    use(client)
    serve(settings, cluster.url)
    stores = open_stores(client)
    ids = [OrganizationId(f"late{number}") for number in range(SLOTS)]
    for each in ids:
        stores.organizations.set_role(each, USER, Role.OWNER)
    for master in cluster.masters:
        assert master.ask("WAIT", 1, 10_000) == 1

    cluster.masters[1].kill()

    def is_whole_again() -> bool:
        try:
            for each in ids:
                stores.organizations.set_role(each, UserId("later"), Role.DEVELOPER)
        except STORE_ERRORS:
            return False
        return True

    wait_for(is_whole_again, "a replica takes over", 90)
    for each in ids:
        held = {USER: Role.OWNER, UserId("later"): Role.DEVELOPER}
        assert stores.organizations.members(each) == held
    # A new client finds the cluster although the first node that its URL names may be the dead one.
    use(connect(f"redis+cluster://127.0.0.1:{cluster.masters[1].port},{_place(cluster, 0)}"))


def test_sentinels_name_the_master_also_after_the_first_one_died(
    settings: Settings, sentinels: Sentinels
) -> None:
    client = connect(sentinels.url)
    use(client)
    serve(settings, sentinels.url)
    with connect_queue(sentinels.url) as queue:
        rq.Queue(connection=queue).enqueue("tests.fakes.jobs.note", "a")
    assert sentinels.master.ask("WAIT", 1, 10_000) == 1
    written = set(client.scan_iter("*"))

    sentinels.master.kill()

    def is_taken_over() -> bool:
        try:
            return bool(client.sadd("later", "a") in {0, 1})
        except STORE_ERRORS:
            return False

    wait_for(is_taken_over, "the replica takes over", 90)
    assert "'role': 'master'" in str(sentinels.replica.ask("INFO", "replication"))
    assert set(client.scan_iter("*")) == written | {"later"}
    with connect_queue(sentinels.url) as queue:
        assert queue.llen("rq:queue:default") == 1


def test_nodes_that_restart_within_a_moment_are_not_noticed(cluster: Cluster) -> None:
    client = connect(cluster.url)
    use(client)
    for node in cluster.nodes:  # else a replica might take over in between
        node.ask("CONFIG", "SET", "cluster-replica-no-failover", "yes")
    master = cluster.masters[2]
    master.ask("CLUSTER", "SAVECONFIG")
    master.kill()
    threading.Timer(0.3, master.start).start()
    began = time.monotonic()
    use(client)
    assert time.monotonic() - began < 60


def test_a_cluster_that_is_away_is_an_outage_and_is_found_again(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    client = connect(f"redis+cluster://127.0.0.1:{port}")
    open_stores(client)  # nothing is asked yet
    with pytest.raises(redis.ConnectionError, match="the cluster does not answer"):
        client.ping()
    pipe = client.pipeline(transaction=False)
    with pytest.raises(redis.ConnectionError):
        pipe.hgetall("a").execute()


def _place(cluster: Cluster, number: int) -> str:
    return f"127.0.0.1:{cluster.masters[number].port}"
