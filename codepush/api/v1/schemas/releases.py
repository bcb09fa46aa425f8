"""Bodies of releases and metrics."""

from typing import Any

from flask_smorest.fields import Upload
from marshmallow import fields, validate

from codepush.api.v1.schemas.base import (
    AnswerSchema,
    Flag,
    ListSchema,
    RequestSchema,
    WholeNumber,
    about,
)
from codepush.domain.models import Release, ReleaseMethod
from codepush.domain.names import MAX_DESCRIPTION, MAX_NAME
from codepush.domain.releasing import ReleaseOverrides
from codepush.web.context import package_url

_LABEL_PATTERN = r"^v[1-9][0-9]{0,8}$"


def label(description: str) -> fields.String:
    """Return a field for the label of a release."""
    return fields.String(
        validate=validate.Regexp(_LABEL_PATTERN.replace("$", r"\Z"), error="It must be like v7."),
        metadata=about(description, "v1", pattern=_LABEL_PATTERN),
    )


def app_version(**options: Any) -> fields.String:
    """Return a field for the binaries that a release is for."""
    return fields.String(
        validate=validate.Length(1, 256),
        metadata=about(
            "The binary versions that the release is for: a version such as `1.2.3`, or a range"
            " such as `^1.2.0`, `1.2.x` or `*`.",
            "1.0.0",
        ),
        **options,
    )


class ReleasePatchSchema(RequestSchema):
    """What may be changed of a release."""

    app_version = app_version()
    description = fields.String(
        validate=validate.Length(max=MAX_DESCRIPTION),
        metadata=about("What is new, for people.", "Bug fixes and improvements"),
    )
    is_disabled = Flag(metadata=about("Whether devices do not get it.", False))
    is_mandatory = Flag(metadata=about("Whether devices must install it at once.", True))
    rollout = WholeNumber(1, 100, metadata=about("Percent of devices that get it, up or down.", 50))


class PackageInfoSchema(RequestSchema):
    """Properties of a new release."""

    app_version = app_version(required=True)
    description = fields.String(
        validate=validate.Length(max=MAX_DESCRIPTION),
        metadata=about("What is new, for people.", "Bug fixes and improvements"),
    )
    is_disabled = Flag(metadata=about("Whether devices do not get it. Absent: false.", False))
    is_mandatory = Flag(
        metadata=about("Whether devices must install it at once. Absent: false.", False)
    )
    rollout = WholeNumber(
        1, 100, metadata=about("Percent of devices that get it. Absent: 100.", 100)
    )


class ReleaseFormSchema(RequestSchema):
    """The form of a release, multipart/form-data."""

    package = Upload(
        required=True,
        metadata=about("A zip of the folder to release, or a single bundle file."),
    )
    package_info = fields.Nested(
        PackageInfoSchema, required=True, metadata={"description": "JSON, as a string."}
    )


class PromoteSchema(ReleasePatchSchema):
    """What promoting takes. What is left out stays as it is; the rollout is then 100."""

    to = fields.String(
        required=True,
        validate=validate.Length(1, MAX_NAME),
        metadata=about("Name of the deployment to release to.", "Production"),
    )
    label = label("The release to promote. Absent: the newest.")


class RollbackSchema(RequestSchema):
    """What rolling back takes."""

    label = label("The release to go back to. Absent: the one before the newest.")


class ReleaseSchema(AnswerSchema):
    """A release."""

    label = fields.String(metadata=about("Its label, which is never used again.", "v1"))
    app_version = fields.String(metadata=about("The binary versions it is for.", "1.0.0"))
    description = fields.String(metadata=about("What is new.", "Bug fixes and improvements"))
    is_disabled = fields.Boolean(metadata=about("Whether devices do not get it.", False))
    is_mandatory = fields.Boolean(metadata=about("Whether devices install it at once.", False))
    rollout = fields.Integer(metadata=about("Percent of devices that get it.", 100))
    package_hash = fields.String(metadata=about("By which devices know its files.", "abc123..."))
    blob_url = fields.String(metadata=about("Where its package is.", "https://..."))
    size = fields.Integer(metadata=about("Of the package there, in bytes.", 1024000))
    release_method = fields.Enum(
        ReleaseMethod, by_value=fields.String, metadata=about("How it came to be.", "Upload")
    )
    upload_time = fields.Integer(
        metadata=about("When it was released, in epoch milliseconds.", 1640995200000)
    )
    released_by = fields.String(metadata=about("E-mail address.", "user@example.com"))
    original_label = fields.String(
        allow_none=True, metadata=about("Of the release that it is a copy of, or null.", "v1")
    )
    original_deployment = fields.String(
        allow_none=True,
        metadata=about("Where it was promoted from, or null.", "Staging"),
    )

    def spell(self, release: Release) -> dict[str, Any]:
        """Return what stands in the answer."""
        return {
            "label": release.label,
            "app_version": release.app_version,
            "description": release.description,
            "is_disabled": release.is_disabled,
            "is_mandatory": release.is_mandatory,
            "rollout": release.rollout,
            "package_hash": release.package_hash,
            "blob_url": package_url(release.full.blob_key),
            "size": release.full.size,
            "release_method": release.method,
            "upload_time": release.uploaded_at_ms,
            "released_by": release.released_by,
            "original_label": release.original_label,
            "original_deployment": release.original_deployment,
        }


class ReleaseAnswerSchema(AnswerSchema):
    """One release."""

    release = fields.Nested(ReleaseSchema)


class UploadedAnswerSchema(ReleaseAnswerSchema):
    """A release just uploaded."""

    warnings = fields.List(
        fields.String(),
        metadata=about(
            "What is allowed, but probably a mistake, a sentence for each.",
            ["The package has no file that looks like a bundle for ios, such as main.jsbundle."],
        ),
    )


class MetricsSchema(AnswerSchema):
    """How devices fared with a release."""

    total_active = fields.Integer(
        attribute="active", metadata=about("Devices that run it now.", 1000)
    )
    downloaded = fields.Integer(metadata=about("Devices that downloaded it.", 950))
    installed = fields.Integer(metadata=about("Devices that installed it.", 900))
    failed = fields.Integer(metadata=about("Devices on which it failed.", 5))


class CountedReleaseSchema(ReleaseSchema):
    """A release with its metrics."""

    metrics = fields.Nested(MetricsSchema)

    def spell(self, counted: Any) -> dict[str, Any]:
        """Return what stands in the answer."""
        return {**super().spell(counted.release), "metrics": counted.counts}


class CountedReleaseAnswerSchema(AnswerSchema):
    """One release with its metrics."""

    release = fields.Nested(CountedReleaseSchema)


class ReleaseListSchema(ListSchema):
    """Releases with their metrics, oldest first."""

    releases = fields.List(fields.Nested(CountedReleaseSchema))


def overrides(body: dict[str, Any]) -> ReleaseOverrides:
    """Return the properties that a body gives."""
    return ReleaseOverrides(
        app_version=body.get("app_version"),
        description=body.get("description"),
        is_disabled=body.get("is_disabled"),
        is_mandatory=body.get("is_mandatory"),
        rollout=body.get("rollout"),
    )
