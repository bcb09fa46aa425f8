"""What the server asks of a CDN in front of it."""

from typing import Protocol


class CdnError(Exception):
    """The CDN did not do as it was told; worth another try."""


class Cdn(Protocol):
    """Forgets answers by the surrogate keys that they carried; fails with ``CdnError`` only."""

    def purge(self, key: str) -> None:
        """Forget all answers that carried ``key``, which is letters, digits, ``_`` and ``-``."""
        ...
