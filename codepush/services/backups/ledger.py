"""What a look through all data has to remember: on the disk, since it may exceed the memory."""

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import astuple

from codepush.services.backups.references import Held, Need

_TABLES = """
CREATE TABLE keys (rank INTEGER, tag BLOB, key BLOB, PRIMARY KEY (rank, tag, key)) WITHOUT ROWID;
CREATE INDEX keys_by_tag ON keys (tag);
CREATE TABLE needs (tag BLOB, key BLOB, field BLOB, value BLOB, condition BLOB, what BLOB);
CREATE INDEX needs_by_tag ON needs (tag);
CREATE TABLE held (tag BLOB, key BLOB, field BLOB, value BLOB);
CREATE INDEX held_by_tag ON held (tag);
CREATE INDEX held_by_key ON held (key, field, value);
"""
_RANKS = {"a": 0, "u": 1, "o": 2}
_LAST_RANK = 3
_UNMET = """
SELECT DISTINCT tag, key, field, value, condition, what FROM needs AS n
WHERE NOT EXISTS (
  SELECT 1 FROM held AS h WHERE h.key = n.key AND h.field = n.field AND h.value = n.value
) AND (n.condition = x'' OR EXISTS (SELECT 1 FROM held AS h WHERE h.key = n.condition))
"""


class Ledger:
    """Keys by group, what groups need of each other, and what they hold of that."""

    def __init__(self) -> None:
        """Begin an empty one, in a file without a name that goes with it."""
        self._tables = sqlite3.connect("", isolation_level=None)
        self._tables.execute("PRAGMA synchronous = OFF")
        self._tables.executescript(_TABLES)
        self._tables.execute("BEGIN")

    def close(self) -> None:
        """Forget all."""
        self._tables.close()

    def note_key(self, kind: str, tag: str, key: str) -> None:
        """Note that a key exists; noting it twice is harmless."""
        row = (_RANKS.get(kind, _LAST_RANK), _bytes(tag), _bytes(key))
        self._tables.execute("INSERT OR IGNORE INTO keys VALUES (?, ?, ?)", row)

    def tags(self) -> list[str]:
        """Return all groups: apps, users, organizations, then all claims and indexes."""
        rows = self._tables.execute("SELECT DISTINCT rank, tag FROM keys ORDER BY rank, tag")
        return [_text(tag) for _, tag in rows]

    def keys_of(self, tag: str) -> list[str]:
        """Return the keys of a group."""
        rows = self._tables.execute("SELECT key FROM keys WHERE tag = ?", (_bytes(tag),))
        return [_text(key) for (key,) in rows]

    def forget(self, tag: str) -> None:
        """Forget what a group needs and holds: it is read again."""
        self._tables.execute("DELETE FROM needs WHERE tag = ?", (_bytes(tag),))
        self._tables.execute("DELETE FROM held WHERE tag = ?", (_bytes(tag),))

    def note(self, tag: str, needs: Iterable[Need], held: Iterable[Held]) -> None:
        """Note what a group needs and holds."""
        self._tables.executemany(
            "INSERT INTO needs VALUES (?, ?, ?, ?, ?, ?)",
            (tuple(_bytes(text) for text in astuple(need)) for need in needs),
        )
        self._tables.executemany(
            "INSERT INTO held VALUES (?, ?, ?, ?)",
            ((_bytes(tag), *(_bytes(text) for text in row)) for row in held),
        )

    def unmet(self) -> Iterator[Need]:
        """Yield the needs that nothing meets."""
        for row in self._tables.execute(_UNMET).fetchall():
            yield Need(*(_text(text) for text in row))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _text(stored: bytes) -> str:
    return stored.decode("utf-8", "surrogateescape")
