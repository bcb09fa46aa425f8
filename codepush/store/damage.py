"""Records that cannot be read, as after a change by hand."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

UNREADABLE = (KeyError, TypeError, ValueError, AttributeError, IndexError)
"""What reading a damaged record raises."""


class UnreadableError(ValueError):
    """A record in the store is damaged; the message names it, for operators."""

    def __init__(self, what: str):
        """Say what is wrong, as a sentence."""
        super().__init__(f"{what} codepush verify tells what would mend it.")


def read(key: str, decode: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what ``decode`` makes of what was stored.

    Args:
        key: Where it was.
        decode: Raises one of ``UNREADABLE`` for what is damaged.
        *args: Of ``decode``.
        **kwargs: Of ``decode``.

    Raises:
        UnreadableError: It is.
    """
    try:
        return decode(*args, **kwargs)
    except UNREADABLE as exc:
        raise UnreadableError(f"The record {key} cannot be read: {why(exc)}.") from exc


def why(exc: Exception) -> str:
    """Return what is wrong with a record, given what reading it raised."""
    return f"it lacks {exc}" if isinstance(exc, KeyError) else f"{exc}"


def text_in(value: object) -> str:
    """Return a value of plain JSON that must be a text.

    Raises:
        TypeError: It is none.
    """
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def number_in(value: object) -> int:
    """Return a value of plain JSON that must be a whole number.

    Raises:
        TypeError: It is none.
    """
    if not isinstance(value, int):
        raise TypeError(f"{value!r} is no number")
    return value
