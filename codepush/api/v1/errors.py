"""How the seed API documents its errors; ``codepush/web/errors.py`` renders them."""

from typing import Any

from marshmallow import fields, validate

from codepush.api.v1.schemas.base import AnswerSchema, about
from codepush.web.errors import STORE_AWAY, UNFORESEEN, WRONG_MEDIA_TYPE, error_codes

_EXAMPLES = {
    400: (
        "A value is missing, malformed or out of its limits.",
        "InvalidParameter",
        "The limit is not valid: It must be a whole number from 1 to 1000.",
        {"parameter": "limit", "reason": "It must be a whole number from 1 to 1000."},
    ),
    401: (
        "There is no token, or it is unknown, revoked or expired.",
        "Unauthorized",
        "The session or access key being used is invalid.",
        {},
    ),
    403: (
        "You may know of this, but not do this; or not with this token.",
        "InsufficientScope",
        "This access token lacks the scope 'manage'. Use a token that has it.",
        {},
    ),
    404: (
        "It does not exist, or not for you.",
        "NotFound",
        'App "MyApp-iOS" does not exist.',
        {},
    ),
    409: (
        "What is there now forbids it.",
        "Conflict",
        "An app named 'MyApp-iOS' already exists.",
        {"parameter": "name", "reason": "Name already exists"},
    ),
    413: (
        "The body or the package is too large.",
        "PayloadTooLarge",
        "The body of the request is larger than the 65536 bytes that are allowed here.",
        {"parameter": "body", "reason": "Too large"},
    ),
    415: (
        "The body has another media type than documented.",
        "UnsupportedMediaType",
        WRONG_MEDIA_TYPE,
        {},
    ),
    429: (
        "Your quota is used up, or too many logins failed.",
        "TooManyRequests",
        "You have made 1000 requests in the last hour, which is the limit. Try again in 30 min.",
        {},
    ),
    500: (
        "The server failed.",
        "InternalServerError",
        UNFORESEEN,
        {},
    ),
    503: (
        "The store or the storage does not answer.",
        "ServiceUnavailable",
        STORE_AWAY,
        {},
    ),
}


def _envelope(code: str, message: str, details: dict[str, str]) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "details": details}}


ERRORS = {
    status: (description, _envelope(code, message, details))
    for status, (description, code, message, details) in _EXAMPLES.items()
}
"""By status: a description and an example."""


def headers_of(status: int) -> tuple[str, ...]:
    """Return which headers come with an error, beside those of the quota."""
    return {401: ("WWW-Authenticate",), 429: ("Retry-After",), 503: ("Retry-After",)}.get(
        status, ()
    )


class DetailsSchema(AnswerSchema):
    """Which parameter is at fault, where one is."""

    parameter = fields.String(metadata={"optional": True, **about("Its name.", "appName")})
    reason = fields.String(
        metadata={"optional": True, **about("What is wrong with it.", "Name already exists")}
    )


class ErrorBodySchema(AnswerSchema):
    """What went wrong."""

    code = fields.String(
        validate=validate.OneOf(list(error_codes())),
        metadata=about("From a closed list.", "InvalidParameter"),
    )
    message = fields.String(
        metadata=about(
            "A sentence for people, with what to do.", "The specified parameter is invalid"
        )
    )
    details = fields.Nested(DetailsSchema)


class ErrorSchema(AnswerSchema):
    """The envelope of every error."""

    error = fields.Nested(ErrorBodySchema)
