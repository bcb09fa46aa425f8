"""What a device reports, as a report; whichever server passes its request on."""

from typing import Any

from codepush.domain.errors import InvalidParameterError
from codepush.domain.ids import DeploymentKey
from codepush.domain.names import is_deployment_key
from codepush.domain.reports import Happening, Report, device_digest, digest, label_number
from codepush.domain.semver import InvalidVersionError, normalize_app_version, parse_version
from codepush.edge.asking import MODERN
from codepush.edge.wire import LONGEST

DEPLOYS = ("/reportStatus/deploy", f"{MODERN}/report_status/deploy")
DOWNLOADS = ("/reportStatus/download", f"{MODERN}/report_status/download")

_STATUSES = {
    "DeploymentSucceeded": Happening.RUNS,
    "DeploymentFailed": Happening.FAILED,
    "Downloaded": Happening.DOWNLOADED,
}
_LONGEST_VERSION = 256
_BAD_DEPLOY = "A deploy status report must contain a valid appVersion and deploymentKey."
_BAD_DOWNLOAD = "A download status report must contain a valid deploymentKey and package label."


def who(body: dict[str, Any]) -> str:
    """Return the digest of the device that reports; "" where it does not say who it is."""
    return device_digest(body.get("client_unique_id") or "")


def download_report(body: dict[str, Any]) -> Report:
    """Return the report that a package was downloaded; names in snake_case, values text or None.

    Raises:
        InvalidParameterError: It lacks a key or a label.
    """
    key = _key(body, "deployment_key")
    label = body.get("label") or ""
    if key is None or not label:
        raise InvalidParameterError(_BAD_DOWNLOAD)
    return Report(
        happening=Happening.DOWNLOADED,
        key=key,
        label=label,
        fingerprint=digest("download", label),
    )


def deploy_report(body: dict[str, Any]) -> Report:
    """Return the report that a package or a binary version runs, or failed to.

    Raises:
        InvalidParameterError: Something that counts is missing or malformed.
    """
    key = _key(body, "deployment_key")
    version = body.get("app_version") or ""
    label = body.get("label") or ""
    if key is None or not _is_version(version, counts=not label):
        raise InvalidParameterError(_BAD_DEPLOY)
    status = body.get("status") or ""
    if label and not status:
        raise InvalidParameterError(
            "A deploy status report for a labelled package must contain a valid status."
        )
    if status and status not in _STATUSES:
        raise InvalidParameterError(f"Invalid status: {status[:60]}")
    previous = body.get("previous_label_or_app_version") or ""
    previous_key = _key(body, "previous_deployment_key")
    return Report(
        # Without a label, it says that the binary's own bundle runs, whatever the status.
        happening=_STATUSES[status] if label else Happening.RUNS,
        key=key,
        label=label,
        app_version=version,
        previous_key=previous_key,
        fingerprint=digest("deploy", label, status, version, previous, previous_key or ""),
        reason=_reason(body.get("error")),
    )


def _reason(told: object) -> str:
    """Return what failed in one line; anything but text tells nothing."""
    return " ".join(told[:LONGEST].split()) if isinstance(told, str) else ""


def _is_version(text: str, *, counts: bool) -> bool:
    """Tell whether a version may be reported; one that is counted by must be one."""
    if not 0 < len(text) <= _LONGEST_VERSION or label_number(text):
        return False
    if counts:
        try:
            parse_version(normalize_app_version(text))
        except InvalidVersionError:
            return False
    return True


def _key(body: dict[str, Any], name: str) -> DeploymentKey | None:
    key = (body.get(name) or "").strip()
    return DeploymentKey(key) if is_deployment_key(key) else None
