"""Which devices a release with an unfinished rollout is offered to.

Bit-identical to Microsoft's server, so that a fleet which moves here does not reshuffle: its
hash runs over UTF-16 code units, and only the shift is cut to 32 bits, not the sum. Neighbouring
labels move a device by one bucket, so the same devices are early in each rollout.
"""

from collections.abc import Callable, Sequence

try:
    from codepush.domain import _rollout as compiled
except ImportError:  # there was no C compiler when this was installed
    compiled = None  # type: ignore[assignment]

_CYCLE = float(1 << 27)
_HALF = 1 << 26
_SMALL = [float(unit) for unit in range(256)]


def rollout_hash(units: Sequence[int]) -> int:
    """Return the reference server's hash of UTF-16 code units; may exceed 32 bits.

    There, each code unit ``c`` makes ``h`` into ``int32(h << 5) - h + c``. The shift sees the lower
    27 bits of ``h`` only, and those are the lower bits of ``31 * h + c``. So the hash is an
    alternating sum of the units and of 32 times those bits, taken as signed numbers. Half a cycle
    more makes them positive, and 31 halves are a half again. They are worked out in floats, which
    hold them exactly; beyond 30 bits, Python's integers take longer.
    """
    steps = map(_SMALL.__getitem__, units) if isinstance(units, bytes) else map(float, units)
    low = float(_HALF)
    total = 0.0
    for first, second in zip(steps, steps, strict=False):
        middle = (low * 31.0 + first) % _CYCLE
        total += middle - low
        low = (middle * 31.0 + second) % _CYCLE
    even = len(units) & ~1
    value = 32 * int(total) + sum(units[1:even:2]) - sum(units[:even:2])
    if even == len(units):
        return value
    return units[-1] + 32 * (int(low) - _HALF) - value


_hash_bytes: Callable[[bytes], int] = compiled.hash_bytes if compiled else rollout_hash
"""The same for code units of a byte each; in Python, it would be a fifth of what a check costs."""


def code_units(text: str) -> Sequence[int]:
    """Return the UTF-16 code units of a text."""
    if text.isascii():
        return text.encode()
    units = text.encode("utf-16-le", "surrogatepass")
    return [low | high << 8 for low, high in zip(units[::2], units[1::2], strict=True)]


def bucket(client_unique_id: str, label: str) -> int:
    """Return the device's bucket for a release, 0 to 99."""
    return abs(rollout_hash(code_units(f"{client_unique_id}-{label}"))) % 100


def is_early(units: bytes, rollout: int) -> bool:
    """Return whether a device gets a release that is at ``rollout`` percent.

    Args:
        units: The device's id, a hyphen and the label, in ASCII.
        rollout: From 1 to 99.
    """
    return abs(_hash_bytes(units)) % 100 < rollout


def is_selected(client_unique_id: str, label: str, rollout: int) -> bool:
    """Return whether a device gets a release that is at ``rollout`` percent.

    A device that does not say who it is gets the release only when the rollout is finished.
    """
    if rollout >= 100:
        return True
    return bool(client_unique_id) and bucket(client_unique_id, label) < rollout
