"""Which names people may give to things."""

import re
import unicodedata
from urllib.parse import quote

from codepush.domain.errors import InvalidParameterError

MAX_NAME = 1_000
MAX_FRIENDLY_NAME = 10_000
MAX_DESCRIPTION = 10_000
MAX_EMAIL = 254
_MAX_ENCODED_NAME = 2_400
"""Bytes of a name in a URL: a promotion carries three, and a request line holds 8,190."""
_MAX_ENCODED_FRIENDLY_NAME = 6_000

_FORBIDDEN = re.compile(r"[\\/?:\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_EMAIL = re.compile(
    r"[^@\s\\/?:\x00-\x20\x7f-\x9f\ud800-\udfff]{1,64}@[^@\s\\/?:\x00-\x20\x7f-\x9f\ud800-\udfff]+"
)
_DEPLOYMENT_KEY = re.compile(r"[A-Za-z0-9_-]{10,100}")


def fold(name: str) -> str:
    """Return the form in which names are compared: without regard to case or composition."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def check_name(value: str, parameter: str = "name") -> str:
    r"""Return the name of an app or deployment, if it may be one.

    Raises:
        InvalidParameterError: It is empty, longer than 1,000 characters, or holds one of
            ``\ / ? :``, a control character or half a character.
    """
    if not value.strip():
        raise InvalidParameterError(
            f"The {parameter} is empty; give it at least one character.",
            parameter=parameter,
            reason="Empty",
        )
    if len(value) > MAX_NAME:
        raise InvalidParameterError(
            f"The {parameter} is {len(value)} characters long; at most {MAX_NAME} are allowed.",
            parameter=parameter,
            reason="Too long",
        )
    if _FORBIDDEN.search(value) or value in {".", ".."}:
        raise InvalidParameterError(
            f"The {parameter} has a character that is not allowed: leave out \\ / ? : and control"
            " characters, and do not call it . or ..",
            parameter=parameter,
            reason="Forbidden character",
        )
    _check_encoded(value, parameter, _MAX_ENCODED_NAME)
    return value


def check_friendly_name(value: str, parameter: str = "friendlyName") -> str:
    """Return the name of an access token, if it may be one.

    Raises:
        InvalidParameterError: It is empty, unprintable or too long for a URL.
    """
    odd = value in {".", ".."} or value.startswith("/") or value.endswith("/")
    if not value.strip() or not value.isprintable() or odd:
        raise InvalidParameterError(
            f"The {parameter} must have at least one character, only printable ones, and no slash"
            " at either end.",
            parameter=parameter,
            reason="Malformed",
        )
    _check_encoded(value, parameter, _MAX_ENCODED_FRIENDLY_NAME)
    return value


def _check_encoded(value: str, parameter: str, most: int) -> None:
    """Refuse a name that clients could give but never address."""
    encoded = len(quote(value, safe=""))
    if encoded > most:
        raise InvalidParameterError(
            f"The {parameter} takes {encoded} bytes in a URL; at most {most} are allowed.",
            parameter=parameter,
            reason="Too long",
        )


def check_display_name(value: str) -> str:
    """Return the name that a person goes by, if it can be shown.

    Raises:
        InvalidParameterError: It is empty, longer than 1,000 characters, or cannot be printed.
    """
    if not value.strip() or len(value) > MAX_NAME or not value.isprintable():
        raise InvalidParameterError(
            f"The name must be 1 to {MAX_NAME} printable characters.",
            parameter="name",
            reason="Malformed",
        )
    return value


def check_email(value: str, parameter: str = "email") -> str:
    """Return an e-mail address, if it looks like one.

    Raises:
        InvalidParameterError: It does not.
    """
    if len(value) > MAX_EMAIL or not _EMAIL.fullmatch(value):
        raise InvalidParameterError(
            f"The {parameter} is not an e-mail address; write it like name@example.com.",
            parameter=parameter,
            reason="Not an e-mail address",
        )
    return value


def check_organization_name(value: str) -> str:
    """Return the name of an organization, if it may be one.

    An ``@`` is refused, since personal organizations go by their user's e-mail address.

    Raises:
        InvalidParameterError: It may not.
    """
    check_name(value, "organization")
    if "@" in value:
        raise InvalidParameterError(
            "The organization may not have an @ in its name: such names are those of personal"
            " organizations.",
            parameter="organization",
            reason="Forbidden character",
        )
    return value


def check_deployment_key(value: str) -> str:
    """Return a deployment key brought along from elsewhere, if devices can use it.

    Raises:
        InvalidParameterError: It is not 10 to 100 characters of ``[A-Za-z0-9_-]``.
    """
    if not _DEPLOYMENT_KEY.fullmatch(value):
        raise InvalidParameterError(
            "The key must be 10 to 100 characters long and may hold letters, digits, _ and - only.",
            parameter="key",
            reason="Malformed",
        )
    return value


def is_deployment_key(value: str) -> bool:
    """Return whether ``value`` has the form of a deployment key."""
    return _DEPLOYMENT_KEY.fullmatch(value) is not None
