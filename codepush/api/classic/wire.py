"""How the classic dialect spells what it answers. Times are epoch milliseconds."""

import re
from typing import Any

from codepush.domain.ids import Token, UserId
from codepush.domain.models import AccessToken, Counts, Deployment, Release
from codepush.services.apps import ListedApp
from codepush.web.context import package_url

_LABEL = re.compile(r"v[0-9]+")
_HIDDEN = "(hidden)"


def access_key(token: AccessToken, secret: Token | None = None) -> dict[str, Any]:
    """Return an access key; its secret only where it was just made."""
    return {
        "name": secret or _HIDDEN,
        "id": token.id,
        "friendlyName": token.name,
        "description": token.name,
        "createdBy": token.created_by,
        "createdTime": token.created_at_ms,
        "expires": token.expires_at_ms,
        "isSession": token.is_session,
    }


def app(listed: ListedApp, asker: UserId) -> dict[str, Any]:
    """Return an app as ``asker`` sees it."""
    return {
        "name": listed.display_name,
        "os": listed.app.os,
        "platform": listed.app.platform,
        "deployments": sorted(listed.app.deployments),
        "collaborators": collaborators(listed, asker),
    }


def collaborators(listed: ListedApp, asker: UserId) -> dict[str, Any]:
    """Return an app's collaborators by e-mail address."""
    return {
        user.email: {"permission": held.wire_name, "isCurrentAccount": user.id == asker}
        for user, held in listed.collaborators
    }


def deployment(found: Deployment) -> dict[str, Any]:
    """Return a deployment with its newest release."""
    return {
        "name": found.name,
        "key": found.key,
        "createdTime": found.created_at_ms,
        "package": release(found.latest) if found.latest else None,
    }


def release(found: Release) -> dict[str, Any]:
    """Return a release."""
    wire = {
        "label": found.label,
        "appVersion": found.app_version,
        "description": found.description,
        "isDisabled": found.is_disabled,
        "isMandatory": found.is_mandatory,
        "rollout": found.rollout,
        "packageHash": found.package_hash,
        "blobUrl": package_url(found.full.blob_key),
        "size": found.full.size,
        "releaseMethod": found.method.value,
        "uploadTime": found.uploaded_at_ms,
        "releasedBy": found.released_by,
    }
    if found.original_label:
        wire["originalLabel"] = found.original_label
    if found.original_deployment:
        wire["originalDeployment"] = found.original_deployment
    diffs = {
        base: {"size": diff.size, "url": package_url(diff.blob_key)}
        for base, diff in found.diffs.items()
        if diff
    }
    if diffs:
        wire["diffPackageMap"] = diffs
    return wire


def metrics(counts: dict[str, Counts]) -> dict[str, Any]:
    """Return counts; binary versions have only the number of active devices."""
    return {
        place: {
            "active": each.active,
            "downloaded": each.downloaded,
            "failed": each.failed,
            "installed": each.installed,
        }
        if _LABEL.fullmatch(place)
        else {"active": each.active}
        for place, each in counts.items()
    }
