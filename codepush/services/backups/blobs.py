"""Reads every package file that releases name, and puts each diff onto its base as devices do."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import BinaryIO

from codepush.archive.diffs import apply_diff
from codepush.archive.listing import load_listing
from codepush.domain.errors import InvalidParameterError, NotFoundError
from codepush.domain.ids import BlobKey
from codepush.domain.models import Download
from codepush.domain.package_hash import package_hash
from codepush.domain.storage import BlobStorage, content_sha256
from codepush.services.packages import examine

_CHUNK_BYTES = 1 << 20

Tree = Mapping[str, str]
"""SHA-256 of each file of a package, by path."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Why a blob must be there.

    Attributes:
        who: The release, for people.
        package_hash: Of what is in a full package.
        diffs: For a diff, the packages that it is put onto and what comes out, by package hash.
    """

    who: str
    package_hash: str
    diffs: tuple[tuple[str, str], ...] = ()


WantedBlobs = dict[Download, Wanted]


class BlobLook:
    """Looks at the blobs of one app after the other."""

    def __init__(self, storage: BlobStorage, on_blob: Callable[[], None]):
        """Read from ``storage``; call ``on_blob`` after each."""
        self._storage = storage
        self._on_blob = on_blob
        self.untried = 0
        """Diffs from packages of which nobody knows any more what was in them."""

    def faults(
        self, wanted: WantedBlobs, listings: Iterable[str]
    ) -> Iterator[tuple[Download, Wanted, str]]:
        """Yield what is wrong with the blobs of an app.

        Args:
            wanted: All of them.
            listings: Blobs that list what is in packages of the app, also in some without release.

        Raises:
            StorageError: The storage refuses.
        """
        trees: dict[str, Tree] = {}
        # Full packages first: they tell what diffs are put onto.
        for download, why in sorted(wanted.items(), key=_order):
            if any(base not in trees for base, _ in why.diffs):
                trees |= self._listed(listings)
                listings = ()
            fault = self._fault(download, why, trees)
            if fault:
                yield download, why, fault
            self._on_blob()

    def _fault(self, download: Download, why: Wanted, trees: dict[str, Tree]) -> str:
        digest, size = hashlib.sha256(), 0
        with TemporaryFile() as copy:
            try:
                with self._storage.open(BlobKey(download.blob_key)) as file:
                    while chunk := file.read(_CHUNK_BYTES):
                        digest.update(chunk)
                        size += len(chunk)
                        copy.write(chunk)
            except NotFoundError:
                return "is missing"
            if size != download.size:
                return f"has {size} bytes in place of {download.size}"
            if content_sha256(download.blob_key) != digest.hexdigest():
                return "has another SHA-256 than its name says"
            copy.seek(0)
            return self._try(copy, why, trees) if why.diffs else _look_into(copy, why, trees)

    def _try(self, diff: BinaryIO, why: Wanted, trees: Mapping[str, Tree]) -> str:
        for base, wanted in why.diffs:
            if base not in trees:
                self.untried += 1
                continue
            try:
                made = package_hash(apply_diff(trees[base], diff).items())
            except ValueError as exc:
                return f"is no diff that a device could apply ({exc})"
            if made != wanted:
                return f"does not make of the package {base} what the release says"
        return ""

    def _listed(self, listings: Iterable[str]) -> dict[str, Tree]:
        """Return what is in packages that have a listing; one that is lost says nothing."""
        found: dict[str, Tree] = {}
        for key in listings:
            try:
                with self._storage.open(BlobKey(key)) as file:
                    tree = {each.path: each.sha256 for each in load_listing(file.read())}
            except (NotFoundError, ValueError):
                continue
            found[package_hash(tree.items())] = tree
        return found


def _order(item: tuple[Download, Wanted]) -> tuple[bool, str]:
    return bool(item[1].diffs), item[0].blob_key


def _look_into(package: BinaryIO, why: Wanted, trees: dict[str, Tree]) -> str:
    try:
        found = examine(package)
    except InvalidParameterError:
        return "has another package hash than the release says"
    if found.hash != why.package_hash:
        return "has another package hash than the release says"
    trees[found.hash] = {file.path: file.sha256 for file in found.files}
    return ""


def listings_in(kind: str, text: str) -> list[str]:
    """Return the listing that a record of a package or of a binary names, if it does.

    Args:
        kind: ``packages`` or ``binaries``.
        text: The record.
    """
    record = json.loads(text)
    named = record.get("listing") if kind == "binaries" else record[1]
    return [named] if named else []
