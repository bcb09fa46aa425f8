"""Bodies of organizations, their members, invitations and audit log."""

from typing import Any

from marshmallow import fields, validate

from codepush.api.v1.schemas.accounts import email
from codepush.api.v1.schemas.base import (
    NAME_PATTERN,
    AnswerSchema,
    Instant,
    ListSchema,
    RequestSchema,
    about,
)
from codepush.domain.events import Action
from codepush.domain.models import Invitation, Organization, User
from codepush.domain.names import MAX_NAME
from codepush.domain.permissions import Role
from codepush.store.audit import AuditEntry

_NAME_PATTERN = NAME_PATTERN.replace("[^", "[^@")
_ROLES = (
    "`Owner` and `Admin` own every app, `Developer` releases, `Viewer` reads. Only an Owner makes"
    " or unmakes Owners."
)


class OrganizationCreateSchema(RequestSchema):
    """What making an organization takes."""

    name = fields.String(
        required=True,
        validate=validate.Length(1, MAX_NAME),
        metadata=about(
            "Unique on the server, whatever its case; without an @.", "Acme", pattern=_NAME_PATTERN
        ),
    )


class OrganizationPatchSchema(RequestSchema):
    """What may be changed of an organization."""

    name = fields.String(
        validate=validate.Length(1, MAX_NAME),
        metadata=about("The new name; without an @.", "Acme", pattern=_NAME_PATTERN),
    )


class OrganizationSchema(AnswerSchema):
    """An organization that the caller belongs to."""

    id = fields.String(metadata=about("Stays when the name changes.", "Zr5vJQmOQ2yWk0b3hT8c1A"))
    name = fields.String(metadata=about("Its name; a personal one goes by its user.", "Acme"))
    is_personal = fields.Boolean(metadata=about("Whether it came with a user.", False))
    role = fields.Enum(
        Role, by_value=fields.String, metadata=about("The caller's role in it.", "Owner")
    )
    created_time = fields.Integer(
        metadata=about("When it was made, in epoch milliseconds.", 1640995200000)
    )

    def spell(self, held: tuple[Organization, Role]) -> dict[str, Any]:
        """Return what stands in the answer."""
        organization, role = held
        return {
            "id": organization.id,
            "name": organization.name,
            "is_personal": organization.is_personal,
            "role": role,
            "created_time": organization.created_at_ms,
        }


class OrganizationAnswerSchema(AnswerSchema):
    """One organization."""

    organization = fields.Nested(OrganizationSchema)


class OrganizationListSchema(ListSchema):
    """Organizations, by name."""

    organizations = fields.List(fields.Nested(OrganizationSchema))


class MemberSchema(AnswerSchema):
    """A member of an organization."""

    email = fields.String(metadata=about("E-mail address.", "user@example.com"))
    name = fields.String(metadata=about("Display name.", "Ann"))
    role = fields.Enum(Role, by_value=fields.String, metadata=about(_ROLES, "Developer"))

    def spell(self, held: tuple[User, Role]) -> dict[str, Any]:
        """Return what stands in the answer."""
        user, role = held
        return {"email": user.email, "name": user.name, "role": role}


class MemberAnswerSchema(AnswerSchema):
    """One member."""

    member = fields.Nested(MemberSchema)


class MemberListSchema(ListSchema):
    """Members, by e-mail address."""

    members = fields.List(fields.Nested(MemberSchema))


class MemberPatchSchema(RequestSchema):
    """What may be changed of a member."""

    role = fields.Enum(
        Role, by_value=fields.String, required=True, metadata=about(_ROLES, "Developer")
    )


class InviteSchema(RequestSchema):
    """What inviting takes."""

    email = email("Whom it is for; whoever has the token may use it.", required=True)
    role = fields.Enum(
        Role,
        by_value=fields.String,
        load_default=Role.DEVELOPER,
        metadata=about(f"{_ROLES} Absent: Developer.", "Developer"),
    )


