"""What was done of late, in some 60 bytes each."""

import time
from collections.abc import Hashable


class Lately:
    """Remembers what was added in the last minutes; not to be used by two threads.

    Two generations of digests. What is added is forgotten after the time that is given or, at the
    earliest, after half of it; sooner only where more is added than there is room for.
    """

    def __init__(self, seconds: float, most: int):
        """Remember for ``seconds`` at most ``most`` things."""
        self._half_s = seconds / 2
        self._half = most // 2
        self._young: set[int] = set()
        self._old: set[int] = set()
        self._began_at = time.monotonic()

    def add(self, what: Hashable) -> None:
        """Remember it."""
        self._age()
        if len(self._young) >= self._half:
            self._begin(self._young, time.monotonic())
        self._young.add(hash(what))

    def __contains__(self, what: Hashable) -> bool:
        """Tell whether it was added of late."""
        self._age()
        digest = hash(what)
        return digest in self._young or digest in self._old

    def _age(self) -> None:
        now = time.monotonic()
        passed_s = now - self._began_at
        if passed_s >= 2 * self._half_s:
            self._begin(set(), now)
        elif passed_s >= self._half_s:
            # From when it was time, not from now: else what is asked for seldom would stay longer.
            self._begin(self._young, self._began_at + self._half_s)

    def _begin(self, old: set[int], at: float) -> None:
        self._old = old
        self._young = set()
        self._began_at = at
