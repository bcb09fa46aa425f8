"""Groups that are too large for one answer, as of one moment though they are read in pieces.

They are copied within the store, where that has room. Where it has none, they are read as they are,
and again if they changed meanwhile.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, cast

import redis

from codepush.store import keys
from codepush.store.connection import StoreClient, server_of
from codepush.store.entries import Entry, lifetime, raw
from codepush.store.scanning import StoreMovedError, whereabouts
from codepush.store.scripts import Scripts

_BATCH = 500
_COPY_S = 120
"""Copies of somebody who was killed are gone after this; others are renewed."""


class GroupChangedError(redis.RedisError):
    """A group did not stay as it was; the text says what to do if it never does."""


class _Keeper(Protocol):
    """Sees to it that a group can be read as of one moment."""

    def hold(self) -> None:
        """Go on for another piece; raise if that is in vain."""

    def check(self) -> None:
        """Return if all that was read is of one moment."""

    def let_go(self) -> None:
        """Cost the store nothing any more."""


@dataclass(frozen=True, slots=True)
class LargeGroup:
    """One moment of a group.

    Attributes:
        names: All keys of it, whether they exist or not.
        sources: For each name, the key to read in its place.
        rows: For each key that exists: its place in the names, from 1; its type; when it expires.
    """

    names: list[str]
    sources: list[bytes]
    rows: list[Any]
    _client: Any
    _keeper: _Keeper
    _before: frozenset[str]

    def entries(self) -> Iterator[Entry]:
        """Yield all of it, and let go of it.

        Raises:
            GroupChangedError: It did not stay as it was: read all of it again.
            StoreMovedError: The store restarted meanwhile: read all of it again.
        """
        try:
            for place, kind, expires_at_ms in self.rows:
                name, source = self.names[place - 1], self.sources[place - 1]
                is_first = True
                for items, about in _parts(self._client, kind, source):
                    self._keeper.hold()
                    yield Entry(name, kind, items, lifetime(expires_at_ms), about, is_first)
                    is_first = False
            self._keeper.check()
            if whereabouts(self._client) != self._before:
                raise StoreMovedError
        finally:
            self.let_go()

    def let_go(self) -> None:
        """Cost the store nothing any more."""
        self._keeper.let_go()


def as_of_now(
    client: StoreClient, scripts: Scripts, tag: str, names: list[str], backup: str
) -> LargeGroup:
    """Return a group as it is now.

    Args:
        client: Of the store; takes any bytes for text.
        scripts: Of the same store.
        tag: The group.
        names: All keys of it.
        backup: Names who reads it.
    """
    before = whereabouts(client)
    own, copies = raw(names), raw([keys.copy(tag, backup, at) for at in range(len(names))])
    lacking, rows = scripts.run("copy_group", [*own, *copies], [_COPY_S * 1_000])
    if not lacking:
        made = [copies[place - 1] for place, _, _ in rows]
        return LargeGroup(names, copies, rows, client, _Copies(client, tag, made), before)
    watch = _Watch(client, tag, own, lacking)
    _, rows = scripts.run("copy_group", [*own, *copies], [0])  # anew, now that it is watched
    return LargeGroup(names, own, rows, client, watch, before)


class _Copies:
    """Copies, beside which the group may change."""

    def __init__(self, client: Any, tag: str, copies: list[bytes]):
        self._client = client
        self._tag = tag
        self._batches = [copies[at : at + _BATCH] for at in range(0, len(copies), _BATCH)]
        self._count = len(copies)
        self._renewed_at = time.monotonic()

    def hold(self) -> None:
        # Seldom: each is a write, which may wait for a disk.
        if time.monotonic() - self._renewed_at > _COPY_S / 4:
            for batch in self._batches:
                pipe = self._client.pipeline(transaction=False)
                for copy in batch:
                    pipe.expire(copy, _COPY_S)
                pipe.execute()
            self._renewed_at = time.monotonic()

    def check(self) -> None:
        if sum(self._client.exists(*batch) for batch in self._batches) < self._count:
            raise GroupChangedError(
                f"copies of the records of {self._tag} went away while they were read; try again,"
                " and see that the store's maxmemory-policy is noeviction"
            )

    def let_go(self) -> None:
        for batch in self._batches:
            self._client.unlink(*batch)


class _Watch:
    """Tells whether any key of a group changed."""

    def __init__(self, client: StoreClient, tag: str, names: list[bytes], lacking: int):
        self._tag = tag
        self._lacking_mb = 2 * lacking // 1_000_000 + 1
        self._pipe = server_of(client, names[0]).pipeline()
        self._pipe.watch(*names)  # type: ignore[no-untyped-call]
        self._id = self._told()["id"]

    def hold(self) -> None:
        try:
            told = self._told()
        except redis.WatchError as exc:  # the connection broke, and the watch with it
            raise StoreMovedError from exc
        if told["id"] != self._id:  # the same, and another took its place
            raise StoreMovedError
        if "d" in told["flags"]:  # what was watched changed, and an EXEC would fail
            raise GroupChangedError(
                f"the records of {self._tag} changed again and again while they were read, and the"
                f" store has no room to copy them first; give it {self._lacking_mb} MB of free"
                " memory (maxmemory), or try again when fewer devices report"
            )

    def check(self) -> None:
        self.hold()

    def let_go(self) -> None:
        self._pipe.reset()

    def _told(self) -> dict[str, str]:
        return cast(dict[str, str], self._pipe.client_info())


def _parts(client: Any, kind: str, key: bytes) -> Iterator[tuple[list[Any], Any]]:
    if kind == "stream":
        yield from _rows(client, key)
    elif kind == "string":
        yield [client.get(key)], None
    elif kind == "list":
        for start in range(0, client.llen(key), _BATCH):
            yield client.lrange(key, start, start + _BATCH - 1), None
    else:
        scan: dict[str, Callable[..., Any]] = {
            "hash": partial(client.hscan, key),
            "set": partial(client.sscan, key),
            "zset": partial(client.zscan, key, score_cast_func=str),
        }
        cursor = None
        while cursor != 0:
            cursor, found = scan[kind](cursor=cursor or 0, count=_BATCH)
            pairs = found.items() if kind == "hash" else found
            flat = list(pairs) if kind == "set" else [text for pair in pairs for text in pair]
            if flat:
                yield flat, None


def _rows(client: Any, key: bytes) -> Iterator[tuple[list[Any], Any]]:
    start = "-"
    while rows := client.xrange(key, min=start, max="+", count=_BATCH):
        items = [part for row_id, row in rows for part in (row_id, _flat(row))]
        yield items, None
        start = f"({rows[-1][0]}"
    info = client.xinfo_stream(key)
    names = ("last-generated-id", "entries-added", "max-deleted-entry-id")
    yield [], tuple(info[name] for name in names)


def _flat(row: dict[str, str]) -> list[str]:
    return [text for pair in row.items() for text in pair]
