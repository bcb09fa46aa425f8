"""The packages inside apps as stores ship them: registered, so that diffs from them can be made.

iOS tells the hash of its binary's own package where it has no other.
"""

from pathlib import Path
from typing import BinaryIO

from codepush.domain.errors import InvalidParameterError, NotFoundError
from codepush.domain.events import Action
from codepush.domain.ids import PackageHash
from codepush.domain.models import App, Binary, Principal
from codepush.domain.permissions import Permission
from codepush.domain.semver import InvalidVersionError, normalize_app_version, parse_version
from codepush.services.access import Access
from codepush.services.clock import Clock
from codepush.services.package_jobs import PackageJobs
from codepush.services.packages import examine
from codepush.services.packaging import Packaging
from codepush.services.telling import Teller
from codepush.services.tokens import Tokens
from codepush.store.stores import Stores

MAX_BINARIES = 50
"""Of an app: each costs a diff with every release for it."""


class Binaries:
    """What can be done with the binaries of an app."""

    def __init__(
        self,
        stores: Stores,
        access: Access,
        tokens: Tokens,
        packaging: Packaging,
        jobs: PackageJobs,
        teller: Teller,
        clock: Clock,
        spool: Path,
    ):
        """Use ``stores``; find apps through ``access``; list files with ``packaging``."""
        self._stores = stores
        self._access = access
        self._tokens = tokens
        self._packaging = packaging
        self._jobs = jobs
        self._tell = teller
        self._clock = clock
        self._spool = spool

    def target(self, principal: Principal, reference: str) -> App:
        """Return the app to register a binary of, before its upload is read.

        Raises:
            NotFoundError: There is none for this principal.
            ForbiddenError: The principal may not release.
        """
        return self._access.app(principal, reference, Permission.COLLABORATOR)

    def add(self, principal: Principal, app: App, upload: BinaryIO, app_version: str) -> Binary:
        """Register a binary. Of its package only the list of files is kept.

        Args:
            principal: The caller.
            app: From ``target``.
            upload: The package in the binary, seekable: the zip that would be released.
            app_version: The binary's version.

        Raises:
            InvalidParameterError: The package or the version may not be.
            UnauthorizedError: The caller's token was revoked during the upload.
            NotFoundError: The app is gone by now, for the caller at least.
            ForbiddenError: The caller may not release any more.
            ConflictError: The app has too many.
            StorageError: The list of files could not be stored.
        """
        version = _checked_version(app_version)
        package = examine(upload, self._spool)
        if not package.is_archive:
            raise InvalidParameterError(
                "The package of a binary must be a zip with all files that the binary has, such as"
                " CodePush/main.jsbundle and CodePush/assets; devices could not have a diff to a"
                " single file.",
                parameter="package",
                reason="Not a zip",
            )
        binary = Binary(
            package_hash=package.hash,
            app_version=version,
            listing=self._packaging.list_files(app.id, package.files),
            added_at_ms=self._clock(),
            added_by=principal.user.email,
        )
        # The upload took its time; whoever was shut out meanwhile registers nothing.
        app = self._access.confirm(self._tokens.confirm(principal), app, Permission.COLLABORATOR)
        event = self._tell.about_app(
            principal, Action.BINARY_ADDED, app, target=version, packageHash=package.hash
        )
        self._stores.binaries.put(app.id, binary, limit=MAX_BINARIES, event=event)
        for deployment in self._stores.deployments.list_of(app):
            if deployment.latest:
                self._jobs.prepare(app.id, deployment.id, deployment.latest.label)
        return binary

    def list_for(self, principal: Principal, reference: str) -> list[Binary]:
        """Return an app's binaries, oldest first.

        Raises:
            NotFoundError: There is no such app for this principal.
        """
        app = self._access.app(principal, reference, Permission.READ)
        return self._stores.binaries.list_of(app.id)

    def remove(self, principal: Principal, reference: str, package_hash: str) -> None:
        """Forget a binary; diffs that were made from it stay.

        Raises:
            NotFoundError: There is no such app or binary for this principal.
            ForbiddenError: The principal may not release.
        """
        app = self.target(principal, reference)
        known = PackageHash(package_hash)
        event = self._tell.about_app(
            principal, Action.BINARY_REMOVED, app, target=package_hash[:64]
        )
        if not self._stores.binaries.delete(app.id, known, event=event):
            raise NotFoundError(
                f"The app has no binary with the package hash {package_hash[:64]!r}."
            )


def _checked_version(app_version: str) -> str:
    try:
        parse_version(normalize_app_version(app_version))
    except InvalidVersionError as exc:
        raise InvalidParameterError(
            f"{app_version[:60]!r} is not the version of a binary. Give one, such as 1.2.3; a range"
            " will not do.",
            parameter="appVersion",
            reason="Not a version",
        ) from exc
    return normalize_app_version(app_version)
