"""Finds out who is asking, from the Authorization header alone.

Tokens in query strings are refused: they end up in logs and histories.
"""

from flask import g, request
from structlog.contextvars import bind_contextvars

from codepush.domain.errors import UnauthorizedError
from codepush.domain.models import Principal
from codepush.services.tokens import INVALID_TOKEN
from codepush.web.context import services


def identify() -> None:
    """Find out who is asking, before anything else is done for the request.

    Quotas count by it. What is wrong with a token is kept for ``require_token`` to raise: where
    none is needed, it does not matter.
    """
    g.principal = g.refusal = None
    try:
        found = services().tokens.authenticate(_bearer_token(), request.remote_addr or "")
        g.principal = found
        bind_contextvars(actor=found.user.id, tenant=found.organization_id)
    except UnauthorizedError as exc:
        g.refusal = exc


def require_token() -> None:
    """Let nobody pass unknown; a ``before_request`` hook of blueprints that need it.

    Raises:
        UnauthorizedError: There is no token, or none that works.
    """
    if "refusal" not in g:
        identify()
    if g.refusal is not None:
        raise g.refusal


def principal() -> Principal:
    """Return who is asking; the blueprint requires a token."""
    found: Principal = g.principal
    return found


def anybody() -> Principal | None:
    """Return who is asking, or None for somebody without a token that works."""
    found: Principal | None = g.principal
    return found


def bearer_token(header: str) -> str:
    """Return the token in an Authorization header; empty where it has none.

    The name of the scheme may be in any case: RFC 9110, 11.1.
    """
    scheme, _, token = header.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _bearer_token() -> str:
    token = bearer_token(request.headers.get("Authorization", ""))
    if not token:
        if "access_token" in request.args:
            raise UnauthorizedError(
                "An access token in the query string is not accepted, because URLs are logged. Send"
                " it in the header: Authorization: Bearer <token>."
            )
        raise UnauthorizedError(INVALID_TOKEN)
    return token
