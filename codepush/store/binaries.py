"""The packages inside apps as stores ship them, registered so that diffs to them can be made."""

import orjson

from codepush.domain.errors import ConflictError
from codepush.domain.events import Event, encode_event
from codepush.domain.ids import AppId, BlobKey, PackageHash
from codepush.domain.models import Binary
from codepush.store import keys
from codepush.store.apps import gone
from codepush.store.connection import StoreClient
from codepush.store.damage import read, text_in
from codepush.store.scripts import Scripts

_GONE, _FULL = 0, -2
"""Replies of ``change_binary``."""


class BinaryStore:
    """Binaries of each app, by the hash of the package in them."""

    def __init__(self, client: StoreClient, scripts: Scripts):
        """Use ``client`` for plain commands and ``scripts`` for writes."""
        self._client = client
        self._scripts = scripts

    def put(self, app_id: AppId, binary: Binary, *, limit: int, event: Event) -> None:
        """Register a binary, or register it anew; logged in the same step.

        Args:
            app_id: Whose binary.
            binary: To register.
            limit: Binaries that an app may have.
            event: For the log; its organization must still have the app.

        Raises:
            NotFoundError: The app is gone or has moved.
            ConflictError: It has ``limit`` binaries already.
        """
        record = {
            "app_version": binary.app_version,
            "listing": binary.listing,
            "added_at_ms": binary.added_at_ms,
            "added_by": binary.added_by,
        }
        text = orjson.dumps(record).decode()
        reply = self._change(app_id, binary.package_hash, text, event, limit)
        if reply == _GONE:
            raise gone(app_id)
        if reply == _FULL:
            raise ConflictError(
                f"The app has {limit} binaries already. Delete one that few devices run."
            )

    def list_of(self, app_id: AppId) -> list[Binary]:
        """Return an app's binaries, oldest first."""
        key = keys.binaries(app_id)
        held = self._client.hgetall(key)
        found = [read(key, decode_binary, PackageHash(each), text) for each, text in held.items()]
        return sorted(found, key=lambda each: (each.added_at_ms, each.package_hash))

    def get(self, app_id: AppId, package_hash: PackageHash) -> Binary | None:
        """Return the binary with this package in it."""
        key = keys.binaries(app_id)
        text = self._client.hget(key, package_hash)
        return read(key, decode_binary, package_hash, text) if text else None

    def delete(self, app_id: AppId, package_hash: PackageHash, *, event: Event) -> bool:
        """Forget a binary, logged in the same step; tells whether it was there."""
        return self._change(app_id, package_hash, "", event) == 1

    def _change(
        self, app_id: AppId, package_hash: PackageHash, record: str, event: Event, limit: int = 0
    ) -> int:
        touched = [keys.app(app_id), keys.binaries(app_id), keys.app_log(app_id)]
        arguments: list[str | int] = [
            package_hash,
            record,
            encode_event(event),
            event.organization_id,
            limit,
        ]
        return int(self._scripts.run("change_binary", touched, arguments))


def decode_binary(package_hash: PackageHash, text: str) -> Binary:
    """Return the binary stored under a package hash."""
    record = orjson.loads(text)
    return Binary(
        package_hash=package_hash,
        app_version=record["app_version"],
        listing=BlobKey(text_in(record["listing"])),
        added_at_ms=record["added_at_ms"],
        added_by=record["added_by"],
    )
