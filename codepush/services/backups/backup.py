"""Makes backups while the server works."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, cast

from codepush.domain.errors import NotFoundError
from codepush.domain.ids import BlobKey
from codepush.domain.storage import BlobStorage, StoredBlob, content_sha256
from codepush.services.backups.format import ListedBlob
from codepush.services.backups.references import Need
from codepush.services.backups.survey import OnGroup, Survey
from codepush.services.backups.writing import BackupWriter
from codepush.services.clock import Clock
from codepush.store import layout
from codepush.store.connection import StoreClient
from codepush.store.groups import GroupReader


@dataclass(slots=True)
class Made:
    """A backup that was made.

    Attributes:
        blobs: How many the storage has.
        faults: What was not sound in the data; it is in the backup as it was.
        gone: Listed blobs that were deleted before they could be included.
        damaged: Blobs whose content is not what their key says; they are included as they are.
    """

    sha256: str = ""
    blobs: int = 0
    faults: list[Need] = field(default_factory=list)
    gone: list[BlobKey] = field(default_factory=list)
    damaged: list[BlobKey] = field(default_factory=list)


def make_backup(
    client: StoreClient,
    storage: BlobStorage,
    clock: Clock,
    path: Path,
    *,
    with_blobs: bool,
    on_group: OnGroup = lambda _done, _all: None,
    on_blob: OnGroup = lambda _done, _all: None,
) -> Made:
    """Write everything in the store, and a list of the blobs, to a new file.

    Args:
        client: Of the store; takes any bytes for text.
        storage: Whose blobs to list.
        clock: Tells the time.
        path: Of the file.
        with_blobs: Include the blobs themselves.
        on_group: Told about each group of keys.
        on_blob: Told about each blob that is included.

    Raises:
        ConflictError: The file exists.
        StorageError: The disk or the storage refuses.
    """
    made = Made()
    version = layout.version_of(client) or layout.VERSION
    with BackupWriter(path, layout=version, created_at_ms=clock()) as writer:
        made.faults = Survey(GroupReader(client), clock).run(writer, on_group)
        # After the store, so that what a release names is listed.
        listed = sorted(storage.list_blobs(), key=lambda blob: blob.key)
        for blob in listed:
            writer.list_blob(ListedBlob(blob.key, blob.size, content_sha256(blob.key)))
        made.blobs = len(listed)
        if with_blobs:
            for done, blob in enumerate(listed, 1):
                _include(writer, storage, blob, made)
                on_blob(done, len(listed))
        made.sha256 = writer.finish()
    return made


def _include(writer: BackupWriter, storage: BlobStorage, blob: StoredBlob, made: Made) -> None:
    try:
        source = _Hashing(storage.open(blob.key))
    except NotFoundError:
        made.gone.append(blob.key)
        return
    with source.file:
        writer.include_blob(blob.key, blob.size, cast(BinaryIO, source))
    if source.digest.hexdigest() != content_sha256(blob.key):
        made.damaged.append(blob.key)


class _Hashing:
    """Hashes what is read."""

    def __init__(self, file: BinaryIO):
        self.file = file
        self.digest = hashlib.sha256()

    def read(self, size: int) -> bytes:
        chunk = self.file.read(size)
        self.digest.update(chunk)
        return chunk
