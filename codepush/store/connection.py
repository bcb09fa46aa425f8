"""How the server reaches Redis, and what it does while Redis is away."""

from collections.abc import Set as AbstractSet
from typing import Any, Protocol, cast

import redis
from redis.backoff import ExponentialWithJitterBackoff, NoBackoff
from redis.retry import Retry

STORE_ERRORS = (redis.RedisError,)
"""What a store may raise."""

_REFUSALS = ("MISCONF", "CLUSTERDOWN", "TRYAGAIN", "MASTERDOWN", "NOREPLICAS", "UNKILLABLE", "BUSY")


def is_outage(exc: Exception) -> bool:
    """Return whether Redis was unreachable, full or unwilling, rather than asked for nonsense."""
    if isinstance(exc, redis.ResponseError):
        unwilling = isinstance(exc, (redis.OutOfMemoryError, redis.ReadOnlyError))
        return unwilling or str(exc).startswith(_REFUSALS)
    return isinstance(exc, redis.RedisError)


_RETRIES = 8
_FIRST_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 0.5
_TIMEOUT_S = 10.0
"""Patience with one answer: an fsync on a slow disk may take seconds."""

_QUOTA_TIMEOUT_S = 1.0


StreamRows = list[tuple[str, dict[str, str]]]
"""Entries of a stream: id and fields."""


class StoreClient(Protocol):
    """The commands that stores use, answering in text; a cluster's client has them too."""

    def get(self, name: str) -> str | None: ...  # noqa: D102 - Redis documents its commands
    def set(self, name: str, value: str, *, ex: int | None = None) -> Any: ...  # noqa: D102
    def delete(self, *names: str) -> int: ...  # noqa: D102
    def hget(self, name: str, key: str) -> str | None: ...  # noqa: D102
    def hmget(self, name: str, keys: list[str]) -> list[str | None]: ...  # noqa: D102
    def hgetall(self, name: str) -> dict[str, str]: ...  # noqa: D102
    def hset(self, name: str, key: str, value: str) -> int: ...  # noqa: D102
    def hdel(self, name: str, *keys: str) -> int: ...  # noqa: D102
    def sadd(self, name: str, *values: str) -> int: ...  # noqa: D102
    def srem(self, name: str, *values: str) -> int: ...  # noqa: D102
    def smembers(self, name: str) -> AbstractSet[str]: ...  # noqa: D102
    def xadd(self, name: str, fields: dict[str, str]) -> str: ...  # noqa: D102
    def xrange(self, name: str, min: str, max: str, count: int) -> StreamRows: ...  # noqa: A002, D102
    def xrevrange(self, name: str, max: str, min: str, count: int) -> StreamRows: ...  # noqa: A002, D102
    def xtrim(  # noqa: D102
        self, name: str, maxlen: int | None = None, *, approximate: bool, minid: str | None = None
    ) -> int: ...
    def zscore(self, name: str, value: str) -> float | None: ...  # noqa: D102
    def zrem(self, name: str, *values: str) -> int: ...  # noqa: D102
    def expire(self, name: str, time: int) -> bool: ...  # noqa: D102
    def ping(self) -> bool: ...  # noqa: D102
    def pipeline(self, transaction: bool = True) -> Any: ...  # noqa: D102
    def register_script(self, script: str) -> Any: ...  # noqa: D102


def connect(url: str) -> StoreClient:
    """Return a client that speaks text and rides out a restart of the store.

    A command whose connection broke is sent again, for about two seconds in all; so every command
    and script in ``store/`` gives the same result when it runs twice.

    Args:
        url: ``redis://``, ``rediss://`` or ``unix://``.
    """
    return cast(StoreClient, _client(url, text=True))


def connect_queue(url: str, timeout_s: float | None = None) -> redis.Redis:
    """Return a client for RQ, which wants bytes, and long blocking calls in a worker.

    Args:
        url: As for ``connect``.
        timeout_s: Patience with one answer; None for no limit.
    """
    return _client(url, text=False, timeout_s=timeout_s)


def quota_pool(url: str) -> redis.ConnectionPool:
    """Return connections for counting requests, which is not worth waiting for.

    A command is sent once more where its connection turns out to be broken, but not after a
    timeout: a request may be counted twice, which does no harm.
    """
    return redis.ConnectionPool.from_url(
        url,
        socket_timeout=_QUOTA_TIMEOUT_S,
        socket_connect_timeout=_QUOTA_TIMEOUT_S,
        retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
    )


def _client(url: str, *, text: bool, timeout_s: float | None = _TIMEOUT_S) -> redis.Redis:
    backoff = ExponentialWithJitterBackoff(base=_FIRST_PAUSE_S, cap=_LONGEST_PAUSE_S)
    return redis.Redis.from_url(
        url,
        decode_responses=text,
        socket_timeout=timeout_s,
        socket_connect_timeout=5.0,
        # Not after a timeout: a store that hangs would be asked again and again.
        retry=Retry(backoff, _RETRIES, supported_errors=(redis.ConnectionError,)),
    )
