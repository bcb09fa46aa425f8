"""What was made of packages, so that it is made once: by the blob key of the uploaded package.

Every blob that is named here is named by a release too, but for listings.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import orjson

from codepush.domain.ids import AppId, BlobKey, PackageHash
from codepush.domain.models import Download
from codepush.store import keys
from codepush.store.apps import gone
from codepush.store.connection import StoreClient
from codepush.store.damage import number_in, read, text_in
from codepush.store.releases import decode_download, encode_download
from codepush.store.scripts import Scripts


@dataclass(frozen=True, slots=True)
class Prepared:
    """A package that was looked into.

    Attributes:
        served: As devices get it.
        listing: Blob that lists its files, as ``archive/listing.py`` has it; None where it is a
            single file, for which there are no diffs.
    """

    served: Download
    listing: BlobKey | None


class PackageStore:
    """Prepared packages and diffs of each app."""

    def __init__(self, client: StoreClient, scripts: Scripts):
        """Use ``client`` for reads and ``scripts`` for writes."""
        self._client = client
        self._scripts = scripts

    def prepared(self, app_id: AppId, blob_key: BlobKey) -> Prepared | None:
        """Return what was made of an uploaded package."""
        key = keys.packages(app_id)
        text = self._client.hget(key, blob_key)
        return read(key, decode_prepared, text) if text else None

    def note_prepared(self, app_id: AppId, blob_key: BlobKey, prepared: Prepared) -> None:
        """Note what was made of an uploaded package.

        Raises:
            NotFoundError: The app is gone.
        """
        record = [encode_download(prepared.served), prepared.listing]
        self._note(app_id, {blob_key: orjson.dumps(record).decode()})

    def known(self, app_id: AppId) -> set[BlobKey]:
        """Return the uploaded packages of an app of which something was made."""
        held = self._client.hgetall(keys.packages(app_id))
        return {BlobKey(field) for field in held if "|" not in field}

    def listings(self, app_id: AppId) -> set[BlobKey]:
        """Return the listings of all packages of an app that are known."""
        key = keys.packages(app_id)
        held = self._client.hgetall(key)
        known = [read(key, decode_prepared, held[each]) for each in held if "|" not in each]
        return {each.listing for each in known if each.listing}

    def diffs(
        self, app_id: AppId, blob_key: BlobKey, bases: Iterable[PackageHash]
    ) -> dict[PackageHash, Download | None]:
        """Return the diffs to an uploaded package that are known; None is one that is not worth it.

        Args:
            app_id: Owner of the package.
            blob_key: Of the package.
            bases: The packages that devices have.
        """
        wanted = list(bases)
        if not wanted:
            return {}
        key = keys.packages(app_id)
        found = self._client.hmget(key, [_diff_field(blob_key, base) for base in wanted])
        return {
            base: read(key, decode_diff, text)
            for base, text in zip(wanted, found, strict=True)
            if text
        }

    def note_diff(
        self, app_id: AppId, blob_key: BlobKey, base: PackageHash, diff: Download | None
    ) -> None:
        """Note a diff to an uploaded package, or that none is worth it.

        Raises:
            NotFoundError: The app is gone.
        """
        text = orjson.dumps(encode_download(diff)).decode()
        self._note(app_id, {_diff_field(blob_key, base): text})

    def keep_only(self, app_id: AppId, uploaded: set[BlobKey]) -> set[BlobKey]:
        """Forget what was made of other packages than ``uploaded``.

        Returns:
            The listings of those that are kept.
        """
        key = keys.packages(app_id)
        held = self._client.hgetall(key)
        others = [field for field in held if field.partition("|")[0] not in uploaded]
        if others:
            self._client.hdel(key, *others)
        kept = [read(key, decode_prepared, held[each]) for each in held if each in uploaded]
        return {each.listing for each in kept if each.listing}

    def _note(self, app_id: AppId, fields: Mapping[str, str]) -> None:
        flat = [text for pair in fields.items() for text in pair]
        touched = [keys.app(app_id), keys.packages(app_id)]
        if not self._scripts.run("note_packages", touched, flat):
            raise gone(app_id)


def _diff_field(blob_key: BlobKey, base: PackageHash) -> str:
    return f"{blob_key}|{base}"


def decode_prepared(text: str) -> Prepared:
    """Return what a field of a blob key says."""
    (blob_key, size), listing = orjson.loads(text)
    return Prepared(
        Download(BlobKey(text_in(blob_key)), number_in(size)),
        BlobKey(text_in(listing)) if listing is not None else None,
    )


def decode_diff(text: str) -> Download | None:
    """Return what a field of a blob key and a base says."""
    return decode_download(orjson.loads(text))
