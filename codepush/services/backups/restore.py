"""Restores a backup into an empty store, of whatever kind."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, cast

from codepush.domain.errors import ConflictError, NotFoundError
from codepush.domain.ids import BlobKey
from codepush.domain.storage import BlobStorage, content_sha256
from codepush.services.backups.format import Head
from codepush.services.backups.reading import BackupFile, BackupFileError
from codepush.store import keys, layout
from codepush.store.connection import StoreClient
from codepush.store.entries import Entry
from codepush.store.groups import GroupWriter
from codepush.store.scanning import every_key

OnBytes = Callable[[int], None]

_BATCH_ITEMS = 2_000
_BATCH_ENTRIES = 200
_ZIP_MAGIC = b"PK"
_READ_BYTES = 1_000_000


@dataclass(slots=True)
class Restored:
    """What a restore did.

    Attributes:
        put: Blobs from the file that the storage lacked, or had damaged.
        missing: Blobs that the storage lacks, and the file too.
    """

    keys: int = 0
    put: int = 0
    missing: list[BlobKey] = field(default_factory=list)


def check_target(client: StoreClient, head: Head) -> None:
    """Return if a backup may be restored into the store of ``client``.

    Raises:
        ConflictError: The store is not empty, or in the middle of another restore.
        BackupFileError: The backup is from a newer server.
    """
    if head.layout > layout.VERSION:
        raise BackupFileError(
            f"The backup has layout {head.layout} and this server layout {layout.VERSION}: restore"
            " it with the newer server that made it."
        )
    begun = layout.restoring(client)
    if begun == head.sha256:
        return  # it goes on: all is written anew
    if begun:
        raise ConflictError(
            "A restore of another backup into this store did not finish. Restore that one again, or"
            " empty the store (FLUSHALL) first."
        )
    if any(keys.is_lasting(key) for key in every_key(client, f"{keys.ROOT}:*")):
        raise ConflictError(
            "The store is not empty, so nothing was restored. Restore into a new, empty store: one"
            " that no server has started on yet."
        )


def restore(
    client: StoreClient,
    storage: BlobStorage,
    file: BackupFile,
    head: Head,
    on_bytes: OnBytes = lambda _count: None,
) -> Restored:
    """Write what a checked backup holds; to be repeated if it is interrupted.

    Until it has finished no server starts on the store, and another try begins from the start.

    Args:
        client: Of the store; takes any bytes for text. See ``check_target``.
        storage: Gets the blobs that it lacks or has damaged, if the file includes them.
        file: The backup.
        head: What checking it returned.
        on_bytes: Told how many more bytes of the file were worked through.

    Raises:
        StorageError: The storage refuses.
    """
    done = Restored()
    layout.begin_restore(client, head.sha256)
    if head.includes_blobs:
        for key, size, content in file.included():
            done.put += _put_if_needed(storage, key, size, cast(BinaryIO, content))
            on_bytes(size)
    writer = GroupWriter(client)
    for batch in _batches(file.entries(on_bytes)):
        writer.write(batch)
        done.keys += sum(entry.is_first for entry in batch)
    layout.end_restore(client, head.layout)
    there = {blob.key: blob.size for blob in storage.list_blobs()}
    done.missing = [blob.key for blob in file.blobs() if there.get(blob.key) != blob.size]
    return done


def restore_blobs(
    storage: BlobStorage,
    file: BackupFile,
    on_bytes: OnBytes = lambda _count: None,
) -> int:
    """Put back the blobs that a storage lacks or has damaged; servers may work meanwhile.

    Returns:
        How many were put.

    Raises:
        StorageError: The storage refuses.
    """
    put = 0
    for key, size, content in file.included():
        put += _put_if_needed(storage, key, size, cast(BinaryIO, content))
        on_bytes(size)
    return put


def _batches(entries: Iterator[Entry]) -> Iterator[list[Entry]]:
    batch: list[Entry] = []
    items = 0
    for entry in entries:
        batch.append(entry)
        items += len(entry.items)
        if items >= _BATCH_ITEMS or len(batch) >= _BATCH_ENTRIES:
            yield batch
            batch, items = [], 0
    if batch:
        yield batch


def _put_if_needed(storage: BlobStorage, key: BlobKey, size: int, content: BinaryIO) -> bool:
    """Put a blob, unless the storage has it whole; return whether it was put."""
    if storage.size(key) == size and _is_sound(storage, key):
        return False
    is_zip = content.read(len(_ZIP_MAGIC)) == _ZIP_MAGIC
    content.seek(0)
    kind = "application/zip" if is_zip else "application/octet-stream"
    storage.put(key, content, size=size, content_type=kind)
    return True


def _is_sound(storage: BlobStorage, key: BlobKey) -> bool:
    """Return whether what the storage has is what the key says."""
    try:
        with storage.open(key) as file:
            digest = hashlib.sha256()
            while chunk := file.read(_READ_BYTES):
                digest.update(chunk)
    except NotFoundError:
        return False
    return digest.hexdigest() == content_sha256(key)
