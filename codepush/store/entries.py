"""What keys hold, as backups keep it."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Entry:
    """A key, or a part of a large one; parts of one key follow each other.

    Attributes:
        type: As Redis names it.
        items: Hash: fields and values in turn. Sorted set: members and scores in turn. Stream: ids
            and lists of fields and values in turn. Else the elements.
        expires_at_ms: None for a key that stays.
        about: Of a stream, with its last part: its last id, how many entries were ever added, and
            the highest id that was deleted.
        is_first: Whether it begins a key.
    """

    key: str
    type: str
    items: list[Any]
    expires_at_ms: int | None = None
    about: tuple[str, int, str] | None = None
    is_first: bool = True
