"""What release, promote, rollback, patch and clear do to a history; and when they may not.

Pure: each function takes the history as read and returns the change to commit. The store commits
it only if the history is still that one, so a rule judged here holds at the moment of the write.
The sentences are those of Microsoft's server, which people and scripts know.
"""

from dataclasses import dataclass, replace

from codepush.domain.errors import ConflictError, InvalidParameterError, NotFoundError
from codepush.domain.ids import PackageHash
from codepush.domain.models import FULL_ROLLOUT, History, Release, ReleaseMethod
from codepush.domain.semver import parse_range, parse_version


@dataclass(frozen=True, slots=True)
class Change:
    """What one commit does to a history.

    Attributes:
        added: A new release, numbered after all others.
        updated: Releases replaced under their own numbers.
        replaced: The release that a patch changes, as it was.
        dropped: Numbers of releases that leave the history.
        cleared: Whether the deployment's metrics go with them.
        is_repeat: Whether an earlier request of the same kind did it.
    """

    added: Release | None = None
    updated: tuple[Release, ...] = ()
    replaced: Release | None = None
    dropped: tuple[int, ...] = ()
    cleared: bool = False
    is_repeat: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to commit."""
        return not (self.added or self.updated or self.dropped or self.cleared)


@dataclass(frozen=True, slots=True)
class ReleaseOverrides:
    """Fields of a release that a caller may set; None leaves a field as it is."""

    app_version: str | None = None
    description: str | None = None
    is_disabled: bool | None = None
    is_mandatory: bool | None = None
    rollout: int | None = None

    def apply_to(self, release: Release) -> Release:
        """Return ``release`` with every given field set."""
        given = {
            name: value
            for name in ("app_version", "description", "is_disabled", "is_mandatory", "rollout")
            if (value := getattr(self, name)) is not None
        }
        return replace(release, **given)


def add_release(history: History, release: Release, *, limit: int) -> Change:
    """Append an uploaded release.

    Args:
        history: As read.
        release: The new one; its number is given here.
        limit: Newest releases to keep.

    Raises:
        ConflictError: A rollout is unfinished, or the newest release has the same contents.
    """
    _refuse_over_rollout(
        history,
        "Please update the previous release to 100% rollout before releasing a new package.",
    )
    if _current_hash(history, release.app_version) == release.package_hash:
        raise ConflictError(
            "The uploaded package was not released because it is identical to the contents of the"
            " specified deployment's current release."
        )
    return _append(history, release, limit)


def promote(
    source: History,
    target: History,
    template: Release,
    overrides: ReleaseOverrides,
    *,
    label: str | None,
    source_name: str,
    limit: int,
) -> Change:
    """Append a copy of a release of another deployment.

    Args:
        source: History of the deployment to take from.
        target: History of the deployment to release to.
        template: Carries the id, time and e-mail address of the new release.
        overrides: Set on the copy; its rollout is 100 % unless set, whatever the source's is.
        label: Release to take; the newest if None.
        source_name: Name of the deployment to take from.
        limit: Newest releases to keep.

    Raises:
        NotFoundError: There is no such release in the source.
        ConflictError: A rollout is unfinished in the target, or its newest release has the same
            contents.
    """
    chosen = source.find(label) if label else source.newest
    if chosen is None:
        if label and source.newest:
            raise NotFoundError(
                f'Cannot promote the release {label}: the deployment "{source_name}" has no'
                " release of that label."
            )
        raise NotFoundError("Cannot promote from a deployment with no enabled releases.")
    _refuse_over_rollout(
        target, "Cannot promote to an unfinished rollout release unless it is already disabled."
    )
    copy = replace(
        chosen,
        id=template.id,
        uploaded_at_ms=template.uploaded_at_ms,
        released_by=template.released_by,
        method=ReleaseMethod.PROMOTE,
        rollout=FULL_ROLLOUT,
        original_label=chosen.label,
        original_deployment=source_name,
    )
    copy = overrides.apply_to(copy)
    if _current_hash(target, copy.app_version) == copy.package_hash:
        raise ConflictError(
            "The uploaded package was not promoted because it is identical to the contents of the"
            " targeted deployment's current release."
        )
    return _append(target, copy, limit)


def roll_back(history: History, template: Release, *, label: str | None, limit: int) -> Change:
    """Append a copy of an earlier release, which thereby is the newest again.

    Allowed while a rollout is unfinished: that is when it is needed most.

    Args:
        history: As read.
        template: Carries the id, time and e-mail address of the new release.
        label: Release to go back to; the second newest if None.
        limit: Newest releases to keep.

    Raises:
        NotFoundError: There is no such release.
        ConflictError: It is the newest already, or for another binary.
    """
    newest = history.newest
    if newest is None:
        raise NotFoundError(
            "Cannot perform rollback because there are no releases on this deployment."
        )
    if label is None:
        if len(history.releases) < 2:
            raise NotFoundError(
                "Cannot perform rollback because there are no prior releases to rollback to."
            )
        target = history.releases[-2]
    else:
        if label == newest.label:
            raise ConflictError(
                f"Cannot perform rollback because the target release ({label}) is already the"
                " latest release."
            )
        found = history.find(label)
        if found is None:
            raise NotFoundError(
                f"Cannot perform rollback because the target release ({label}) could not be found"
                " in the deployment history."
            )
        target = found
    if target.app_version != newest.app_version:
        raise ConflictError(
            "Cannot perform rollback to a different app version. Please perform a new release with"
            " the desired replacement package."
        )
    copy = replace(
        target,
        id=template.id,
        uploaded_at_ms=template.uploaded_at_ms,
        released_by=template.released_by,
        method=ReleaseMethod.ROLLBACK,
        rollout=FULL_ROLLOUT,
        original_label=target.label,
        original_deployment=None,
    )
    return _append(history, copy, limit)


def patch_release(
    history: History, overrides: ReleaseOverrides, *, label: str | None, only_up: bool
) -> Change:
    """Change properties of one release.

    Args:
        history: As read.
        overrides: What to set.
        label: Release to change; the newest if None.
        only_up: Whether a rollout may only grow and a finished one not change, as the classic
            dialect has it.

    Returns:
        The change, which is empty if the release is so already.

    Raises:
        NotFoundError: There is no such release.
        ConflictError: The rollout may not change that way.
    """
    if history.newest is None:
        raise NotFoundError("Deployment has no releases.")
    current = history.find(label) if label else history.newest
    if current is None:
        raise NotFoundError("Release not found for given label.")
    if only_up and overrides.rollout is not None:
        if not current.is_rolling_out:
            raise ConflictError("Cannot update rollout value for a completed rollout release.")
        if overrides.rollout <= current.rollout:
            raise ConflictError(
                f'Rollout value must be greater than "{current.rollout}", the existing value.'
            )
    patched = overrides.apply_to(current)
    if patched == current:
        return Change()
    changed = tuple(patched if r.number == patched.number else r for r in history.releases)
    _refuse_second_rollout(changed, patched)
    return Change(updated=(patched,), replaced=current)


def clear(history: History) -> Change:
    """Drop every release and the metrics with them. Labels go on counting."""
    return Change(dropped=tuple(r.number for r in history.releases), cleared=True)


def kept_beyond_limit(releases: tuple[Release, ...], limit: int) -> tuple[Release, ...]:
    """Return the releases to keep, oldest first: the newest, and what old binaries still need.

    Beyond the newest ``limit``, each binary range keeps its newest enabled release, and its newest
    one with a finished rollout: devices with that binary get nothing else. At most ``limit`` are
    kept for that, so a range for each release cannot grow a history without bound.

    Args:
        releases: Oldest first.
        limit: Newest releases to keep.
    """
    if len(releases) <= limit:
        return releases
    served: set[str] = set()
    settled: set[str] = set()
    kept: list[Release] = []
    for index, release in enumerate(reversed(releases)):
        needed = False
        if not release.is_disabled:
            binaries = parse_range(release.app_version).canonical
            needed = binaries not in served
            served.add(binaries)
            if not release.is_rolling_out:
                needed = needed or binaries not in settled
                settled.add(binaries)
        if index < limit or (needed and len(kept) < 2 * limit):
            kept.append(release)
    return tuple(reversed(kept))


def _append(history: History, release: Release, limit: int) -> Change:
    added = replace(release, number=history.last_number + 1)
    # A newer release ends the rollout of those before it, as on the reference server.
    finished = tuple(replace(r, rollout=FULL_ROLLOUT) for r in history.releases if r.is_rolling_out)
    after = {r.number: r for r in (*history.releases, *finished, added)}
    kept = {r.number for r in kept_beyond_limit(tuple(after.values()), limit)}
    return Change(
        added=added,
        updated=tuple(r for r in finished if r.number in kept),
        dropped=tuple(r.number for r in history.releases if r.number not in kept),
    )


def _refuse_over_rollout(history: History, message: str) -> None:
    for release in history.releases:
        if release.is_rolling_out and not release.is_disabled:
            raise ConflictError(message)


def _refuse_second_rollout(releases: tuple[Release, ...], patched: Release) -> None:
    """Keep unfinished rollouts to the newest enabled release."""
    enabled = [r for r in releases if not r.is_disabled]
    newest = enabled[-1] if enabled else None
    if patched.is_rolling_out and newest and newest.number > patched.number:
        raise ConflictError(
            f"The rollout of {patched.label} must be 100, because {newest.label} is newer and"
            " enabled: only the newest enabled release can be rolled out in part. Disable the newer"
            f" release first, or set the rollout of {patched.label} to 100."
        )
    unfinished = [r for r in enabled if r.is_rolling_out and r is not newest]
    if unfinished and not patched.is_disabled:
        raise ConflictError(
            f"The release {patched.label} cannot be enabled while the rollout of"
            f" {unfinished[-1].label} is unfinished. Update it to 100% rollout first."
        )


def _current_hash(history: History, app_version: str) -> PackageHash | None:
    """Return the contents that a release for ``app_version`` would replace.

    For a range, those of the newest release if its range is the same; for an exact version, those
    of the newest release that fits it.
    """
    if history.newest is None:
        return None
    binaries = parse_range(app_version)
    if binaries.is_exact:
        version = parse_version(app_version)
        for release in reversed(history.releases):
            if parse_range(release.app_version).matches(version):
                return release.package_hash
        return None
    newest = history.newest
    same = parse_range(newest.app_version).canonical == binaries.canonical
    return newest.package_hash if same else None


def check_range(app_version: str) -> str:
    """Return ``app_version`` if it is a target binary range.

    Raises:
        InvalidParameterError: It is not.
    """
    try:
        parse_range(app_version)
    except ValueError as exc:
        raise InvalidParameterError(
            f"The target binary version {app_version[:60]!r} is not a semver range. Use a version"
            " such as 1.2.3, or a range such as ^1.2.0, 1.2.x or *.",
            parameter="appVersion",
            reason="Not a semver range",
        ) from exc
    return app_version