class AcceptSchema(RequestSchema):
    """What accepting an invitation takes."""

    token = fields.String(
        required=True,
        validate=validate.Length(1, 200),
        metadata=about("The invitation's token.", "abc123..."),
    )


class InvitationSchema(AnswerSchema):
    """An open invitation."""

    id = fields.String(metadata=about("By which it is taken back.", "Zr5vJQmOQ2yWk0b3hT8c1A"))
    email = fields.String(metadata=about("Whom it is for.", "user@example.com"))
    role = fields.Enum(
        Role, by_value=fields.String, metadata=about("What they will be.", "Developer")
    )
    invited_by = fields.String(metadata=about("E-mail address.", "owner@example.com"))
    created_time = fields.Integer(
        metadata=about("When it was made, in epoch milliseconds.", 1640995200000)
    )
    expires = Instant(metadata=about("When it stops working.", "2024-01-01T00:00:00Z"))

    def spell(self, invitation: Invitation) -> dict[str, Any]:
        """Return what stands in the answer."""
        return {
            "id": invitation.id,
            "email": invitation.email,
            "role": invitation.role,
            "invited_by": invitation.invited_by,
            "created_time": invitation.created_at_ms,
            "expires": invitation.expires_at_ms,
        }


class NewInvitationSchema(AnswerSchema):
    """An invitation just made, with its token."""

    invitation = fields.Nested(InvitationSchema)
    token = fields.String(
        metadata=about("What the invited person accepts with. It is shown only here.", "abc123...")
    )


class InvitationListSchema(ListSchema):
    """Open invitations, oldest first."""

    invitations = fields.List(fields.Nested(InvitationSchema))


class ActorSchema(AnswerSchema):
    """Who did something."""

    email = fields.String(
        allow_none=True,
        metadata=about("E-mail address; null for the server's operator.", "user@example.com"),
    )
    token = fields.String(
        allow_none=True, metadata=about("Name of the token they used, or null.", "My CLI Token")
    )
    address = fields.String(
        allow_none=True, metadata=about("Where the request came from, or null.", "203.0.113.7")
    )


class AuditEntrySchema(AnswerSchema):
    """Something that happened in an organization."""

    sequence = fields.Integer(metadata=about("1, 2, 3 ... without a gap.", 42))
    record = fields.String(
        metadata=about("The entry as it was written down: JSON.", '{"action":"app.created"}')
    )
    hash = fields.String(
        metadata=about(
            "SHA-256, in hex, of the hash of the entry before it (nothing for the first), a line"
            " break and `record`.",
            "abc123...",
        )
    )
    time = Instant(
        timespec="milliseconds", metadata=about("When it happened.", "2024-01-01T00:00:00.000Z")
    )
    action = fields.Enum(
        Action, by_value=fields.String, metadata=about("What happened.", "deployment.released")
    )
    actor = fields.Nested(ActorSchema)
    app = fields.String(allow_none=True, metadata=about("Name of the app, or null.", "MyApp-iOS"))
    deployment = fields.String(
        allow_none=True, metadata=about("Name of the deployment, or null.", "Production")
    )
    target = fields.String(
        allow_none=True,
        metadata=about("What else: an address, a label, a name; or null.", "v1"),
    )
    details = fields.Dict(
        keys=fields.String(), metadata=about("What changed.", {"release": {"label": "v1"}})
    )

    def spell(self, entry: AuditEntry) -> dict[str, Any]:
        """Return what stands in the answer."""
        event = entry.event
        return {
            "sequence": entry.sequence,
            "record": entry.record,
            "hash": entry.hash,
            "time": event.at_ms,
            "action": event.action,
            "actor": {
                "email": event.actor.email or None,
                "token": event.actor.token_name or None,
                "address": event.actor.address or None,
            },
            "app": event.app or None,
            "deployment": event.deployment or None,
            "target": event.target or None,
            "details": dict(event.details),
        }


class AuditListSchema(ListSchema):
    """Entries of the audit log, newest first."""

    entries = fields.List(fields.Nested(AuditEntrySchema))
