"""Bodies of the classic dialect. Null means "not given", as its clients have it."""

import re
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields, post_load, validate

from codepush.domain.names import MAX_DESCRIPTION, MAX_FRIENDLY_NAME, MAX_NAME
from codepush.domain.releasing import ReleaseOverrides

_MAX_TTL_MS = 100 * 365 * 86_400_000


class Lenient(Schema):
    """Clients of many versions send more than is read."""

    class Meta:
        """Pass over what is not known."""

        unknown = EXCLUDE

    @post_load
    def _drop_nulls(self, data: dict[str, Any], **_: object) -> dict[str, Any]:
        return {name: value for name, value in data.items() if value is not None}


def text(most: int, **options: Any) -> fields.String:
    """Return a field for a text of at most ``most`` characters."""
    return fields.String(allow_none=True, validate=validate.Length(max=most), **options)


class Rollout(fields.Field[int]):
    """A whole number from 1 to 100, also as a string: some clients send one."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **_: Any) -> int:  # noqa: ARG002
        as_text = str(value)
        if not isinstance(value, bool) and re.fullmatch(r"[1-9][0-9]?|100", as_text):
            return int(as_text)
        raise ValidationError("Must be a whole number from 1 to 100.")


class Flag(fields.Field[bool]):
    """True or false, and not 1 or 0, which Python takes for the same."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **_: Any) -> bool:  # noqa: ARG002
        if isinstance(value, bool):
            return value
        raise ValidationError("Not a valid boolean.")


class AccessKeySchema(Lenient):
    """What POST and PATCH of access keys take."""

    friendlyName = text(MAX_FRIENDLY_NAME)
    description = text(MAX_FRIENDLY_NAME)
    createdBy = text(MAX_NAME)
    ttl = fields.Integer(
        strict=True, allow_none=True, validate=validate.Range(min=0, max=_MAX_TTL_MS)
    )


class AppSchema(Lenient):
    """What POST and PATCH of apps take."""

    name = fields.String(allow_none=True)
    os = text(100)
    platform = text(100)
    manuallyProvisionDeployments = Flag(allow_none=True)


class DeploymentSchema(Lenient):
    """What POST and PATCH of deployments take."""

    name = fields.String(allow_none=True)
    key = text(200)


class PackageInfoSchema(Lenient):
    """Properties of a release."""

    label = fields.String(
        allow_none=True,
        validate=validate.Regexp(r"^(v[1-9][0-9]{0,8})?\Z", error="labels look like v7."),
    )
    appVersion = text(256)
    description = text(MAX_DESCRIPTION)
    isDisabled = Flag(allow_none=True)
    isMandatory = Flag(allow_none=True)
    rollout = Rollout(allow_none=True)


class PackageInfoBodySchema(Lenient):
    """A body that holds properties of a release."""

    packageInfo = fields.Nested(PackageInfoSchema, allow_none=True)


def overrides(info: dict[str, Any]) -> ReleaseOverrides:
    """Return the properties that a client gave."""
    return ReleaseOverrides(
        app_version=info.get("appVersion"),
        description=info.get("description"),
        is_disabled=info.get("isDisabled"),
        is_mandatory=info.get("isMandatory"),
        rollout=info.get("rollout"),
    )
