"""What all schemas of the seed API share."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from marshmallow import (
    EXCLUDE,
    RAISE,
    Schema,
    ValidationError,
    fields,
    post_load,
    pre_dump,
    validate,
)

from codepush.web.paging import MAX_LIMIT, Page

NAME_PATTERN = r"^[^\\/?:\u0000-\u001f\u007f-\u009f]+$"
EMAIL_PATTERN = (
    r"^[^@\s\\/?:\u0000-\u001f\u007f-\u009f]{1,64}@[^@\s\\/?:\u0000-\u001f\u007f-\u009f]+$"
)
"""What the OpenAPI document says of names and addresses; ``domain/names.py`` decides."""


def about(description: str, example: object = None, **keywords: Any) -> dict[str, Any]:
    """Return what the OpenAPI document says of a field.

    Args:
        description: A sentence.
        example: A value, which the examples of whole bodies are made of.
        **keywords: Of JSON Schema, where validation happens elsewhere.
    """
    said = {"description": description, **keywords}
    return said if example is None else {**said, "examples": [example]}


def camel(name: str) -> str:
    """Return ``app_version`` as ``appVersion``."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


class RequestSchema(Schema):
    """A body that a client sends; what is not known is refused."""

    error_messages = {"unknown": "Unknown field; leave it out."}  # noqa: RUF012 - marshmallow's

    class Meta:
        """Refuse what is not known."""

        unknown = RAISE

    def on_bind_field(self, field_name: str, field_obj: "fields.Field[Any]") -> None:
        """Spell the field as the wire does."""
        field_obj.data_key = field_obj.data_key or camel(field_name)


class AnswerSchema(Schema):
    """A body that the server sends. A field is always there, unless its metadata says otherwise."""

    class Meta:
        """Let clients know that fields may be added."""

        unknown = EXCLUDE

    def on_bind_field(self, field_name: str, field_obj: "fields.Field[Any]") -> None:
        """Spell the field as the wire does."""
        field_obj.data_key = field_obj.data_key or camel(field_name)
        field_obj.required = not field_obj.metadata.get("optional")

    def spell(self, value: Any) -> Any:
        """Return an object with the fields of the answer, made of what a service returned."""
        return value

    @pre_dump
    def _spell(self, value: Any, **_: object) -> Any:
        return self.spell(value)


class Flag(fields.Boolean):
    """True or false, and not 1 or "yes"."""

    def _deserialize(
        self,
        value: Any,
        attr: str | None,  # noqa: ARG002
        data: Mapping[str, Any] | None,  # noqa: ARG002
        **_: Any,
    ) -> bool:
        if isinstance(value, bool):
            return value
        raise ValidationError("Not a valid boolean; write true or false.")


class WholeNumber(fields.Integer):
    """A whole number; 5.0 is one in JSON, and "5" is not."""

    def __init__(self, least: int, most: int, **options: Any):
        """Take numbers from ``least`` to ``most``."""
        super().__init__(strict=True, validate=validate.Range(least, most), **options)

    def _validated(self, value: Any) -> int:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        return super()._validated(value)


class Instant(fields.String):
    """Epoch milliseconds inside, ISO 8601 in UTC outside: ``2024-01-01T00:00:00Z``."""

    def __init__(self, *, timespec: str = "seconds", **options: Any):
        """Show times to the ``timespec`` of ``datetime.isoformat``."""
        options["metadata"] = {"format": "date-time", **options.get("metadata", {})}
        super().__init__(**options)
        self._timespec = timespec

    def _serialize(self, value: Any, attr: str | None, obj: Any, **_: Any) -> str | None:  # noqa: ARG002
        if value is None:
            return None
        moment = datetime.fromtimestamp(value / 1_000, UTC).replace(tzinfo=None)
        return f"{moment.isoformat(timespec=self._timespec)}Z"


class Limit(fields.Integer):
    """The number of rows of a page, from the query."""

    def _deserialize(
        self,
        value: Any,
        attr: str | None,  # noqa: ARG002
        data: Mapping[str, Any] | None,  # noqa: ARG002
        **_: Any,
    ) -> int:
        if re.fullmatch(r"[1-9][0-9]{0,3}", str(value)) and int(value) <= MAX_LIMIT:
            return int(value)
        raise ValidationError(f"It must be a whole number from 1 to {MAX_LIMIT}.")


class PageQuerySchema(Schema):
    """Which part of a list is asked for."""

    limit = Limit(
        load_default=MAX_LIMIT,
        metadata=about(
            "Rows of a page at most.", 100, minimum=1, maximum=MAX_LIMIT, default=MAX_LIMIT
        ),
    )
    cursor = fields.String(
        load_default="",
        metadata=about("The `nextCursor` of the page before. Leave it out for the first page."),
    )

    @post_load
    def _page(self, data: dict[str, Any], **_: object) -> Page:
        return Page(**data)


class IdempotencySchema(Schema):
    """The header that makes a request safe to repeat."""

    key = fields.String(
        data_key="Idempotency-Key",
        validate=validate.Regexp(
            r"[ -~]{1,200}\Z", error="It must be 1 to 200 printable ASCII characters."
        ),
        metadata=about(
            "A value of your own, new for each request. Sent again within 24 hours with the same"
            " request, it gets the first answer again, with `Idempotency-Replayed: true`; with"
            " another request it is refused.",
            "5e1c8a34-release-42",
            pattern="^[ -~]{1,200}$",
        ),
    )


class ListSchema(AnswerSchema):
    """A list, or a page of one."""

    next_cursor = fields.String(
        metadata={
            "optional": True,
            **about("Ask for the rows after these with `?cursor=`. Only there if there are more."),
        }
    )


class DeletedSchema(AnswerSchema):
    """What deleting answers."""

    deleted = fields.Boolean(metadata=about("Always true.", True))


def example_of(schema: Schema) -> dict[str, Any]:
    """Return a body made of the examples of a schema's fields."""
    made = {str(each.data_key): _example(each) for each in schema.fields.values()}
    return {name: value for name, value in made.items() if value is not None}


def _example(field: "fields.Field[Any]") -> Any:
    if "examples" in field.metadata:
        return field.metadata["examples"][0]
    if isinstance(field, fields.Nested):
        inner = example_of(field.schema)
        return [inner] if field.many else inner
    if isinstance(field, fields.List):
        return [_example(field.inner)]
    return None
