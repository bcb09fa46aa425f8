"""How the server reaches Redis, and what it does while Redis is away."""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import Any, Protocol, cast

import redis
from redis.backoff import ExponentialWithJitterBackoff, NoBackoff
from redis.connection import SSLConnection, parse_url
from redis.exceptions import AskError, ClusterError, TryAgainError
from redis.retry import Retry
from redis.sentinel import MasterNotFoundError, Sentinel, SentinelConnectionPool

from codepush.domain.store_urls import StoreUrl, Topology, parse_store_url
from codepush.store.cluster import PASSING, ClusterClient
from codepush.store.written import NotingClient

STORE_ERRORS = (redis.RedisError,)
"""What a store may raise."""

_REFUSALS = ("MISCONF", "NOREPLICAS", "UNKILLABLE", "BUSY")
_UNWILLING = (
    redis.OutOfMemoryError,
    redis.ReadOnlyError,
    # Of a cluster whose nodes fail, or that moves slots to and fro.
    ClusterError,
    AskError,
    TryAgainError,
)


def is_outage(exc: Exception) -> bool:
    """Return whether Redis was unreachable, full or unwilling, rather than asked for nonsense."""
    if isinstance(exc, redis.ResponseError):
        return isinstance(exc, _UNWILLING) or str(exc).startswith(_REFUSALS)
    return isinstance(exc, redis.RedisError)


def is_full(exc: BaseException | None) -> bool:
    """Return whether Redis had no memory left for a change.

    The command or script that raised it did nothing; what came before it is ``written``.
    """
    return isinstance(exc, redis.OutOfMemoryError)


def cause(exc: Exception) -> str:
    """Return why Redis failed, for operators; redis-py's own words where they can be read."""
    if isinstance(exc, AskError):  # and MovedError, which is one
        return "it is a node of a cluster, whose URL begins with redis+cluster:// (rediss for TLS)"
    if isinstance(exc, MasterNotFoundError):  # its text is all of the client
        return "no sentinel answered, or none knows a master by the URL's SERVICE"
    if is_full(exc):  # its text is of scripts and their lines
        return "it is full and takes no changes"
    return str(exc)


_RETRIES = 8
_CLUSTER_RETRIES = 14
"""A node that restarts takes no writes for another two seconds."""
_FIRST_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 0.5
_TIMEOUT_S = 10.0
"""Patience with one answer: an fsync on a slow disk may take seconds."""

_CONNECT_TIMEOUT_S = 5.0
_QUOTA_TIMEOUT_S = 1.0
_SENTINEL_TIMEOUT_S = 1.0


StreamRows = list[tuple[str, dict[str, str]]]
"""Entries of a stream: id and fields."""


class StoreClient(Protocol):
    """The commands that stores use, answering in text; a cluster's client has them too."""

    def get(self, name: str) -> str | None: ...  # noqa: D102 - Redis documents its commands
    def set(  # noqa: D102
        self, name: str, value: str, *, ex: int | None = None, nx: bool = False
    ) -> Any: ...
    def delete(self, *names: str) -> int: ...  # noqa: D102
    def hget(self, name: str, key: str) -> str | None: ...  # noqa: D102
    def hmget(self, name: str, keys: list[str]) -> list[str | None]: ...  # noqa: D102
    def hgetall(self, name: str) -> dict[str, str]: ...  # noqa: D102
    def hset(self, name: str, key: str, value: str) -> int: ...  # noqa: D102
    def hdel(self, name: str, *keys: str) -> int: ...  # noqa: D102
    def sadd(self, name: str, *values: str) -> int: ...  # noqa: D102
    def srem(self, name: str, *values: str) -> int: ...  # noqa: D102
    def sismember(self, name: str, value: str) -> int: ...  # noqa: D102
    def smembers(self, name: str) -> AbstractSet[str]: ...  # noqa: D102
    def xadd(self, name: str, fields: dict[str, str]) -> str: ...  # noqa: D102
    def xrange(self, name: str, min: str, max: str, count: int) -> StreamRows: ...  # noqa: A002, D102
    def xrevrange(self, name: str, max: str, min: str, count: int) -> StreamRows: ...  # noqa: A002, D102
    def xtrim(  # noqa: D102
        self, name: str, maxlen: int | None = None, *, approximate: bool, minid: str | None = None
    ) -> int: ...
    def zadd(self, name: str, mapping: dict[str, float], **options: bool) -> int: ...  # noqa: D102
    def zcount(self, name: str, min: str | float, max: str | float) -> int: ...  # noqa: A002, D102
    def zrange(self, name: str, start: int, end: int, desc: bool = False) -> list[str]: ...  # noqa: D102
    def zrangebyscore(  # noqa: D102
        self,
        name: str,
        min: str | float,  # noqa: A002
        max: str | float,  # noqa: A002
        start: int | None = None,
        num: int | None = None,
    ) -> list[str]: ...
    def zrevrank(self, name: str, value: str) -> int | None: ...  # noqa: D102
    def zscore(self, name: str, value: str) -> float | None: ...  # noqa: D102
    def zrem(self, name: str, *values: str) -> int: ...  # noqa: D102
    def scan_iter(self, match: str, count: int = 1_000) -> Iterator[str]: ...  # noqa: D102
    def ping(self) -> bool: ...  # noqa: D102
    def pipeline(self, transaction: bool = True) -> Any: ...  # noqa: D102
    def pubsub(self) -> Any: ...  # noqa: D102
    def close(self) -> None: ...  # noqa: D102
    def register_script(self, script: str) -> Any: ...  # noqa: D102


