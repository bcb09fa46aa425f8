"""Notices in a bucket: who is about to delete a blob says so, and who keeps it looks for that.

S3 has no deletion with a condition on the time of modification. Instead, a deletion puts a notice,
looks at the blob's time, deletes it, and takes the notice down. A touch renews the time first and
looks for notices after that. Since S3 shows every write to whoever reads after it, either the
deletion sees the new time, or the touch sees the notice and waits; and after it has seen none, any
later deletion will see the new time. Then the touch only has to look whether the blob is there.
"""

import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from typing import Any

from codepush.domain.errors import StorageError
from codepush.domain.ids import BlobKey

_FOLDER = ".deleting/"
"""No blob's key begins with a dot."""
_DELETE_WITHIN_S = 20.0
"""After its notice, for a deletion; requests have timeouts well below."""
_STALE_S = 120.0
"""After which a notice is one of a process that died."""
_WAIT_S = 30.0
_PAUSE_S = 0.1


class Notices:
    """The notices of one bucket. Fails with botocore's errors."""

    def __init__(self, client: Any, bucket: str, prefix: str):
        """Keep them below ``prefix``."""
        self._client = client
        self._bucket = bucket
        self._prefix = f"{prefix}{_FOLDER}"

    @contextmanager
    def announced(self, key: BlobKey) -> "Iterator[Deadline]":
        """Have a notice that ``key`` is about to be deleted."""
        name = f"{self._prefix}{key}/{secrets.token_hex(8)}"
        deadline = Deadline()
        self._client.put_object(Bucket=self._bucket, Key=name, Body=b"")
        try:
            yield deadline
        finally:
            self._client.delete_object(Bucket=self._bucket, Key=name)

    def wait(self, key: BlobKey) -> None:
        """Return when nobody is about to delete ``key``.

        Raises:
            StorageError: That takes too long.
        """
        give_up = time.monotonic() + _WAIT_S
        while self._are_there(key):
            if time.monotonic() > give_up:
                raise StorageError(
                    "The package could not be kept, because it is just being deleted. Please try"
                    " again in two minutes."
                )
            time.sleep(_PAUSE_S)

    def _are_there(self, key: BlobKey) -> bool:
        answer = self._client.list_objects_v2(Bucket=self._bucket, Prefix=f"{self._prefix}{key}/")
        fresh = False
        for notice in answer.get("Contents", ()):
            if _age_s(answer, notice) < _STALE_S:
                fresh = True
            else:
                self._client.delete_object(Bucket=self._bucket, Key=notice["Key"])
        return fresh


class Deadline:
    """Until when a deletion that was announced may be sent."""

    def __init__(self) -> None:
        """Begin now."""
        self._ends = time.monotonic() + _DELETE_WITHIN_S

    def check(self) -> None:
        """Check that it has not passed.

        Raises:
            StorageError: It has, so others may take the notice for one of a dead process.
        """
        if time.monotonic() > self._ends:
            raise StorageError(
                "The package could not be deleted, because the storage was too slow. Please try"
                " again."
            )


def _age_s(answer: Mapping[str, Any], notice: Mapping[str, Any]) -> float:
    """Return the age of a notice by the storage's own clock."""
    now = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
    age: float = (now - notice["LastModified"]).total_seconds()
    return age
