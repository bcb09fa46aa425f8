"""The answer to "is there an update?", as a pure function of a deployment's releases.

The rules are those of Microsoft's server, which the published SDKs were written against, with
absent and empty parameters treated alike.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from codepush.domain.diffing import best_download, misses_diff
from codepush.domain.models import Download, Release
from codepush.domain.rollout import is_selected
from codepush.domain.semver import Range, Version, parse_range


@dataclass(frozen=True, slots=True)
class UpdateRequest:
    """What a device says of itself.

    Attributes:
        app_version: Its binary version, verbatim as sent; answers repeat it unchanged, because
            native code compares it as text.
        version: The same, normalised and parsed.
        package_hash: Hash of the package it runs, or "".
        label: Label of the package it runs, or "".
        is_companion: Whether it ignores binary versions.
    """

    app_version: str
    version: Version
    package_hash: str = ""
    label: str = ""
    is_companion: bool = False


@dataclass(frozen=True, slots=True)
class UpdateAnswer:
    """What the device should do.

    Attributes:
        release: The release to install, or None.
        download: What to download for it: a diff where there is one for the device's package.
        misses_diff: Whether nobody looked yet if a diff from the device's package is worth it.
        app_version: The device's own version if there is a release; the range that is in the
            store if only another binary would help; else "".
        is_mandatory: The offered release, or one that the device skipped, is mandatory.
        update_app_version: A newer binary is needed.
        should_run_binary_version: No enabled release fits this binary.
    """

    release: Release | None = None
    download: Download | None = None
    misses_diff: bool = False
    app_version: str = ""
    is_mandatory: bool = False
    update_app_version: bool = False
    should_run_binary_version: bool = False


@dataclass(frozen=True, slots=True)
class UpdateDecision:
    """One answer, or two to choose from by device while a rollout is unfinished.

    Attributes:
        settled: The answer to devices outside the rollout, or to all where there is none.
        rolling_out: The answer to devices that the rollout has reached.
    """

    settled: UpdateAnswer
    rolling_out: UpdateAnswer | None = None
    label: str = ""
    rollout: int = 100

    def answer_for(self, client_unique_id: str) -> UpdateAnswer:
        """Return the answer to this device; an unnamed one is outside every rollout."""
        if self.rolling_out is None:
            return self.settled
        selected = is_selected(client_unique_id, self.label, self.rollout)
        return self.rolling_out if selected else self.settled


class Candidates:
    """A deployment's releases, prepared once for many checks."""

    __slots__ = ("_newest_first",)

    def __init__(self, releases: Iterable[Release]):
        """Prepare ``releases``, given oldest first."""
        self._newest_first: tuple[tuple[Release, Range], ...] = tuple(
            (release, parse_range(release.app_version)) for release in reversed(tuple(releases))
        )

    def decide(self, request: UpdateRequest) -> UpdateDecision:
        """Return what to tell devices that say ``request`` of themselves."""
        answer = self._scan(request, settled_only=False)
        offered = answer.release
        # A device that runs the release already stays on it, whether the rollout has reached it or
        # not, as on the reference server (api/script/utils/acquisition.ts).
        if offered is None or not offered.is_rolling_out:
            return UpdateDecision(answer)
        settled = self._scan(request, settled_only=True)
        return UpdateDecision(settled, answer, offered.label, offered.rollout)

    def _scan(self, request: UpdateRequest, *, settled_only: bool) -> UpdateAnswer:
        """Walk from the newest release to the one the device runs.

        Args:
            request: The device.
            settled_only: Pass over releases whose rollout is unfinished.
        """
        found = not request.label and not request.package_hash
        enabled: Range | None = None
        fitting: Release | None = None
        mandatory = False
        for release, binaries in self._newest_first:
            # Judged before the release may be passed over: a device that runs a release since
            # disabled is still found. The label beats the hash.
            found = found or (
                release.label == request.label
                if request.label
                else release.package_hash == request.package_hash
            )
            if release.is_disabled or (settled_only and release.is_rolling_out):
                continue
            if enabled is None:
                enabled = binaries
            if not request.is_companion and not binaries.matches(request.version):
                continue
            if fitting is None:
                fitting = release
            if found:
                break
            if release.is_mandatory:
                mandatory = True
                break
        if fitting is None or fitting.package_hash == request.package_hash:
            answer = _nothing_newer(request.version, enabled)
            return replace(answer, should_run_binary_version=fitting is None)
        return UpdateAnswer(
            release=fitting,
            download=best_download(fitting, request.package_hash),
            misses_diff=misses_diff(fitting, request.package_hash),
            app_version=request.app_version,
            is_mandatory=mandatory or fitting.is_mandatory,
        )


def _nothing_newer(version: Version, enabled: Range | None) -> UpdateAnswer:
    """Say how the device's binary stands to the newest enabled release."""
    if enabled is None:
        return UpdateAnswer()
    if enabled.is_below(version):
        return UpdateAnswer(app_version=enabled.text)
    if not enabled.matches(version):
        return UpdateAnswer(app_version=enabled.text, update_app_version=True)
    return UpdateAnswer()
