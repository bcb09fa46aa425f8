"""Finds out who is asking, from the Authorization header alone.

Tokens in query strings are refused: they end up in logs and histories.
"""

from flask import g, request

from codepush.domain.errors import UnauthorizedError
from codepush.domain.models import Principal
from codepush.services.tokens import INVALID_TOKEN
from codepush.web.context import services


def require_token() -> None:
    """Authenticate the request; a ``before_request`` hook of blueprints that need it.

    Raises:
        UnauthorizedError: There is no token, or none that works.
    """
    g.principal = services().tokens.authenticate(_bearer_token(), request.remote_addr or "")


def principal() -> Principal:
    """Return who is asking; the blueprint has authenticated the request."""
    found: Principal = g.principal
    return found


def _bearer_token() -> str:
    header = request.headers.get("Authorization", "")
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        if "access_token" in request.args:
            raise UnauthorizedError(
                "An access token in the query string is not accepted, because URLs are logged. Send"
                " it in the header: Authorization: Bearer <token>."
            )
        raise UnauthorizedError(INVALID_TOKEN)
    return token.strip()
