"""Bodies of apps and their collaborators."""

from typing import Any

from marshmallow import fields, validate

from codepush.api.v1.schemas.accounts import email
from codepush.api.v1.schemas.base import (
    NAME_PATTERN,
    AnswerSchema,
    Flag,
    ListSchema,
    RequestSchema,
    about,
)
from codepush.archive.signatures import MAX_KEY_BYTES
from codepush.domain.models import User
from codepush.domain.names import MAX_NAME
from codepush.domain.permissions import Permission
from codepush.services.apps import ListedApp

_PUBLIC_KEY = "-----BEGIN PUBLIC KEY-----\n...\n-----END PUBLIC KEY-----\n"
_COLLABORATOR = Permission.COLLABORATOR.wire_name


class AppCreateSchema(RequestSchema):
    """What making an app takes."""

    name = fields.String(
        required=True,
        validate=validate.Length(1, MAX_NAME),
        metadata=about(
            "Unique in your organization, whatever its case.", "MyApp-iOS", pattern=NAME_PATTERN
        ),
    )
    platform = fields.String(
        validate=validate.Length(1, 100),
        metadata=about("The operating system, such as `ios` or `android`.", "ios"),
    )


class AppPatchSchema(RequestSchema):
    """What may be changed of an app."""

    name = fields.String(
        validate=validate.Length(1, MAX_NAME),
        metadata=about("The new name.", "MyApp-iOS-Renamed", pattern=NAME_PATTERN),
    )
    public_key = fields.String(
        validate=validate.Length(max=MAX_KEY_BYTES),
        metadata=about(
            "The RSA key that the app verifies signatures with, in PEM form. Empty: none.",
            _PUBLIC_KEY,
        ),
    )
    require_signatures = Flag(
        metadata=about("Whether releases without a true signature are refused.", True)
    )


class CollaboratorSchema(AnswerSchema):
    """Somebody with a permission of their own on an app."""

    email = fields.String(metadata=about("E-mail address.", "user@example.com"))
    permission = fields.String(
        validate=validate.OneOf([each.wire_name for each in reversed(Permission)]),
        metadata=about("What they may do with the app.", "Owner"),
    )

    def spell(self, held: tuple[User, Permission]) -> dict[str, Any]:
        """Return what stands in the answer."""
        user, permission = held
        return {"email": user.email, "permission": permission.wire_name}


class AppSchema(AnswerSchema):
    """An app."""

    name = fields.String(
        metadata=about(
            "Its name; `owner@example.com:name` where the bare name would mean another app.",
            "MyApp-iOS",
        )
    )
    platform = fields.String(
        allow_none=True, metadata=about("The operating system, or null.", "ios")
    )
    organization = fields.String(
        metadata=about("Name of the organization that it belongs to.", "Acme")
    )
    public_key = fields.String(
        allow_none=True,
        metadata=about("The key that signatures are verified with, or null.", _PUBLIC_KEY),
    )
    require_signatures = fields.Boolean(
        metadata=about("Whether releases without a true signature are refused.", False)
    )
    deployments = fields.List(
        fields.String(),
        metadata=about("Names of its deployments.", ["Production", "Staging"]),
    )
    collaborators = fields.List(fields.Nested(CollaboratorSchema))

    def spell(self, listed: ListedApp) -> dict[str, Any]:
        """Return what stands in the answer."""
        return {
            "name": listed.display_name,
            "platform": listed.app.os,
            "organization": listed.organization,
            "public_key": listed.app.signing.public_key or None,
            "require_signatures": listed.app.signing.is_required,
            "deployments": sorted(listed.app.deployments),
            "collaborators": listed.collaborators,
        }


class AppAnswerSchema(AnswerSchema):
    """One app."""

    app = fields.Nested(AppSchema)


class AppListSchema(ListSchema):
    """Apps, by name."""

    apps = fields.List(fields.Nested(AppSchema))


class TransferSchema(RequestSchema):
    """What handing an app over takes."""

    email = email("The user who shall own the app.", required=True)


class MoveSchema(RequestSchema):
    """What moving an app takes."""

    organization = fields.String(
        required=True,
        validate=validate.Length(1, MAX_NAME),
        metadata=about("Name or id of another organization of yours.", "Acme"),
    )


class CollaboratorCreateSchema(RequestSchema):
    """What sharing an app takes."""

    email = email("A registered user, also of another organization.", required=True)
    permission = fields.String(
        load_default=_COLLABORATOR,
        validate=validate.OneOf(
            [_COLLABORATOR],
            error=f"It must be {_COLLABORATOR}. To make somebody the owner, transfer the app.",
        ),
        metadata=about("What they may do: release, but not manage.", _COLLABORATOR),
    )


class CollaboratorAnswerSchema(AnswerSchema):
    """One collaborator."""

    collaborator = fields.Nested(CollaboratorSchema)


class CollaboratorListSchema(ListSchema):
    """An app's collaborators, by e-mail address."""

    collaborators = fields.List(fields.Nested(CollaboratorSchema))
