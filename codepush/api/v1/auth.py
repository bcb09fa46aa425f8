"""Registering, logging in and logging out."""

from typing import Any

from flask import request

from codepush.api.v1.blueprint import SeedBlueprint
from codepush.api.v1.schemas.accounts import (
    LoggedOutSchema,
    LoginSchema,
    RegisterSchema,
    SessionSchema,
)
from codepush.services.sessions import Session
from codepush.web.auth import principal
from codepush.web.context import services

blueprint = SeedBlueprint("auth", "Registering, logging in and logging out.")


@blueprint.serves(
    "POST",
    "/auth/register",
    SessionSchema,
    status=201,
    body=RegisterSchema,
    is_open=True,
    errors=(403, 404, 409),
)
def register(body: dict[str, Any]) -> Session:
    """Make an account and log in.

    Whether everybody may, or only who has an invitation, is up to the operator of the server. With
    an invitation, the token is for the organization that it invites to.
    """
    return services().sessions.register(**body, address=_address())


@blueprint.serves(
    "POST", "/auth/login", SessionSchema, body=LoginSchema, is_open=True, errors=(401, 404)
)
def log_in(body: dict[str, Any]) -> Session:
    """Get a token for an e-mail address and its password."""
    return services().sessions.log_in(**body, address=_address())


@blueprint.serves("POST", "/auth/logout", LoggedOutSchema)
def log_out() -> dict[str, Any]:
    """Revoke the token that this request is made with."""
    services().tokens.revoke(principal(), principal().token)
    return {"logged_out": True}


def _address() -> str:
    return request.remote_addr or ""
