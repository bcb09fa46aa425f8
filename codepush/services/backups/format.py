"""The file of a backup: a tar archive whose last member says what all before it must be.

====================  ==================================================================
``backup.json``       ``format``, ``layout``, ``created_at_ms``
``data/N.jsonl.gz``   lines ``["group", tag]``, then for each of its keys or parts of a
                      key ``[key, type, items, expires_at_ms, about, is_first]``
``blobs/N.jsonl.gz``  lines ``[key, size, sha256]``
``blob/KEY``          the blob, where they are included
``end.json``          ``superseded`` groups, by number in order of appearance, which were
                      read again further on; ``groups``; ``blobs``; ``includes_blobs``;
                      ``sha256`` over all bytes before this member and over itself without
                      this field
====================  ==================================================================
"""

import json
from dataclasses import dataclass
from typing import Any

from codepush.domain.ids import BlobKey
from codepush.store import keys
from codepush.store.entries import Entry

FORMAT = 1
HEAD, END = "backup.json", "end.json"


@dataclass(frozen=True, slots=True)
class Head:
    """What a backup says of itself.

    Attributes:
        layout: Version of the layout of its data.
        sha256: Of the backup; two with the same hold the same.
    """

    layout: int
    created_at_ms: int
    groups: int
    blobs: int
    includes_blobs: bool
    sha256: str


@dataclass(frozen=True, slots=True)
class ListedBlob:
    """A blob that the storage had."""

    key: BlobKey
    size: int
    sha256: str


_TYPES = frozenset({"string", "hash", "set", "list", "zset", "stream"})


def read_entry(line: list[Any]) -> Entry:
    """Return what a line of a group says.

    Raises:
        ValueError: It is nothing that a server keeps. Jobs of RQ, for one, are code: whoever could
            bring them in with a file could run it.
        TypeError: It is of another shape.
    """
    key, kind, items, expires_at_ms, about, is_first = line
    if not keys.is_lasting(key) or kind not in _TYPES or not isinstance(items, list):
        raise ValueError(key)
    if not (expires_at_ms is None or isinstance(expires_at_ms, int)):
        raise TypeError(expires_at_ms)
    is_row = [kind == "stream" and bool(at % 2) for at in range(len(items))]
    for item, row in zip(items, is_row, strict=True):
        if not all(isinstance(text, str) for text in (item if row else [item])):
            raise TypeError(key)
    if kind == "zset":
        _ = [float(score) for score in items[1::2]]
    if kind in {"hash", "zset", "stream"} and len(items) % 2:
        raise ValueError(key)
    last, added, deleted = about or ("", 0, "")
    entry = (str(last), int(added), str(deleted)) if about else None
    return Entry(key, kind, items, expires_at_ms, entry, bool(is_first))


def seal(digest: Any, end: dict[str, Any]) -> str:
    """Return the SHA-256 of what was hashed so far and of ``end``, in hex."""
    sealed = digest.copy()
    sealed.update(json.dumps(end).encode())
    return str(sealed.hexdigest())
