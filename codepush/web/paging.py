"""Pages of lists, by a cursor that names the last row shown.

A cursor stays good while rows come and go: the next page begins after the row it names, whether
that row is still there or not. It holds nothing that the caller has not seen.
"""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson

from codepush.domain.errors import InvalidParameterError

MAX_LIMIT = 1_000
"""Rows of a page at most, and of a list that nobody asked to be cut."""

_LONGEST = 8_000
_MAX_NUMBER = 2**53

Row = TypeVar("Row")
Position = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list was asked for.

    Attributes:
        limit: Rows at most.
        cursor: Where the page before it ended; "" for the first page.
    """

    limit: int = MAX_LIMIT
    cursor: str = ""

    def cut(self, name: str, rows: Iterable[Row], key: Callable[[Row], Position]) -> dict[str, Any]:
        """Return the page of a whole list, in the order of ``key``.

        Args:
            name: Of the list in the answer; a cursor is good for lists of this name only.
            rows: All of them.
            key: Unique for each row.

        Raises:
            InvalidParameterError: The cursor is not one of this list's.
        """
        ordered = sorted(rows, key=key)
        after = self.position(name)
        if after is not None:
            try:
                ordered = [row for row in ordered if key(row) > after]
            except TypeError as exc:  # text where a number was, or the other way round
                raise bad_cursor() from exc
        return self.answer(name, ordered[: self.limit + 1], key)

    def answer(self, name: str, rows: list[Row], key: Callable[[Row], Position]) -> dict[str, Any]:
        """Return a page as schemas dump it, given one row more than its limit if there is one."""
        answer: dict[str, Any] = {name: rows[: self.limit]}
        if len(rows) > self.limit:
            last = [name, *key(rows[self.limit - 1])]
            answer["next_cursor"] = urlsafe_b64encode(orjson.dumps(last)).decode().rstrip("=")
        return answer

    def position(self, name: str) -> Position | None:
        """Return where the page before ended, or None for the first page.

        Raises:
            InvalidParameterError: The cursor is not one of this list's.
        """
        if not self.cursor:
            return None
        if len(self.cursor) > _LONGEST:
            raise bad_cursor()
        try:
            held = orjson.loads(urlsafe_b64decode(f"{self.cursor}===".encode("ascii")))
        except (ValueError, binascii.Error) as exc:
            raise bad_cursor() from exc
        if not isinstance(held, list) or held[:1] != [name] or len(held) < 2:
            raise bad_cursor()
        if not all(_is_position(each) for each in held[1:]):
            raise bad_cursor()
        return tuple(held[1:])


def bad_cursor() -> InvalidParameterError:
    """Return the error for a cursor that no answer gave out."""
    return InvalidParameterError(
        "The cursor is not one that this list gave out. Begin again without it.",
        parameter="cursor",
        reason="Malformed",
    )


def _is_position(value: object) -> bool:
    if isinstance(value, bool):
        return False
    return isinstance(value, str) or (isinstance(value, int) and abs(value) < _MAX_NUMBER)
