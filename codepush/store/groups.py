"""Groups: all keys with one hash tag, read and written whole whatever is in them.

What a backup holds is independent of the server's version and kind: elements as text, not Redis's
own dumps.
"""

import sys
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, cast

import redis

from codepush.domain.ids import AppId, DeploymentId, is_id
from codepush.store import keys
from codepush.store.connection import StoreClient
from codepush.store.entries import Entry
from codepush.store.late import with_late_deliveries
from codepush.store.scanning import StoreMovedError, every_key, whereabouts
from codepush.store.scripts import Scripts

_MOST_AT_ONCE = 1_000
"""Elements that are read in one step; a group with more of them is copied first, in one step."""
_BATCH = 500
_COPY_S = 3_600
_TRIES = 50


class GroupChangedError(redis.RedisError):
    """A group changed shape each time that it was to be read."""

    def __init__(self, tag: str):
        super().__init__(f"the records of {tag} changed again and again; try again")


class GroupReader:
    """Reads groups, each as of one moment."""

    def __init__(self, client: StoreClient):
        """Use ``client``, which must take any bytes for text."""
        self._client = cast(Any, client)
        self._scripts = Scripts(client)
        self._backup = uuid.uuid4().hex[:12]

    def find(self) -> Iterator[str]:
        """Yield every key that belongs into a backup, some of them twice."""
        for key in every_key(self._client, f"{keys.ROOT}:*"):
            if keys.is_lasting(key):
                yield key

    def read(self, tag: str, found: Iterable[str]) -> Iterator[Entry]:
        """Yield all of a group; what is found is what it held when the first of it is yielded.

        Args:
            tag: The group.
            found: Keys of it that are known; others are found by themselves.

        Raises:
            GroupChangedError: Deployments came and went in between, many times.
            StoreMovedError: While it is yielded, the store restarted: read all of it again.
        """
        names = list(dict.fromkeys([*keys.group(tag), *found]))
        before: frozenset[str] = frozenset()
        for _ in range(_TRIES):
            reply = self._scripts.run("dump_group", _bytes(names), [_MOST_AT_ONCE])
            copies: list[str] = []
            if isinstance(reply, int):
                before = whereabouts(self._client)
                copies = [keys.copy(tag, self._backup, number) for number in range(len(names))]
                copies = _bytes(copies)
                reply = self._scripts.run(
                    "copy_group", [*_bytes(names), *copies], [_COPY_S * 1_000]
                )
            later = self._unknown(tag, names, reply, copies)
            if not later:
                entries = _decode(names, reply)
                if copies:
                    entries = self._copied(names, reply, copies, before)
                if tag.startswith("o:"):
                    return with_late_deliveries(entries, frozenset(names), self._small)
                return entries
            self._unlink(copies)
            names += later
        raise GroupChangedError(tag)

    def _unknown(
        self, tag: str, names: list[str], reply: list[Any], copies: list[str]
    ) -> list[str]:
        """Return keys of deployments that were not asked for, since they are too new."""
        if not tag.startswith("a:"):
            return []
        held = keys.deployments(AppId(tag.partition(":")[2]))
        for row in reply:
            place = row[0] - 1
            if names[place] == held and row[1] == "hash":
                ids = self._client.hvals(copies[place]) if copies else row[3][1::2]
                known = set(names)
                all_keys = keys.group(tag, [DeploymentId(each) for each in ids if is_id(each)])
                return [key for key in all_keys if key not in known]
        return []

    def _small(self, names: list[str]) -> Iterator[Entry]:
        """Yield what some keys of one group hold, each of which is small."""
        for start in range(0, len(names), _BATCH):
            batch = names[start : start + _BATCH]
            reply = self._scripts.run("dump_group", _bytes(batch), [sys.maxsize])
            yield from _decode(batch, reply)

    def _copied(
        self, names: list[str], reply: list[Any], copies: list[str], before: frozenset[str]
    ) -> Iterator[Entry]:
        try:
            renewed_at = time.monotonic()
            for place, kind, expires_at_ms in reply:
                name, copy = names[place - 1], copies[place - 1]
                is_first = True
                for items, about in self._parts(kind, copy):
                    # Seldom: each is a write, which may wait for a disk.
                    if time.monotonic() - renewed_at > _COPY_S / 4:
                        for left in copies[place - 1 :]:
                            self._client.expire(left, _COPY_S)
                        renewed_at = time.monotonic()
                    yield Entry(name, kind, items, _lifetime(expires_at_ms), about, is_first)
                    is_first = False
            if whereabouts(self._client) != before:
                raise StoreMovedError
        finally:
            self._unlink(copies)

    def _parts(self, kind: str, key: str) -> Iterator[tuple[list[Any], Any]]:
        client = self._client
        if kind == "stream":
            yield from self._rows(key)
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

    def _rows(self, key: str) -> Iterator[tuple[list[Any], Any]]:
        start = "-"
        while rows := self._client.xrange(key, min=start, max="+", count=_BATCH):
            items = [part for row_id, row in rows for part in (row_id, _flat(row))]
            yield items, None
            start = f"({rows[-1][0]}"
        info = self._client.xinfo_stream(key)
        names = ("last-generated-id", "entries-added", "max-deleted-entry-id")
        yield [], tuple(info[name] for name in names)

    def _unlink(self, copies: list[str]) -> None:
        for start in range(0, len(copies), _BATCH):
            self._client.unlink(*copies[start : start + _BATCH])


