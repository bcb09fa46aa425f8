"""Releases: uploaded, promoted, rolled back, changed and cleared."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from codepush.domain import releasing as rules
from codepush.domain.errors import ConflictError, InvalidParameterError
from codepush.domain.events import Action, Event
from codepush.domain.ids import BlobKey, PackageHash, new_id
from codepush.domain.models import (
    App,
    Deployment,
    History,
    Principal,
    Release,
    ReleaseMethod,
)
from codepush.domain.permissions import Permission
from codepush.domain.releasing import Change, ReleaseOverrides
from codepush.domain.reports import digest
from codepush.services.access import Access
from codepush.services.clock import Clock
from codepush.services.deployments import Deployments
from codepush.services.downloads import Downloads
from codepush.services.package_jobs import PackageJobs
from codepush.services.packages import examine, lint
from codepush.services.signing import check_signature
from codepush.services.telling import Teller
from codepush.services.tokens import Tokens
from codepush.store.releases import Once
from codepush.store.stores import Stores


@dataclass(frozen=True, slots=True)
class Released:
    """A release made by a request.

    Attributes:
        is_repeat: Whether an earlier request with the same idempotency key made it.
        warnings: Sentences about what is allowed, but probably a mistake.
    """

    release: Release
    is_repeat: bool
    warnings: tuple[str, ...] = ()


class Releasing:
    """What can be done with the releases of a deployment."""

    def __init__(
        self,
        stores: Stores,
        access: Access,
        tokens: Tokens,
        deployments: Deployments,
        downloads: Downloads,
        jobs: PackageJobs,
        teller: Teller,
        clock: Clock,
        *,
        history_limit: int,
        spool: Path,
    ):
        """Use ``stores``; keep ``history_limit`` releases a deployment."""
        self._stores = stores
        self._access = access
        self._tokens = tokens
        self._deployments = deployments
        self._downloads = downloads
        self._jobs = jobs
        self._tell = teller
        self._clock = clock
        self._limit = history_limit
        self._spool = spool

    def target(self, principal: Principal, reference: str, name: str) -> tuple[App, Deployment]:
        """Return the deployment to release to, before its upload is read.

        Raises:
            NotFoundError: There is none for this principal.
            ForbiddenError: The principal may not release.
        """
        return self._deployments.get(principal, reference, name, Permission.COLLABORATOR)

    def release(
        self,
        principal: Principal,
        target: tuple[App, Deployment],
        upload: BinaryIO,
        properties: ReleaseOverrides,
        *,
        idempotency_key: str = "",
    ) -> Released:
        """Release an uploaded package.

        The package is stored before the release is committed, under a key made from its content,
        so a failure in between leaves a blob that nothing refers to and no trace of a release.

        Args:
            principal: The releaser.
            target: From ``target``.
            upload: Seekable.
            properties: Its ``app_version`` is required.
            idempotency_key: A repeated request with the same one is carried out once.

        Raises:
            InvalidParameterError: The package or a property may not be.
            UnauthorizedError: The releaser's token was revoked during the upload.
            NotFoundError: The app or its deployment is gone by now, for the releaser at least.
            ForbiddenError: The releaser may not release any more.
            ConflictError: A rollout is unfinished, or the newest release has the same contents.
            StorageError: The package could not be stored.
        """
        app, deployment = target
        if properties.app_version is None:
            raise InvalidParameterError(
                "The appVersion is missing; say which binary versions the release is for.",
                parameter="appVersion",
                reason="Missing",
            )
        _check(properties)
        package = examine(upload, self._spool)
        check_signature(package, app)  # refuse before storing
        once = _once(
            principal, idempotency_key, "release", deployment.id, package.sha256, repr(properties)
        )
        blob_key = BlobKey(f"{app.id}/{package.sha256}")
        release = properties.apply_to(
            Release(
                id=new_id(),
                number=0,
                app_version="",
                package_hash=package.hash,
                blob_key=blob_key,
                size=package.size,
                uploaded_at_ms=self._clock(),
                released_by=principal.user.email,
                method=ReleaseMethod.UPLOAD,
                bytecode_version=package.bytecode_version,
            )
        )

        def decide(history: History) -> Change:
            return rules.add_release(history, release, limit=self._limit)

        history = self._stores.releases.history(app.id, deployment.id)
        if not once:  # refuse before storing; a repeated request is not refused
            decide(history)
        newest = history.newest
        del history  # or there would be two, whole, when it is read again
        self._downloads.keep(
            app.id,
            package.source,
            size=package.size,
            sha256=package.sha256,
            content_type=package.content_type,
        )
        # The upload took its time; whoever was shut out meanwhile releases nothing.
        confirmed = self._tokens.confirm(principal)
        app = self._access.confirm(confirmed, app, Permission.COLLABORATOR)
        warnings = check_signature(package, app)
        tell = self._telling(principal, Action.DEPLOYMENT_RELEASED, app, deployment.name)
        change = self._add(app, deployment, decide, tell, once, is_stored=True)
        warnings += lint(package, app, newest)
        return Released(_added(change), change.is_repeat, warnings)

    def promote(
        self,
        principal: Principal,
        reference: str,
        source_name: str,
        target_name: str,
        overrides: ReleaseOverrides,
        *,
        label: str | None = None,
        idempotency_key: str = "",
    ) -> Released:
        """Release what another deployment of the app has.

        Raises:
            NotFoundError: A deployment or the release is not there for this principal.
            ForbiddenError: The principal may not release.
            InvalidParameterError: A property may not be.
            ConflictError: A rollout is unfinished, or the newest release has the same contents, or
                the release is not signed and must be.
            StorageError: The package must be signed, and could not be read.
        """
        _check(overrides)
        app, source = self._deployments.get(
            principal, reference, source_name, Permission.COLLABORATOR
        )
        target = self._stores.deployments.get(app, target_name)
        history = self._stores.releases.history(app.id, source.id).only(label)
        template = self._template(principal)
        once = _once(
            principal,
            idempotency_key,
            "promote",
            source.id,
            target.id,
            label or "",
            repr(overrides),
        )

        def decide(target_history: History) -> Change:
            return rules.promote(
                history,
                target_history,
                template,
                overrides,
                label=label,
                source_name=source_name,
                limit=self._limit,
            )

        tell = self._telling(principal, Action.DEPLOYMENT_PROMOTED, app, target.name)
        change = self._add(app, target, decide, tell, once)
        return Released(_added(change), change.is_repeat)

    def roll_back(
        self, principal: Principal, reference: str, name: str, *, label: str | None = None
    ) -> Release:
        """Release an earlier release again; the second newest unless told which.

        Raises:
            NotFoundError: The deployment or release is not there for this principal.
            ForbiddenError: The principal may not release.
            ConflictError: It is the newest already, or for another binary, or not signed where it
                must be.
            StorageError: The package must be signed, and could not be read.
        """
        app, deployment = self.target(principal, reference, name)
        template = self._template(principal)

        def decide(history: History) -> Change:
            return rules.roll_back(history, template, label=label, limit=self._limit)

        tell = self._telling(principal, Action.DEPLOYMENT_ROLLED_BACK, app, deployment.name)
        return _added(self._add(app, deployment, decide, tell))

    def patch(
        self,
        principal: Principal,
        reference: str,
        name: str,
        overrides: ReleaseOverrides,
        *,
        label: str | None = None,
        only_up: bool,
    ) -> Release | None:
        """Change properties of a release; the newest unless told which.

        Args:
            principal: The caller.
            reference: The app.
            name: The deployment.
            overrides: What to change.
            label: Which release.
            only_up: Whether its rollout may only grow.

        Returns:
            The release as it is now, or None where it was so already.

        Raises:
            NotFoundError: The deployment or release is not there for this principal.
            ForbiddenError: The principal may not release.
            InvalidParameterError: A property may not be.
            ConflictError: The rollout may not change that way.
        """
        _check(overrides)
        app, deployment = self.target(principal, reference, name)

        def decide(history: History) -> Change:
            return rules.patch_release(history, overrides, label=label, only_up=only_up)

        tell = self._telling(principal, Action.RELEASE_UPDATED, app, deployment.name)
        change = self._stores.releases.change(app.id, deployment.id, decide, tell=tell)
        return change.updated[0] if change.updated else None

    def clear(self, principal: Principal, reference: str, name: str) -> None:
        """Drop all releases of a deployment and its metrics; labels go on counting.

        Raises:
            NotFoundError: The deployment is not there for this principal.
            ForbiddenError: The principal is not an owner.
        """
        app, deployment = self._deployments.get(principal, reference, name, Permission.OWNER)

        def tell(_change: Change) -> Event:
            return self._tell.about_app(
                principal, Action.DEPLOYMENT_CLEARED, app, deployment=deployment.name
            )

        self._stores.releases.change(app.id, deployment.id, rules.clear, tell=tell)

    def _add(
        self,
        app: App,
        deployment: Deployment,
        decide: Callable[[History], Change],
        tell: Callable[[Change], Event],
        once: Once | None = None,
        *,
        is_stored: bool = False,
    ) -> Change:
        """Commit a release with what was made of its package before, and have the rest made."""
        supplied: dict[BlobKey, Release] = {}

        def supply(history: History) -> Change:
            change = decide(history)
            added = _added(change)
            if added.blob_key not in supplied:
                supplied[added.blob_key] = self._downloads.supplied(
                    app.id, added, history, is_stored=is_stored
                )
                if app.signing.is_required and not is_stored:
                    self._check_signature_of(app, added)
            made = supplied[added.blob_key]
            return replace(change, added=replace(added, served=made.served, diffs=made.diffs))

        change = self._stores.releases.change(app.id, deployment.id, supply, tell=tell, once=once)
        # A repeated request's, too: the first may have been cut off before.
        self._jobs.prepare(app.id, deployment.id, _added(change).label)
        return change

    def _check_signature_of(self, app: App, release: Release) -> None:
        """Return if a stored package is signed as its app wants it now, maybe since its upload."""
        with self._downloads.fetch(release.full, self._spool) as file:
            try:
                check_signature(examine(file, self._spool), app)
            except InvalidParameterError as exc:
                raise ConflictError(
                    "This release cannot be released again, since the app takes signed packages"
                    f" only by now. {exc}"
                ) from exc

    def _telling(
        self, principal: Principal, action: Action, app: App, deployment: str
    ) -> Callable[[Change], Event]:
        def tell(change: Change) -> Event:
            release = change.added or change.updated[0]
            return self._tell.about_release(
                principal, action, app, deployment, release, change.replaced
            )

        return tell

    def _template(self, principal: Principal) -> Release:
        """Return what a copy of a release takes from its copier."""
        return Release(
            id=new_id(),
            number=0,
            app_version="",
            package_hash=PackageHash(""),
            blob_key=BlobKey(""),
            size=0,
            uploaded_at_ms=self._clock(),
            released_by=principal.user.email,
            method=ReleaseMethod.UPLOAD,
        )


def _once(principal: Principal, key: str, *asked: str) -> Once | None:
    """Return what tells a repeated request, or None where the caller did not name it."""
    if not key:
        return None
    return Once(request=digest(principal.user.id, key), asked=digest(*asked))


def _check(properties: ReleaseOverrides) -> None:
    if properties.app_version is not None:
        rules.check_range(properties.app_version)


def _added(change: Change) -> Release:
    if change.added is None:  # pragma: no cover - the rules that add always say what
        raise AssertionError("The change adds no release.")
    return change.added
