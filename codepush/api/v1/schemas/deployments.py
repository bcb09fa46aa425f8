"""Bodies of deployments."""

from typing import Any

from marshmallow import fields, validate

from codepush.api.v1.schemas.base import (
    NAME_PATTERN,
    AnswerSchema,
    Instant,
    ListSchema,
    RequestSchema,
    about,
)
from codepush.api.v1.schemas.releases import MetricsSchema, ReleaseSchema
from codepush.domain.models import Counts
from codepush.domain.names import MAX_NAME
from codepush.domain.series import Point

_NAME = about("Unique in the app.", "Staging", pattern=NAME_PATTERN)


class DeploymentCreateSchema(RequestSchema):
    """What making a deployment takes."""

    name = fields.String(required=True, validate=validate.Length(1, MAX_NAME), metadata=_NAME)
    key = fields.String(
        validate=validate.Length(10, 100),
        metadata=about(
            "The key that devices in the field have already. Absent: a new one is made.",
            "deployment-key-123",
            pattern="^[A-Za-z0-9_-]+$",
        ),
    )


class DeploymentPatchSchema(RequestSchema):
    """What may be changed of a deployment; its key stays."""

    name = fields.String(validate=validate.Length(1, MAX_NAME), metadata=_NAME)


class DeploymentSchema(AnswerSchema):
    """A deployment with its newest release."""

    name = fields.String(metadata=about("Unique in the app.", "Production"))
    key = fields.String(metadata=about("What devices ask with.", "deployment-key-123"))
    created_time = fields.Integer(
        attribute="created_at_ms",
        metadata=about("When it was made, in epoch milliseconds.", 1640995200000),
    )
    package = fields.Nested(
        ReleaseSchema,
        attribute="latest",
        allow_none=True,
        metadata={"description": "The newest release, or null."},
    )


class DeploymentAnswerSchema(AnswerSchema):
    """One deployment."""

    deployment = fields.Nested(DeploymentSchema)


class DeploymentListSchema(ListSchema):
    """Deployments, by name."""

    deployments = fields.List(fields.Nested(DeploymentSchema))


class PlaceMetricsSchema(MetricsSchema):
    """How devices fared with a release, or with a binary version that has none."""

    label = fields.String(allow_none=True, metadata=about("Label of the release, or null.", "v1"))
    binary_version = fields.String(
        allow_none=True,
        metadata=about("Version of binaries that run what they came with, or null.", "1.0.0"),
    )

    def spell(self, counted: tuple[int, str, Counts]) -> dict[str, Any]:
        """Return what stands in the answer."""
        number, place, counts = counted
        return {
            "label": place if number else None,
            "binary_version": None if number else place,
            "active": counts.active,
            "downloaded": counts.downloaded,
            "installed": counts.installed,
            "failed": counts.failed,
        }


class MetricsListSchema(ListSchema):
    """Metrics: of binary versions first, then of releases, oldest first."""

    metrics = fields.List(fields.Nested(PlaceMetricsSchema))


class PointSchema(AnswerSchema):
    """How devices fared with a release in an hour or a day in which anything changed."""

    time = Instant(metadata=about("When it began.", "2026-01-01T00:00:00Z"))
    label = fields.String(metadata=about("Label of the release.", "v1"))
    active = fields.Integer(metadata=about("Devices that ran it at the end.", 1000))
    downloaded = fields.Integer(metadata=about("Devices that downloaded it in that time.", 95))
    installed = fields.Integer(metadata=about("Devices that installed it in that time.", 90))
    failed = fields.Integer(metadata=about("Devices on which it failed in that time.", 5))

    def spell(self, point: Point) -> dict[str, Any]:
        """Return what stands in the answer."""
        return {
            "time": point.starts_at_ms,
            "label": point.label,
            "active": point.counts.active,
            "downloaded": point.counts.downloaded,
            "installed": point.counts.installed,
            "failed": point.counts.failed,
        }


class SeriesSchema(ListSchema):
    """Metrics over time, oldest first."""

    series = fields.List(fields.Nested(PointSchema))


class FailureSchema(AnswerSchema):
    """Why a release failed on devices."""

    reason = fields.String(metadata=about("In the words of the devices.", "Hash mismatch"))
    count = fields.Integer(metadata=about("Devices that said so.", 12))
    last_time = fields.Integer(
        attribute="last_at_ms",
        metadata=about("When one said so last, in epoch milliseconds.", 1640995200000),
    )


class FailuresSchema(AnswerSchema):
    """The newest and the most frequent reasons, the most frequent first."""

    failures = fields.List(fields.Nested(FailureSchema))
