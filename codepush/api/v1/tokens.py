"""Access tokens."""

from datetime import timedelta
from typing import Any

from flask import request

from codepush.api.v1.blueprint import SeedBlueprint
from codepush.api.v1.schemas.accounts import NewTokenSchema, TokenCreateSchema, TokenListSchema
from codepush.web.auth import principal
from codepush.web.context import services
from codepush.web.paging import Page

blueprint = SeedBlueprint("tokens", "Access tokens, for the command line and for programs.")


@blueprint.serves(
    "POST",
    "/auth/tokens",
    NewTokenSchema,
    status=201,
    body=TokenCreateSchema,
    errors=(404, 409),
    links={"revoke": ("deleteToken", {"tokenName": "$response.body#/friendlyName"})},
)
def create_token(body: dict[str, Any]) -> dict[str, Any]:
    """Make an access token.

    The answer is the only place that ever shows it.
    """
    ttl_ms = body.pop("ttl", None)
    secret, token = services().tokens.create(
        principal(),
        name=body.pop("friendly_name"),
        created_by=request.remote_addr or "",
        lifetime=None if ttl_ms is None else timedelta(milliseconds=ttl_ms),
        **body,
    )
    return {"access_token": secret, "listed": services().tokens.describe([token])[0]}


@blueprint.serves("GET", "/auth/tokens", TokenListSchema, is_paged=True)
def list_tokens(page: Page) -> dict[str, Any]:
    """List your access tokens, oldest first."""
    listed = services().tokens.describe(services().tokens.list_of(principal()))
    return page.cut("tokens", listed, lambda each: (each.token.created_at_ms, each.token.id))


@blueprint.deletes("/auth/tokens/<path:tokenName>")
def delete_token(name: str) -> dict[str, Any]:
    """Revoke an access token, at once and everywhere."""
    services().tokens.revoke(principal(), services().tokens.find(principal(), name))
    return {"deleted": True}
