"""A bounded table of what was worked out before."""

from typing import Generic, TypeVar

V = TypeVar("V")


class Memo(Generic[V]):
    """Keeps what is asked for often, however much else is asked for in between.

    Two generations: what is found in the old one moves to the young one, and when that is full, it
    becomes the old one. So a flood of new keys pushes out only what is not asked for meanwhile.
    Not to be used by two threads.
    """

    def __init__(self, most: int):
        """Hold at most ``most`` values."""
        self._half = most // 2
        self._young: dict[bytes, V] = {}
        self._old: dict[bytes, V] = {}

    def get(self, key: bytes) -> V | None:
        """Return a value that is held."""
        found = self._young.get(key)
        if found is None and self._old:
            found = self._old.pop(key, None)
            if found is not None:
                self.put(key, found)
        return found

    def put(self, key: bytes, value: V) -> None:
        """Hold a value."""
        if len(self._young) >= self._half:
            self._old = self._young
            self._young = {}
        self._young[key] = value

    def clear(self) -> None:
        """Forget everything."""
        self._young.clear()
        self._old.clear()

    def __len__(self) -> int:
        """Return how many values are held."""
        return len(self._young) + len(self._old)
