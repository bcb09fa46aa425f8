"""What workers make of a package after its release: a smaller one, and diffs to it.

All of it may be done twice or be cut off anywhere: blobs are named by their bytes, what was made is
noted once its blob is stored, and releases are changed last.
"""

import hashlib
import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from io import BytesIO
from pathlib import Path

from codepush.archive.diffs import build_diff, meets_leftovers
from codepush.archive.gate import inspect
from codepush.archive.listing import dump_listing, load_listing
from codepush.archive.models import Archive, PackedFile
from codepush.archive.recompression import recompress
from codepush.domain.diffing import MAX_DIFFS, eager_bases
from codepush.domain.errors import (
    DamagedError,
    InvalidParameterError,
    NotFoundError,
    StorageError,
)
from codepush.domain.ids import AppId, BlobKey, DeploymentId, PackageHash
from codepush.domain.models import Binary, Download, History, Release
from codepush.domain.package_hash import is_hashed
from codepush.domain.releasing import Change
from codepush.domain.semver import parse_range, parse_version
from codepush.domain.storage import BlobStorage, content_sha256
from codepush.services.downloads import Downloads
from codepush.store.packages import Prepared
from codepush.store.stores import Stores

log = logging.getLogger("codepush.packages")

_ZIP = "application/zip"
_BYTES = "application/octet-stream"

Diffs = Mapping[PackageHash, Download | None]


