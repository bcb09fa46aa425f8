"""Answers devices that ask for an update."""

from codepush.domain.errors import InvalidParameterError, NotFoundError
from codepush.domain.ids import DeploymentKey
from codepush.domain.names import is_deployment_key
from codepush.domain.semver import InvalidVersionError, normalize_app_version, parse_version
from codepush.domain.update_check import UpdateAnswer, UpdateDecision, UpdateRequest
from codepush.services.packages_wanted import PackagesWanted
from codepush.services.prepared import Prepared
from codepush.services.snapshot import Snapshot
from codepush.telemetry.counters import Counter

UPDATE_CHECKS = Counter(
    "update_checks_total", "Update checks, by what the device was told.", ("outcome",)
)
UPDATE, NO_UPDATE = "update", "none"

BAD_KEY = (
    "An update check must include a valid deployment key - please check that your app has been"
    " configured correctly. To view available deployment keys, run 'code-push deployment ls"
    " <appName> -k'."
)
BAD_VERSION = (
    "An update check must include a binary version that conforms to the semver standard (e.g."
    " '1.0.0'). The binary version is normally inferred from the App Store/Play Store version"
    " configured with your app."
)


class Acquisition:
    """Update checks, from the snapshot of this process."""

    def __init__(self, snapshot: Snapshot, wanted: PackagesWanted):
        """Answer from ``snapshot``; note diffs that are missing with ``wanted``."""
        self._snapshot = snapshot
        self._wanted = wanted

    def decide(self, key: str, request: UpdateRequest) -> tuple[Prepared, UpdateDecision]:
        """Return the deployment that a key leads to, and what to tell devices that say ``request``.

        Raises:
            NotFoundError: No deployment has this key.
        """
        prepared = self.prepared(DeploymentKey(key))
        return prepared, prepared.candidates.decide(request)

    def want_diff(self, prepared: Prepared, package_hash: str, answer: UpdateAnswer) -> None:
        """Have a diff made where a device that asked could use one; to be done after answering."""
        if answer.release and answer.misses_diff:
            self._wanted.diff(*prepared.mark.address, package_hash, answer.release.label)

    def prepared(self, key: DeploymentKey) -> Prepared:
        """Return the deployment that a key leads to.

        Raises:
            NotFoundError: No deployment has this key.
        """
        found = self._snapshot.get(key)
        if found is None:
            UPDATE_CHECKS.add(1, "unknown key")
            raise unknown_key()
        return found


def judge(
    key: str,
    app_version: str,
    *,
    package_hash: str = "",
    label: str = "",
    is_companion: bool = False,
) -> UpdateRequest:
    """Return what a device says of itself, if key and version have a sound form.

    Args:
        key: Deployment key.
        app_version: The device's binary version, e.g. ``1.5``.
        package_hash: Hash of the package it runs, or "".
        label: Label of the package it runs, or "".
        is_companion: Whether it ignores binary versions.

    Raises:
        InvalidParameterError: They have not.
    """
    if not is_deployment_key(key):
        raise InvalidParameterError(BAD_KEY, parameter="deployment_key", reason="Malformed")
    try:
        version = parse_version(normalize_app_version(app_version))
    except InvalidVersionError as exc:
        raise InvalidParameterError(
            BAD_VERSION, parameter="app_version", reason="Not semver"
        ) from exc
    return UpdateRequest(app_version, version, package_hash, label, is_companion)


def unknown_key() -> NotFoundError:
    """Return the error for a key that no deployment has."""
    return NotFoundError(
        "No deployment has this key. Please check that your app has been configured with a current"
        " deployment key; 'code-push deployment ls <appName> -k' shows them.",
        parameter="deployment_key",
        reason="Unknown",
    )
