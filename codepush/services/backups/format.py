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


def seal(digest: Any, end: dict[str, Any]) -> str:
    """Return the SHA-256 of what was hashed so far and of ``end``, in hex."""
    sealed = digest.copy()
    sealed.update(json.dumps(end).encode())
    return str(sealed.hexdigest())
