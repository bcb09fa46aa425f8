"""Whether the store takes writes, on each of its masters; asked often, and by anybody."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import redis
import structlog
from redis.cluster import ClusterNode, RedisCluster

from codepush.store import keys
from codepush.store.cluster import ClusterClient
from codepush.store.connection import StoreClient, impatient, is_full

log = structlog.get_logger(__name__)

AWAY = "the store does not answer."

_TIMEOUT_S = 1.0
"""Patience with one answer."""
_LONGEST_S = 2.0
"""Patience with all: the client of a cluster asks one after the other where the others are."""
_FRESH_S = 1.0
"""How long an answer is given again."""
_EXPIRY_S = 60
_MOST_TAGS = 4_096
"""Keys that are looked through for one on each master; a master that has none is not asked."""

_Write = Callable[[], None]


class Probe:
    """Writes a little, in the name of all who ask at about the same time."""

    def __init__(self, client: StoreClient):
        """Probe the store of ``client``, over connections of its own."""
        self._client = impatient(client, _TIMEOUT_S)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="probe")
        self._lock = threading.Lock()
        self._look_under_way: Future[tuple[str, ...]] | None = None
        self._told: tuple[str, ...] = ()
        self._fresh_until_s = 0.0

    def faults(self) -> tuple[str, ...]:
        """Return a sentence for each master that takes no writes, and why.

        Takes two seconds at most, also where every server of the store hangs.
        """
        with self._lock:
            look = self._look_under_way
            if look is None or (look.done() and time.monotonic() >= self._fresh_until_s):
                look = self._look_under_way = self._thread.submit(self._look)
        try:
            return look.result(_LONGEST_S)
        except TimeoutError:
            return (AWAY,)

    def _look(self) -> tuple[str, ...]:
        try:
            return self._seen()
        finally:
            self._fresh_until_s = time.monotonic() + _FRESH_S

    def _seen(self) -> tuple[str, ...]:
        failed = self._try()
        if failed and not any(isinstance(exc, redis.TimeoutError) for _, exc in failed):
            # A failover may have been a while ago: once more, with the masters as they are now.
            failed = self._try()
        causes = tuple(f"{who}: {exc}" for who, exc in failed)
        if causes and causes != self._told:
            log.warning("the store takes no changes", causes=causes)
        self._told = causes
        return tuple(f"{who} {_what(exc)}" for who, exc in failed)

    def _try(self) -> list[tuple[str, redis.RedisError]]:
        """Write on each master; return the name and the error of those that refused."""
        try:
            masters = self._masters()
        except redis.RedisError as exc:
            self._client.close()
            return [("the store", exc)]
        with ThreadPoolExecutor(len(masters)) as threads:
            errors = threads.map(_error_of, masters.values())
            failed = [
                (name, exc) for name, exc in zip(masters, errors, strict=True) if exc is not None
            ]
        if failed:
            self._client.close()
        return failed

    def _masters(self) -> dict[str, _Write]:
        """Return what writes on each master, by what people call it."""
        client: Any = self._client
        if not isinstance(client, ClusterClient):
            return {"the store": lambda: client.set(keys.health(0), "1", ex=_EXPIRY_S)}
        return client.patiently(_of_cluster)


def _of_cluster(client: RedisCluster) -> dict[str, _Write]:
    nodes = sorted(client.get_primaries(), key=lambda node: str(node.name))  # type: ignore[no-untyped-call]
    found: dict[str, str] = {}
    for key in map(keys.health, range(_MOST_TAGS)):
        found.setdefault(str(client.get_node_from_key(key).name), key)  # type: ignore[no-untyped-call]
        if len(found) == len(nodes):
            break

    def write(node: ClusterNode) -> None:
        # Not by the cluster's client, which would go on asking around.
        connection: redis.Redis = client.get_redis_connection(node)
        connection.set(found[str(node.name)], "1", ex=_EXPIRY_S)

    return {
        f"master {number} of the store's {len(nodes)}": lambda node=node: write(node)  # type: ignore[misc]
        for number, node in enumerate(nodes, 1)
        if str(node.name) in found
    }


def _error_of(write: _Write) -> redis.RedisError | None:
    try:
        write()
    except redis.RedisError as exc:
        return exc
    return None


def _what(exc: redis.RedisError) -> str:
    """Return what is told to anybody; addresses and the store's own words are in the log."""
    if is_full(exc):
        return "is full and takes no changes."
    if isinstance(exc, redis.ResponseError):
        return "takes no changes right now."
    return "does not answer."
