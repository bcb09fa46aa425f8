"""Numbers of this process, for whoever collects metrics.

Counting must cost next to nothing: these are plain integers, and ``telemetry/metrics.py`` publishes
them now and then.
"""

from threading import Lock

_registry: dict[str, "Counter"] = {}


class Cell:
    """A part of a counter that one thread owns: ``cell.count += 1`` is all that counting costs."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        """Begin at 0."""
        self.count = 0


class Counter:
    """A number that only grows, for each combination of labels; safe to add to from any thread.

    Attributes:
        name: As collectors spell it, e.g. ``quota_unavailable_total``.
        meaning: One sentence for people.
        labels: Names of its labels. Their values must be few.
    """

    def __init__(self, name: str, meaning: str, labels: tuple[str, ...] = ()):
        """Register the counter; one name means one counter."""
        if name in _registry:
            raise ValueError(f"there is a counter {name} already")
        self.name = name
        self.meaning = meaning
        self.labels = labels
        self._values: dict[tuple[str, ...], int] = {} if labels else {(): 0}
        self._cells: list[tuple[tuple[str, ...], Cell]] = []
        self._lock = Lock()
        _registry[name] = self

    def add(self, amount: int = 1, *labels: str) -> None:
        """Count ``amount`` more, of what the values of its labels say."""
        with self._lock:
            self._values[labels] = self._values.get(labels, 0) + amount

    def cell(self, *labels: str) -> Cell:
        """Return a new part that counts what the values of its labels say; it is never let go."""
        cell = Cell()
        with self._lock:
            self._cells.append((labels, cell))
        return cell

    @property
    def value(self) -> int:
        """How many since the process began, whatever their labels."""
        return sum(self.values().values())

    def values(self) -> dict[tuple[str, ...], int]:
        """Return how many, by the values of the labels."""
        with self._lock:
            values = dict(self._values)
            for labels, cell in self._cells:
                values[labels] = values.get(labels, 0) + cell.count
        return values


def counters() -> list[Counter]:
    """Return every counter, by name."""
    return [_registry[name] for name in sorted(_registry)]
