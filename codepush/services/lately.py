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
            self._begin(self._young)
        self._young.add(hash(what))

    def __contains__(self, what: Hashable) -> bool:
        """Tell whether it was added of late."""
        self._age()
        digest = hash(what)
        return digest in self._young or digest in self._old

    def __len__(self) -> int:
        """Return how many things are remembered, at least; some of them may be too old."""
        return len(self._young) + len(self._old)

    def _age(self) -> None:
        passed_s = time.monotonic() - self._began_at
        if passed_s >= self._half_s:
            self._begin(self._young if passed_s < 2 * self._half_s else set())

    def _begin(self, old: set[int]) -> None:
        self._old = old
        self._young = set()
        self._began_at = time.monotonic()
