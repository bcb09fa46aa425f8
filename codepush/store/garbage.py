"""Since when nothing refers to a blob any more."""

from collections.abc import Iterable, Mapping

from codepush.domain.ids import BlobKey
from codepush.store import keys
from codepush.store.connection import StoreClient

_BATCH = 1_000


class GarbageStore:
    """Blobs that nothing refers to, with the time when that was first seen."""

    def __init__(self, client: StoreClient):
        """Use ``client``."""
        self._client = client

    def unreferenced(self) -> dict[BlobKey, int]:
        """Return them, with the time in ms; one whose time cannot be read is seen anew."""
        held = self._client.hgetall(keys.UNREFERENCED)
        return {BlobKey(key): int(at_ms) for key, at_ms in held.items() if at_ms.isdecimal()}

    def note(self, seen: Mapping[BlobKey, int]) -> None:
        """Note more of them."""
        for key, at_ms in seen.items():
            self._client.hset(keys.UNREFERENCED, key, str(at_ms))

    def forget(self, gone: Iterable[BlobKey]) -> None:
        """Forget those that are gone, or in use again."""
        left = list(gone)
        for start in range(0, len(left), _BATCH):
            self._client.hdel(keys.UNREFERENCED, *left[start : start + _BATCH])
