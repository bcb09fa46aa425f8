"""Mends claims and indexes that were lost, from the records that they belong to."""

from collections.abc import Callable, Iterable

from codepush.services.backups.references import Need
from codepush.services.backups.survey import OnGroup, Survey
from codepush.services.clock import Clock
from codepush.store import keys
from codepush.store.claims import Claims
from codepush.store.connection import StoreClient
from codepush.store.groups import Entry, GroupReader
from codepush.store.scripts import Scripts


class _Nobody:
    """Looks at the groups without keeping anything."""

    def group(self, _tag: str, entries: Iterable[Entry]) -> None:
        for _ in entries:
            pass


def mend(
    client: StoreClient,
    clock: Clock,
    on_group: OnGroup = lambda _done, _all: None,
    on_mended: Callable[[str], None] = lambda _what: None,
) -> int:
    """Enter records where they are missing; may run while the server works.

    A name that another record holds stays with that one.

    Args:
        client: Of the store; takes any bytes for text.
        clock: Tells the time.
        on_group: Told about each group of keys.
        on_mended: Told what was wrong, for each that was mended.

    Returns:
        How many were mended.
    """
    claims = Claims(client, Scripts(client))
    mended = 0
    for need in Survey(GroupReader(client), clock).run(_Nobody(), on_group):
        if _enter(client, claims, need):
            on_mended(need.what)
            mended += 1
    return mended


def _enter(client: StoreClient, claims: Claims, need: Need) -> bool:
    place = keys.place(need.key)
    if place is None or not need.field:
        return False  # a lost record, or the index of a token, whose secret nobody knows
    if need.value:
        taken = claims.take(need.key, need.field, need.value, bears=lambda _holder: True)
        return taken is not None
    if place.name in {"apps", "organizations", "all"}:
        client.sadd(need.key, need.field)
        return True
    return False
