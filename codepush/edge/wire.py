"""How the two generations of SDKs spell what they ask and are told."""

from collections.abc import Callable
from typing import Any

from marshmallow import EXCLUDE, Schema, fields, pre_load, validate

from codepush.domain.ids import BlobKey
from codepush.domain.update_check import UpdateAnswer

LONGEST = 1_000
"""Characters of any field of a report."""

UrlOf = Callable[[BlobKey], str]
"""Gives the address that a device downloads a package from."""

Speller = Callable[[UpdateAnswer, UrlOf], dict[str, Any]]
"""Gives an answer in the words of a generation of SDKs."""

# Attribute, then its names in SDK 2 (camelCase) and in SDK 3 and 4 (snake_case).
_PARAMETERS = {
    "deployment_key": "deploymentKey",
    "app_version": "appVersion",
    "package_hash": "packageHash",
    "is_companion": "isCompanion",
    "label": "label",
    "client_unique_id": "clientUniqueId",
    "status": "status",
    "previous_label_or_app_version": "previousLabelOrAppVersion",
    "previous_deployment_key": "previousDeploymentKey",
    "error": "error",
}


def either_spelling(given: dict[str, Any]) -> dict[str, Any]:
    """Return parameters under their snake_case names; the camelCase value wins if there is one."""
    return {
        snake: given.get(camel) or given.get(snake)
        for snake, camel in _PARAMETERS.items()
        if camel in given or snake in given
    }


class ReportSchema(Schema):
    """Body of both reports; what a device adds beyond it is ignored."""

    class Meta:
        """Devices of years to come may send more."""

        unknown = EXCLUDE

    deployment_key = fields.String(allow_none=True, validate=validate.Length(max=LONGEST))
    app_version = fields.String(allow_none=True, validate=validate.Length(max=LONGEST))
    label = fields.String(allow_none=True, validate=validate.Length(max=LONGEST))
    status = fields.String(allow_none=True, validate=validate.Length(max=LONGEST))
    client_unique_id = fields.String(allow_none=True, validate=validate.Length(max=LONGEST))
    previous_label_or_app_version = fields.String(
        allow_none=True, validate=validate.Length(max=LONGEST)
    )
    previous_deployment_key = fields.String(allow_none=True, validate=validate.Length(max=LONGEST))
    error = fields.Raw(allow_none=True)

    @pre_load
    def _spell(self, data: dict[str, Any], **_: object) -> dict[str, Any]:
        return either_spelling(data)


def camel_case(answer: UpdateAnswer, url_of: UrlOf) -> dict[str, Any]:
    """Return an answer as SDK 2 reads it."""
    release, download = answer.release, answer.download
    return {
        "updateInfo": {
            "downloadURL": url_of(download.blob_key) if download else "",
            "description": release.description if release else "",
            "isAvailable": release is not None,
            "isMandatory": answer.is_mandatory,
            "appVersion": answer.app_version,
            "packageHash": release.package_hash if release else "",
            "label": release.label if release else "",
            "packageSize": download.size if download else 0,
            "updateAppVersion": answer.update_app_version,
            "shouldRunBinaryVersion": answer.should_run_binary_version,
            # In snake case here too, as on the reference server.
            "target_binary_range": answer.app_version,
        }
    }


def snake_case(answer: UpdateAnswer, url_of: UrlOf) -> dict[str, Any]:
    """Return an answer as SDK 3 and 4 read it."""
    release, download = answer.release, answer.download
    return {
        "update_info": {
            "download_url": url_of(download.blob_key) if download else "",
            "description": release.description if release else "",
            "is_available": release is not None,
            "is_mandatory": answer.is_mandatory,
            "app_version": answer.app_version,
            "target_binary_range": answer.app_version,
            "package_hash": release.package_hash if release else "",
            "label": release.label if release else "",
            "package_size": download.size if download else 0,
            "update_app_version": answer.update_app_version,
            "should_run_binary_version": answer.should_run_binary_version,
        }
    }
