"""The version of the data's layout, and the steps from each to the next."""

from collections.abc import Callable, Mapping
from enum import Enum, auto

from codepush.domain.errors import ConflictError
from codepush.store import keys
from codepush.store.connection import StoreClient
from codepush.store.scanning import every_key

VERSION = 2
"""What this server reads and writes. A store without one is empty."""


def _forget_days_of_devices(client: StoreClient) -> None:
    """Drop the devices of deployments by their last day: each device's record says it, too."""
    for name in every_key(client, f"{keys.ROOT}:{{a:*}}:d:*:seen"):
        client.delete(name)


STEPS: Mapping[int, Callable[[StoreClient], None]] = {2: _forget_days_of_devices}
"""By the version that each leads to. A step may be interrupted and run again."""

_VERSION, _RESTORING = "version", "restoring"


class State(Enum):
    """What a store is to this server."""

    FIT = auto()
    OLDER = auto()
    NEWER = auto()
    RESTORING = auto()


def look(client: StoreClient, version: int = VERSION) -> State:
    """Return what the store of ``client`` is to a server of a version.

    A store without a version gets this one.
    """
    if restoring(client):
        return State.RESTORING
    held = version_of(client)
    if held is None:
        client.hset(keys.LAYOUT, _VERSION, str(version))
    elif held != version:
        return State.NEWER if held > version else State.OLDER
    return State.FIT


def version_of(client: StoreClient) -> int | None:
    """Return the version of the data; None where there is none, as in an empty store.

    Raises:
        ConflictError: It is no number.
    """
    held = client.hget(keys.LAYOUT, _VERSION)
    if held is None:
        return None
    try:
        return int(held)
    except ValueError as exc:
        raise ConflictError(
            f"The store does not say which layout its data has: version in {keys.LAYOUT} is"
            f" {held!r} and no number. Set it to what it was; this server has {VERSION}."
        ) from exc


def restoring(client: StoreClient) -> str | None:
    """Return the digest of the backup whose restore did not finish, if there is one."""
    return client.hget(keys.LAYOUT, _RESTORING)


def begin_restore(client: StoreClient, digest: str) -> None:
    """Mark the store as one that no server may use, until ``end_restore``."""
    client.hset(keys.LAYOUT, _RESTORING, digest)


def end_restore(client: StoreClient, version: int) -> None:
    """Take that mark off; the data has the layout ``version``."""
    client.hset(keys.LAYOUT, _VERSION, str(version))
    client.hdel(keys.LAYOUT, _RESTORING)


def migrate(
    client: StoreClient,
    on_step: Callable[[int], None],
    *,
    steps: Mapping[int, Callable[[StoreClient], None]] = STEPS,
    version: int = VERSION,
) -> None:
    """Move the data up to a version, step by step; each is noted when it is done.

    Args:
        client: Of the store, which must not be newer.
        on_step: Told the version that was reached.
        steps: Those there are.
        version: Where to stop.
    """
    for reached in range((version_of(client) or version) + 1, version + 1):
        steps[reached](client)
        client.hset(keys.LAYOUT, _VERSION, str(reached))
        on_step(reached)
