"""Bodies of registering, logging in, accounts and access tokens."""

from typing import Any

from marshmallow import fields, validate

from codepush.api.v1.schemas.base import (
    EMAIL_PATTERN,
    AnswerSchema,
    Instant,
    ListSchema,
    RequestSchema,
    WholeNumber,
    about,
)
from codepush.domain.names import MAX_EMAIL, MAX_NAME
from codepush.domain.permissions import Role, Scope
from codepush.services.accounts import MAX_PASSWORD, MIN_PASSWORD
from codepush.services.sessions import Session
from codepush.services.tokens import MAX_TOKEN_LIFETIME, ListedToken

_MAX_TTL_MS = int(MAX_TOKEN_LIFETIME.total_seconds() * 1_000)
_SECRET = "abc123..."


def email(description: str, **options: Any) -> fields.String:
    """Return a field for an e-mail address."""
    return fields.String(
        validate=validate.Length(1, MAX_EMAIL),
        metadata=about(description, "user@example.com", pattern=EMAIL_PATTERN),
        **options,
    )


class RegisterSchema(RequestSchema):
    """What registering takes."""

    email = email("The address to log in with; unique, whatever its case.", required=True)
    password = fields.String(
        required=True,
        validate=validate.Length(MIN_PASSWORD, MAX_PASSWORD),
        metadata=about("The password to log in with.", "correct horse battery"),
    )
    name = fields.String(
        validate=validate.Length(1, MAX_NAME),
        metadata=about("Display name. Absent: the address up to its @.", "Ann"),
    )
    organization = fields.String(
        validate=validate.Length(1, MAX_NAME),
        metadata=about(
            "Name of an organization to make, with you as its Owner. Absent: a personal one.",
            "Acme",
        ),
    )
    invitation = fields.String(
        validate=validate.Length(1, 200),
        metadata=about("Token of an invitation, which is used up.", _SECRET),
    )


class LoginSchema(RequestSchema):
    """What logging in takes."""

    email = email("Your e-mail address.", required=True)
    password = fields.String(
        required=True,
        validate=validate.Length(1, MAX_PASSWORD),
        metadata=about("Your password.", "correct horse battery"),
    )
    organization = fields.String(
        validate=validate.Length(1, MAX_NAME),
        metadata=about(
            "Name or id of the organization that the token is for. Absent: your own.", "Acme"
        ),
    )


class AccountSchema(AnswerSchema):
    """The user that a token is of."""

    email = fields.String(metadata=about("E-mail address.", "user@example.com"))
    name = fields.String(metadata=about("Display name.", "Ann"))
    created_time = fields.Integer(
        metadata=about("When it was made, in epoch milliseconds.", 1640995200000)
    )
    organization = fields.String(
        metadata=about("Name of the organization that the token carries.", "Acme")
    )
    role = fields.Enum(
        Role,
        by_value=fields.String,
        allow_none=True,
        metadata=about("The user's role there; null where they left it.", "Owner"),
    )


class AccountAnswerSchema(AnswerSchema):
    """An account."""

    account = fields.Nested(AccountSchema)


class AccountPatchSchema(RequestSchema):
    """What may be changed of an account."""

    name = fields.String(
        validate=validate.Length(1, MAX_NAME), metadata=about("Display name.", "Ann")
    )
    password = fields.String(
        validate=validate.Length(MIN_PASSWORD, MAX_PASSWORD),
        metadata=about("The new password.", "correct horse battery"),
    )
    current_password = fields.String(
        validate=validate.Length(0, MAX_PASSWORD),
        metadata=about(
            "The password you have; needed to change it, unless you have none.", "old password 1"
        ),
    )


class TokenCreateSchema(RequestSchema):
    """What making a token takes."""

    friendly_name = fields.String(
        required=True,
        validate=validate.Length(1, MAX_NAME),
        metadata=about("Unique among your tokens; printable characters.", "My CLI Token"),
    )
    ttl = WholeNumber(
        1,
        _MAX_TTL_MS,
        metadata=about(
            "Milliseconds that the token lives. Absent: the server's usual lifetime.", 86400000
        ),
    )
    organization = fields.String(
        validate=validate.Length(1, MAX_NAME),
        metadata=about(
            "Name or id of the organization that the token carries. Absent: that of the token you"
            " use.",
            "Acme",
        ),
    )
    scopes = fields.List(
        fields.Enum(Scope, by_value=fields.String),
        validate=validate.Length(1),
        metadata=about(
            "What the token may be used for: `read`; `release`, which includes it; `manage`, which"
            " includes both. Absent: all.",
            ["release"],
        ),
    )
    app = fields.String(
        validate=validate.Length(1, MAX_NAME),
        metadata=about("The only app that shall exist for the token. Absent: all.", "MyApp-iOS"),
    )


class TokenSchema(AnswerSchema):
    """An access token; its secret is never shown again."""

    friendly_name = fields.String(metadata=about("Unique among your tokens.", "My CLI Token"))
    expires = Instant(metadata=about("When it stops working.", "2024-01-01T00:00:00Z"))
    created_time = fields.Integer(
        metadata=about("When it was made, in epoch milliseconds.", 1640995200000)
    )
    created_by = fields.String(
        metadata=about("Name or address of the machine that asked for it.", "203.0.113.7")
    )
    is_session = fields.Boolean(metadata=about("Whether it came from logging in.", False))
    organization = fields.String(
        metadata=about("Name of the organization that it carries.", "Acme")
    )
    scopes = fields.List(
        fields.Enum(Scope, by_value=fields.String),
        metadata=about("What it may be used for.", ["read", "release", "manage"]),
    )
    app = fields.String(
        allow_none=True,
        metadata=about("The only app that exists for it; null where it is not limited.", "MyApp"),
    )

    def spell(self, listed: ListedToken) -> dict[str, Any]:
        """Return what stands in the answer."""
        token = listed.token
        return {
            "friendly_name": token.name,
            "expires": token.expires_at_ms,
            "created_time": token.created_at_ms,
            "created_by": token.created_by,
            "is_session": token.is_session,
            "organization": listed.organization,
            "scopes": [scope for scope in Scope if scope in token.scopes],
            "app": listed.app,
        }


class TokenListSchema(ListSchema):
    """A user's access tokens, oldest first."""

    tokens = fields.List(fields.Nested(TokenSchema))


class NewTokenSchema(TokenSchema):
    """A token just made, with its secret."""

    access_token = fields.String(
        metadata=about("The token itself. It is shown only here.", _SECRET)
    )

    def spell(self, made: Any) -> dict[str, Any]:
        """Return what stands in the answer."""
        return {**made, **super().spell(made["listed"])}


class SessionSchema(AnswerSchema):
    """A person who came in, and the token they got."""

    access_token = fields.String(
        metadata=about("The token to send from now on. It is shown only here.", _SECRET)
    )
    friendly_name = fields.String(metadata=about("The token's name.", "Login-4q1x"))
    expires = Instant(metadata=about("When it stops working.", "2024-01-01T00:00:00Z"))
    account = fields.Nested(AccountSchema)

    def spell(self, session: Session) -> dict[str, Any]:
        """Return what stands in the answer."""
        return {
            "access_token": session.secret,
            "friendly_name": session.token.name,
            "expires": session.token.expires_at_ms,
            "account": {
                "email": session.user.email,
                "name": session.user.name,
                "created_time": session.user.created_at_ms,
                "organization": session.organization.name,
                "role": session.role,
            },
        }


class LoggedOutSchema(AnswerSchema):
    """What logging out answers."""

    logged_out = fields.Boolean(metadata=about("Always true.", True))
