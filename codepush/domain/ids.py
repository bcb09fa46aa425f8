"""Identifiers, each its own type, so that mypy sees a swap; and where new ones come from.

Everything that must not be guessed (deployment keys, tokens, app ids in blob URLs) carries
at least 128 random bits in the alphabet ``[A-Za-z0-9_-]`` and nothing about its owner.
"""

import hashlib
import re
import secrets
from typing import NewType

UserId = NewType("UserId", str)
OrganizationId = NewType("OrganizationId", str)
AppId = NewType("AppId", str)
DeploymentId = NewType("DeploymentId", str)
TokenId = NewType("TokenId", str)
DeploymentKey = NewType("DeploymentKey", str)
Token = NewType("Token", str)
"""An access token in clear. Exists only in the answer that shows it once."""
TokenHash = NewType("TokenHash", str)
BlobKey = NewType("BlobKey", str)
PackageHash = NewType("PackageHash", str)
WebhookId = NewType("WebhookId", str)
DeliveryId = NewType("DeliveryId", str)
"""Also the ``webhook-id`` that receivers know it by."""


def new_id() -> str:
    """Return 128 random bits as 22 characters of ``[A-Za-z0-9_-]``."""
    return secrets.token_urlsafe(16)


def is_id(text: str) -> bool:
    """Return whether a text may be an id: only such a one may become part of a key."""
    return re.fullmatch(r"[A-Za-z0-9_-]{1,64}", text) is not None


def new_secret() -> str:
    """Return 240 random bits as 40 characters, never starting with ``-``.

    A leading dash would make a key look like an option on a command line.
    """
    while True:
        secret = secrets.token_urlsafe(30)
        if not secret.startswith("-"):
            return secret


def hash_token(token: str) -> TokenHash:
    """Return the only form in which a token is stored: its SHA-256, in hex.

    A plain digest is enough, since tokens are random and long; passwords are not, and get
    argon2.
    """
    return TokenHash(hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest())