class Packaging:
    """Makes smaller packages and diffs."""

    def __init__(self, stores: Stores, storage: BlobStorage, downloads: Downloads, spool: Path):
        """Use ``stores`` and ``storage``; keep files in the making in the folder ``spool``."""
        self._stores = stores
        self._storage = storage
        self._downloads = downloads
        self._spool = spool

    def prepare(self, app_id: AppId, deployment_id: DeploymentId, label: str) -> None:
        """Make all that a release should have: a smaller package, then diffs to it.

        A release that is gone meanwhile needs nothing.

        Raises:
            StorageError: The storage failed, or the package in it is damaged.
        """
        found = self._find(app_id, deployment_id, label)
        if found is None:
            return
        history, release = found
        missing = missing_bases(self._stores.binaries.list_of(app_id), history, release)
        self._make(app_id, release, missing)

    def prepare_diff(
        self, app_id: AppId, deployment_id: DeploymentId, label: str, base: PackageHash
    ) -> None:
        """Make the diff that devices with the package ``base`` need for a release.

        Raises:
            StorageError: The storage failed, or the package in it is damaged.
        """
        found = self._find(app_id, deployment_id, label)
        if found is None or base in found[1].diffs or base == found[1].package_hash:
            return
        self._make(app_id, found[1], (base,))

    def _make(self, app_id: AppId, release: Release, bases: tuple[PackageHash, ...]) -> None:
        """Make a smaller package and diffs, and give them to all releases of the upload."""
        prepared = self._prepared(app_id, release)
        self._give(app_id, release.blob_key, served=prepared.served)
        try:
            made, failure = self._diffs(app_id, release, prepared, bases)
        except DamagedError:
            if self._storage.size(release.blob_key) is None:
                raise
            # Made of the upload once more, what is damaged is stored anew.
            prepared = self._look_into(app_id, release, Download(release.blob_key, release.size))
            made, failure = self._diffs(app_id, release, prepared, bases)
        self._give(app_id, release.blob_key, served=prepared.served, diffs=made)
        if failure:
            raise failure

    def list_files(self, app_id: AppId, files: tuple[PackedFile, ...]) -> BlobKey:
        """Store the list of a package's files; return its blob.

        Raises:
            StorageError: It could not be stored.
        """
        data = dump_listing(files)
        digest = hashlib.sha256(data).hexdigest()
        kept = self._downloads.keep(
            app_id, BytesIO(data), size=len(data), sha256=digest, content_type=_BYTES
        )
        return kept.blob_key

    def _find(
        self, app_id: AppId, deployment_id: DeploymentId, label: str
    ) -> tuple[History, Release] | None:
        try:
            history = self._stores.releases.history(app_id, deployment_id)
        except NotFoundError:
            return None
        release = history.find(label)
        return (history, release) if release else None

    def _prepared(self, app_id: AppId, release: Release) -> Prepared:
        """Return what was made of a release's package; make it where it was not."""
        held = self._stores.packages.prepared(app_id, release.blob_key)
        if held and all(map(self._storage.touch, _blobs_of(held))):
            return held
        return self._look_into(app_id, release, self._source_of(release))

    def _look_into(self, app_id: AppId, release: Release, source: Download) -> Prepared:
        with (
            self._downloads.fetch(source, self._spool) as file,
            inspect(file, self._spool) as package,
        ):
            if not package.is_archive:
                made = Prepared(source, None)
            else:
                with recompress(package, self._spool) as smaller:
                    served, files = source, package.files
                    # One that an older gate let in may have been rewritten by this one.
                    if smaller.size < source.size or package.owns_file:
                        served, files = self._keep(app_id, smaller), smaller.files
                    made = Prepared(served, self.list_files(app_id, files))
        self._stores.packages.note_prepared(app_id, release.blob_key, made)
        return made

    def _source_of(self, release: Release) -> Download:
        """Return the package as it is stored: the uploaded one is collected after a while."""
        uploaded = Download(release.blob_key, release.size)
        if release.served and self._storage.size(release.served.blob_key) is None:
            return uploaded
        return release.full

    def _diffs(
        self, app_id: AppId, release: Release, prepared: Prepared, bases: tuple[PackageHash, ...]
    ) -> tuple[Diffs, StorageError | None]:
        """Return the diffs from ``bases``; make those that were not made before.

        A base that cannot be read costs no other its diff. Where it is damaged, there is none
        until the same contents are released again; where the storage failed, its error is returned
        too, since another try may help.
        """
        known = self._stores.packages.diffs(app_id, release.blob_key, bases)
        made = {
            base: diff
            for base, diff in known.items()
            if diff is None or self._storage.touch(diff.blob_key)
        }
        failure: StorageError | None = None
        wanted = [base for base in bases if base not in made]
        with ExitStack() as stack:
            new: Archive | None = None
            if wanted and prepared.listing:
                files = load_listing(self._read(prepared.listing))
                file = stack.enter_context(self._downloads.fetch(prepared.served, self._spool))
                sha256 = content_sha256(prepared.served.blob_key)
                new = Archive(file, prepared.served.size, sha256, files)
            for base in wanted:
                try:
                    made[base] = self._diff(app_id, base, new) if new else None
                except (DamagedError, InvalidParameterError) as exc:
                    log.warning("there is no diff from the package %s (%s)", base, exc)
                    continue
                except StorageError as exc:
                    failure = exc
                    continue
                self._stores.packages.note_diff(app_id, release.blob_key, base, made[base])
        return made, failure

    def _diff(self, app_id: AppId, base: PackageHash, new: Archive) -> Download | None:
        listing = self._listing_of(app_id, base)
        had, to_come = _comparable(listing), new.digests()
        if not had or meets_leftovers(had.keys(), to_come.keys(), self._all_paths(app_id)):
            return None
        diff = build_diff(had, new, self._spool)
        if diff is None:
            return None
        with diff:
            return self._keep(app_id, diff)

    def _all_paths(self, app_id: AppId) -> Iterator[list[str]]:
        """Yield the paths in each package that devices of an app may have had."""
        binaries = self._stores.binaries.list_of(app_id)
        known = self._stores.packages.listings(app_id) | {each.listing for each in binaries}
        for key in sorted(known):
            try:
                yield [file.path for file in load_listing(self._read(key))]
            except (NotFoundError, DamagedError):
                continue  # no diff can be made from that one

    def _listing_of(self, app_id: AppId, package: PackageHash) -> tuple[PackedFile, ...]:
        """Return the files of a package that devices may have; none where they are not known."""
        binary = self._stores.binaries.get(app_id, package)
        listing = binary.listing if binary else None
        if listing is None:
            release = self._release_of(app_id, package)
            try:
                listing = self._prepared(app_id, release).listing if release else None
            except NotFoundError:
                log.warning("the package %s is not in the storage any more", package)
        return load_listing(self._read(listing)) if listing else ()

    def _release_of(self, app_id: AppId, package: PackageHash) -> Release | None:
        app = self._stores.apps.get(app_id)
        for deployment_id in app.deployments.values() if app else ():
            try:
                history = self._stores.releases.history(app_id, deployment_id)
            except NotFoundError:
                continue
            for release in reversed(history.releases):
                if release.package_hash == package:
                    return release
        return None

    def _give(
        self,
        app_id: AppId,
        blob_key: BlobKey,
        *,
        served: Download | None = None,
        diffs: Diffs | None = None,
    ) -> None:
        """Let every release of an uploaded package have what was made of it."""

        def decide(history: History) -> Change:
            changed = []
            for release in history.releases:
                if release.blob_key == blob_key:
                    given = _given(release, served, diffs or {})
                    if given != release:
                        changed.append(given)
            return Change(updated=tuple(changed))

        app = self._stores.apps.get(app_id)
        for deployment_id in app.deployments.values() if app else ():
            try:
                self._stores.releases.change(app_id, deployment_id, decide, tell=None)
            except NotFoundError:
                continue

    def _keep(self, app_id: AppId, archive: Archive) -> Download:
        return self._downloads.keep(
            app_id,
            archive.file,
            size=archive.size,
            sha256=archive.sha256,
            content_type=_ZIP,
        )

    def _read(self, key: BlobKey) -> bytes:
        with self._storage.open(key) as file:
            data = file.read()
        if hashlib.sha256(data).hexdigest() != content_sha256(key):
            raise DamagedError(f"The stored list {key} of a package's files is damaged.")
        return data


