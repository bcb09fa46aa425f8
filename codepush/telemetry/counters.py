"""Counters of this process, for whoever collects metrics."""

from threading import Lock

_registry: dict[str, "Counter"] = {}


class Counter:
    """A number that only grows; safe to add to from any thread.

    Attributes:
        name: As collectors spell it, e.g. ``quota_unavailable_total``.
        meaning: One sentence for people.
    """

    def __init__(self, name: str, meaning: str):
        """Register the counter; one name means one counter."""
        if name in _registry:
            raise ValueError(f"there is a counter {name} already")
        self.name = name
        self.meaning = meaning
        self._value = 0
        self._lock = Lock()
        _registry[name] = self

    def add(self, amount: int = 1) -> None:
        """Count ``amount`` more."""
        with self._lock:
            self._value += amount

    @property
    def value(self) -> int:
        """How many since the process began."""
        return self._value


def counters() -> list[Counter]:
    """Return every counter, by name."""
    return [_registry[name] for name in sorted(_registry)]