class GroupWriter:
    """Writes entries into a store where nothing else writes."""

    def __init__(self, client: StoreClient):
        """Use ``client``, which must take any bytes for text."""
        self._client = cast(Any, client)

    def write(self, entries: Iterable[Entry]) -> None:
        """Write entries; in place of what there is, where they begin a key."""
        pipe = self._client.pipeline(transaction=False)
        for entry in entries:
            _write(pipe, entry)
        pipe.execute()


def _write(pipe: Any, entry: Entry) -> None:
    key, items = _bytes(entry.key), entry.items
    if entry.is_first:
        pipe.delete(key)
    for start in range(0, len(items), _BATCH):
        part = [_bytes(item) for item in items[start : start + _BATCH]]
        if entry.type == "string":
            pipe.set(key, part[0])
        elif entry.type == "hash":
            pipe.hset(key, items=part)
        elif entry.type == "set":
            pipe.sadd(key, *part)
        elif entry.type == "list":
            pipe.rpush(key, *part)
        elif entry.type == "zset":
            pipe.zadd(key, dict(zip(part[::2], map(float, part[1::2]), strict=True)))
        else:
            for row_id, row in zip(part[::2], part[1::2], strict=True):
                pipe.execute_command("XADD", key, row_id, *row)
    if entry.about:
        last, added, deleted = entry.about
        # A stream without entries is made by a group of readers, which need not stay.
        pipe.execute_command("XGROUP", "CREATE", key, "restore", "0", "MKSTREAM")
        pipe.execute_command("XGROUP", "DESTROY", key, "restore")
        pipe.execute_command("XSETID", key, last, "ENTRIESADDED", added, "MAXDELETEDID", deleted)
    if entry.expires_at_ms is not None:
        pipe.pexpireat(key, entry.expires_at_ms)


def _bytes(item: str | list[str]) -> Any:
    """Return text as it was in the store; hiredis sends nothing else that is no UTF-8."""
    if isinstance(item, str):
        return item.encode("utf-8", "surrogateescape")
    return [_bytes(each) for each in item]


def _decode(names: list[str], reply: list[Any]) -> Iterator[Entry]:
    for place, kind, expires_at_ms, found in reply:
        about = None
        items = found
        if kind == "stream":
            last, added, deleted = found[-1]
            about = (last, int(added), deleted)
            items = [part for row_id, row in found[:-1] for part in (row_id, row)]
        yield Entry(names[place - 1], kind, items, _lifetime(expires_at_ms), about)


def _lifetime(expires_at_ms: int) -> int | None:
    return expires_at_ms if expires_at_ms >= 0 else None


def _flat(row: dict[str, str]) -> list[str]:
    return [text for pair in row.items() for text in pair]
