"""The time, as services take it: a function, so that tests can set it."""

import time
from collections.abc import Callable

Clock = Callable[[], int]
"""Returns milliseconds since 1970."""


def system_clock() -> int:
    """Return the time of this machine."""
    return time.time_ns() // 1_000_000
