"""Bodies of binaries."""

from typing import Any

from flask_smorest.fields import Upload
from marshmallow import fields, validate

from codepush.api.v1.schemas.base import AnswerSchema, ListSchema, RequestSchema, about
from codepush.domain.models import Binary


class BinaryInfoSchema(RequestSchema):
    """Properties of a binary."""

    app_version = fields.String(
        required=True,
        validate=validate.Length(1, 256),
        metadata=about("The version of the binary; no range.", "1.0.0"),
    )


class BinaryFormSchema(RequestSchema):
    """The form of a binary, multipart/form-data."""

    package = Upload(
        required=True,
        metadata=about("A zip of the files in the binary, as they would be released."),
    )
    package_info = fields.Nested(
        BinaryInfoSchema, required=True, metadata={"description": "JSON, as a string."}
    )


class BinarySchema(AnswerSchema):
    """The package in an app as a store ships it."""

    package_hash = fields.String(metadata=about("By which devices know it.", "abc123..."))
    app_version = fields.String(metadata=about("The version of the binary.", "1.0.0"))
    added_time = fields.Integer(
        metadata=about("When it was registered, in epoch milliseconds.", 1640995200000)
    )
    added_by = fields.String(metadata=about("E-mail address.", "user@example.com"))

    def spell(self, binary: Binary) -> dict[str, Any]:
        """Return what stands in the answer."""
        return {
            "package_hash": binary.package_hash,
            "app_version": binary.app_version,
            "added_time": binary.added_at_ms,
            "added_by": binary.added_by,
        }


class BinaryAnswerSchema(AnswerSchema):
    """One binary."""

    binary = fields.Nested(BinarySchema)


class BinaryListSchema(ListSchema):
    """Binaries, oldest first."""

    binaries = fields.List(fields.Nested(BinarySchema))