def connect(url: str, *, any_bytes: bool = False) -> StoreClient:
    """Return a client that speaks text and rides out a restart of the store.

    A command whose connection broke is sent again, for about two seconds in all, and five with a
    cluster; so every command and script in ``store/`` gives the same result when it runs twice.
    Nothing is connected before the first command.

    Args:
        url: As ``parse_store_url`` takes it.
        any_bytes: Take what is no UTF-8 for text too, and give it back as it was.
    """
    return _client(
        url,
        _patience(url),
        decode_responses=True,
        encoding_errors="surrogateescape" if any_bytes else "strict",
        socket_timeout=_TIMEOUT_S,
    )


def connect_queue(url: str, timeout_s: float | None = None) -> redis.Redis:
    """Return a client for RQ, which wants bytes, no cluster, and long blocking calls in a worker.

    Args:
        url: As for ``connect``.
        timeout_s: Patience with one answer; None for no limit.
    """
    return cast(redis.Redis, _client(url, _patience(url), socket_timeout=timeout_s))


def connect_quota(url: str) -> StoreClient:
    """Return a client for counting requests, which is not worth waiting for.

    A command is sent once more where its connection turns out to be broken, but not after a
    timeout: a request may be counted twice, which does no harm.
    """
    once = Retry(NoBackoff(), 1, supported_errors=PASSING)
    return _client(url, once, socket_timeout=_QUOTA_TIMEOUT_S, connect_s=_QUOTA_TIMEOUT_S)


def impatient(client: StoreClient, timeout_s: float) -> StoreClient:
    """Return another client of the same store, which tries nothing again by itself.

    Args:
        client: Of the store.
        timeout_s: Patience with one answer.
    """
    changes = {
        "retry": Retry(NoBackoff(), 0),
        "socket_timeout": timeout_s,
        "socket_connect_timeout": timeout_s,
    }
    if isinstance(client, ClusterClient):
        patience = changes.pop("retry")
        return cast(StoreClient, client.sibling(cast(Retry, patience), changes))
    pool = cast(redis.Redis, client).connection_pool
    options = pool.connection_kwargs | changes | {"connection_class": pool.connection_class}
    if isinstance(pool, SentinelConnectionPool):
        del options["connection_pool"]
        return cast(StoreClient, pool.sentinel_manager.master_for(pool.service_name, **options))
    return cast(StoreClient, redis.Redis(connection_pool=redis.ConnectionPool(**options)))


def server_of(client: StoreClient, key: str | bytes) -> redis.Redis:
    """Return a client of the one server that holds a key, for what a cluster's client cannot do."""
    if not isinstance(client, ClusterClient):
        return cast(redis.Redis, client)
    return client.patiently(
        lambda cluster: cluster.get_redis_connection(cluster.get_node_from_key(key))  # type: ignore[no-untyped-call]
    )


def _patience(url: str) -> Retry:
    is_cluster = parse_store_url(url).topology is Topology.CLUSTER
    backoff = ExponentialWithJitterBackoff(base=_FIRST_PAUSE_S, cap=_LONGEST_PAUSE_S)
    # Not after a timeout: a store that hangs would be asked again and again.
    tries = _CLUSTER_RETRIES if is_cluster else _RETRIES
    return Retry(backoff, tries, supported_errors=PASSING)


def _client(
    url: str, patience: Retry, *, connect_s: float = _CONNECT_TIMEOUT_S, **options: Any
) -> StoreClient:
    parsed = parse_store_url(url)
    options["socket_connect_timeout"] = connect_s
    if parsed.topology is Topology.CLUSTER:
        return cast(StoreClient, ClusterClient(parsed, patience, options))
    options["retry"] = patience
    if parsed.topology is Topology.SENTINEL:
        return cast(StoreClient, _through_sentinels(parsed, options))
    return cast(StoreClient, NotingClient.from_url(parsed.server, **options))


def _through_sentinels(url: StoreUrl, options: dict[str, Any]) -> redis.Redis:
    """Return a client of the server that the sentinels call master, whichever that is."""
    said: dict[str, Any] = parse_url(url.server)  # type: ignore[no-untyped-call]
    uses_tls = said.pop("connection_class", None) is SSLConnection
    for name in ("host", "port"):
        del said[name]
    shared = {name: value for name, value in said.items() if name.startswith("ssl_")}
    if uses_tls:
        shared["ssl"] = said["ssl"] = True
    user, password = url.sentinel_login
    sentinel = Sentinel(  # type: ignore[no-untyped-call]
        url.hosts,
        sentinel_kwargs={
            **shared,
            "username": user or None,
            "password": password or None,
            # One that hangs must not keep the others from being asked.
            "socket_timeout": _SENTINEL_TIMEOUT_S,
            "socket_connect_timeout": _SENTINEL_TIMEOUT_S,
            "retry": Retry(NoBackoff(), 0),
        },
    )
    return cast(
        redis.Redis,
        sentinel.master_for(  # type: ignore[no-untyped-call]
            url.service, redis_class=NotingClient, **(options | said)
        ),
    )
