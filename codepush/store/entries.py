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


def lifetime(expires_at_ms: int) -> int | None:
    """Return when a key expires, as an entry has it, of what Redis answers."""
    return expires_at_ms if expires_at_ms >= 0 else None


def raw(item: str | list[str]) -> Any:
    """Return text as it was in the store; hiredis sends nothing else that is no UTF-8."""
    if isinstance(item, str):
        return item.encode("utf-8", "surrogateescape")
    return [raw(each) for each in item]
