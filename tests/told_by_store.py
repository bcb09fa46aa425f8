"""What a store tells of itself: one server, or all masters of a cluster."""

from typing import Any

from redis.cluster import RedisCluster

from codepush.store.cluster import ClusterClient


def told(redis: Any, section: str) -> list[dict[str, Any]]:
    """Return a section of INFO, of each master."""
    if isinstance(redis, ClusterClient):
        return list(redis.info(section, target_nodes=RedisCluster.PRIMARIES).values())
    return [redis.info(section)]
