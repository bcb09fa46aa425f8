"""Groups: all keys with one hash tag, read and written whole whatever is in them.

What a backup holds is independent of the server's version and kind: elements as text, not Redis's
own dumps.
"""

import sys
import uuid
from collections.abc import Iterable, Iterator
from typing import Any, cast

from codepush.domain.ids import AppId, DeploymentId, is_id
from codepush.store import keys
from codepush.store.connection import StoreClient
from codepush.store.entries import Entry, lifetime, raw
from codepush.store.large_groups import GroupChangedError, LargeGroup, as_of_now
from codepush.store.late import with_late_deliveries
from codepush.store.scanning import every_key
from codepush.store.scripts import Scripts

_MOST_AT_ONCE = 1_000
"""Elements that are read in one step."""
_BATCH = 500
_TRIES = 50


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
            GroupChangedError: Deployments came and went in between, many times; or, while it is
                yielded, it did not stay as it was: read all of it again.
            StoreMovedError: While it is yielded, the store restarted: read all of it again.
        """
        names = list(dict.fromkeys([*keys.group(tag), *found]))
        for _ in range(_TRIES):
            reply = self._scripts.run("dump_group", raw(names), [_MOST_AT_ONCE])
            large = None
            if isinstance(reply, int):
                large = as_of_now(self._client, self._scripts, tag, names, self._backup)
            later = self._unknown(tag, names, large or reply)
            if not later:
                entries = large.entries() if large else _decode(names, reply)
                if tag.startswith("o:"):
                    return with_late_deliveries(entries, frozenset(names), self._small)
                return entries
            if large:
                large.let_go()
            names = [*names, *later]
        raise GroupChangedError(f"the records of {tag} changed again and again; try again")

    def _unknown(self, tag: str, names: list[str], found: LargeGroup | list[Any]) -> list[str]:
        """Return keys of deployments that were not asked for, since they are too new."""
        if not tag.startswith("a:"):
            return []
        place = names.index(keys.deployments(AppId(tag.partition(":")[2])))
        ids: list[str] = []
        for row in found.rows if isinstance(found, LargeGroup) else found:
            if row[:2] == [place + 1, "hash"] and isinstance(found, LargeGroup):
                ids = self._client.hvals(found.sources[place])
            elif row[:2] == [place + 1, "hash"]:
                ids = row[3][1::2]
        known = set(names)
        all_keys = keys.group(tag, [DeploymentId(each) for each in ids if is_id(each)])
        return [key for key in all_keys if key not in known]

    def _small(self, names: list[str]) -> Iterator[Entry]:
        """Yield what some keys of one group hold, each of which is small."""
        for start in range(0, len(names), _BATCH):
            batch = names[start : start + _BATCH]
            reply = self._scripts.run("dump_group", raw(batch), [sys.maxsize])
            yield from _decode(batch, reply)


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
    key, items = raw(entry.key), entry.items
    if entry.is_first:
        pipe.delete(key)
    for start in range(0, len(items), _BATCH):
        part = [raw(item) for item in items[start : start + _BATCH]]
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


def _decode(names: list[str], reply: list[Any]) -> Iterator[Entry]:
    for place, kind, expires_at_ms, found in reply:
        about = None
        items = found
        if kind == "stream":
            last, added, deleted = found[-1]
            about = (last, int(added), deleted)
            items = [part for row_id, row in found[:-1] for part in (row_id, row)]
        yield Entry(names[place - 1], kind, items, lifetime(expires_at_ms), about)