def missing_bases(
    binaries: Iterable[Binary], history: History, release: Release
) -> tuple[PackageHash, ...]:
    """Return the packages from which a release should have diffs unasked, and has none.

    Registered binaries are among them for what devices get now: others may ask.

    Args:
        binaries: Of the app.
        history: That the release is in.
        release: Any of it.
    """
    shipped: list[PackageHash] = []
    if _is_current(history, release):
        fitting = parse_range(release.app_version)
        shipped = [
            each.package_hash
            for each in binaries
            if fitting.matches(parse_version(each.app_version))
        ]
    bases = dict.fromkeys((*eager_bases(history, release), *shipped))
    wanted = [b for b in bases if b not in release.diffs and b != release.package_hash]
    return tuple(wanted[: max(0, MAX_DIFFS - len(release.diffs))])


def _is_current(history: History, release: Release) -> bool:
    """Tell whether a release is the newest enabled one for the binaries it is for."""
    fitting = [r for r in history.releases if r.app_version == release.app_version]
    return next((r for r in reversed(fitting) if not r.is_disabled), None) == release


def _given(release: Release, served: Download | None, diffs: Diffs) -> Release:
    room = max(0, MAX_DIFFS - len(release.diffs))
    new = [base for base in diffs if base not in release.diffs][:room]
    return replace(
        release,
        served=served or release.served,
        diffs={**release.diffs, **{base: diffs[base] for base in new}},
    )


def _blobs_of(prepared: Prepared) -> Iterator[BlobKey]:
    yield prepared.served.blob_key
    if prepared.listing:
        yield prepared.listing


def _comparable(files: tuple[PackedFile, ...]) -> dict[str, str]:
    """Return the digests of what a device has, as far as its package hash tells.

    Packages of one hash may differ in files that do not count, such as the signature: these are
    taken to differ from everything, and so are in every diff that has them.
    """
    return {file.path: file.sha256 if is_hashed(file.path) else "" for file in files}
