"""Which devices a release with an unfinished rollout is offered to.

Bit-identical to Microsoft's server, so that a fleet which moves here does not reshuffle: its
hash runs over UTF-16 code units, and only the shift is cut to 32 bits, not the sum. Neighbouring
labels move a device by one bucket, so the same devices are early in each rollout.
"""


def rollout_hash(identifier: str) -> int:
    """Return the reference server's hash of ``identifier``; may exceed 32 bits."""
    value = 0
    units = identifier.encode("utf-16-le", "surrogatepass")
    for low, high in zip(units[::2], units[1::2], strict=True):
        shifted = (value << 5) & 0xFFFFFFFF
        value = (shifted ^ 0x80000000) - 0x80000000 - value + (low | high << 8)
    return value


def bucket(client_unique_id: str, label: str) -> int:
    """Return the device's bucket for a release, 0 to 99."""
    return abs(rollout_hash(f"{client_unique_id}-{label}")) % 100


def is_selected(client_unique_id: str, label: str, rollout: int) -> bool:
    """Return whether a device gets a release that is at ``rollout`` percent.

    A device that does not say who it is gets the release only when the rollout is finished.
    """
    if rollout >= 100:
        return True
    return bool(client_unique_id) and bucket(client_unique_id, label) < rollout
