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
        text = self._client.hget(keys.packages(app_id), blob_key)
        return decode_prepared(text) if text else None

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
        held = self._client.hgetall(keys.packages(app_id))
        known = [decode_prepared(text) for field, text in held.items() if "|" not in field]
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
        fields = [_diff_field(blob_key, base) for base in wanted]
        found = self._client.hmget(keys.packages(app_id), fields)
        return {
            base: decode_download(orjson.loads(text))
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
        held = self._client.hgetall(keys.packages(app_id))
        others = [field for field in held if field.partition("|")[0] not in uploaded]
        if others:
            self._client.hdel(keys.packages(app_id), *others)
        kept = [decode_prepared(text) for field, text in held.items() if field in uploaded]
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
        Download(BlobKey(blob_key), size), BlobKey(listing) if listing is not None else None
    )
