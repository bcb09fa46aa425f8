"""Looks through stores whose servers may be restarted or replaced meanwhile.

A cursor means something to the process that gave it, and to no other: after a restart, a failover
or a move of slots the next step would pass over keys without a word.
"""

import uuid
from collections.abc import Iterator
from typing import Any, cast

import redis
from redis.cluster import RedisCluster

from codepush.store.cluster import ClusterClient
from codepush.store.connection import StoreClient

_TRIES = 20


class StoreMovedError(redis.RedisError):
    """The data moved to another process while it was looked through."""

    def __init__(self) -> None:
        super().__init__(
            "the store was restarted, or moved data to another server, again and again while it was"
            " looked through; try again when that is over"
        )


def whereabouts(client: StoreClient) -> frozenset[str]:
    """Return the processes that hold the data, and which of it; equal sets mean that none moved."""
    anything = cast(Any, client)
    if not isinstance(client, ClusterClient):
        return frozenset({str(anything.info("server")["run_id"])})
    masters = RedisCluster.PRIMARIES
    processes = _of_each(anything.info("server", target_nodes=masters), "run_id")
    places = []
    for seen in _of_each(anything.execute_command("CLUSTER NODES", target_nodes=masters), ""):
        own = next(each for each in seen.values() if "myself" in each["flags"])
        # Keys of a slot on its way are at neither place for sure.
        moving = uuid.uuid4().hex if own["migrations"] else ""
        places.append(f"{own['node_id']} {own['slots']} {moving}")
    return frozenset([*(each["run_id"] for each in processes), *places])


def _of_each(told: dict[str, Any], field: str) -> list[dict[str, Any]]:
    """Return what each master told; redis-py returns the answer of an only one bare."""
    is_bare = field in told if field else any("flags" in each for each in told.values())
    return [told] if is_bare else list(told.values())


def every_key(client: StoreClient, match: str) -> Iterator[str]:
    """Yield every key that is there all the while, some of them more than once.

    Args:
        client: Of the store.
        match: As SCAN takes it.

    Raises:
        StoreMovedError: The data moved again and again.
    """
    for _ in range(_TRIES):
        before = whereabouts(client)
        yield from client.scan_iter(match=match, count=1_000)
        if whereabouts(client) == before:
            return
    raise StoreMovedError
