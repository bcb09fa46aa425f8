"""Reads JSON bodies, whatever their media type says: old clients are careless with it."""

from typing import Any

import orjson
from flask import Response, current_app, request
from marshmallow import Schema

from codepush.domain.errors import InvalidParameterError
from codepush.web.context import settings

MAX_JSON_BYTES = 64 * 1024


def limit_json() -> None:
    """Bound the body; a ``before_request`` hook of blueprints that take JSON."""
    request.max_content_length = MAX_JSON_BYTES


def read_json(schema: Schema) -> dict[str, Any]:
    """Return the request's body as ``schema`` loads it; an absent body is an empty object.

    Raises:
        InvalidParameterError: It is no JSON object.
        ValidationError: The schema refuses it.
    """
    return load(schema, parse_object(read_body() or b"{}", "body"))


def read_body() -> bytes:
    """Return the request's body, which ``limit_json`` bounds.

    Raises:
        RequestEntityTooLarge: It is over the limit.
    """
    text = request.get_data(cache=False)
    if len(text) == request.max_content_length:
        # A body in chunks ends here without an error, unless one asks for more of it.
        request.stream.read(1)
    return text


def parse_object(text: bytes | str, name: str) -> dict[str, Any]:
    """Return the JSON object in ``text``.

    Raises:
        InvalidParameterError: It holds something else; the message says ``name``.
    """
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as exc:
        raise InvalidParameterError(
            f"The {name} is not valid JSON: {exc.args[0]}.", parameter=name, reason="Not JSON"
        ) from exc
    if not isinstance(value, dict):
        raise InvalidParameterError(
            f"The {name} must be a JSON object in braces.", parameter=name, reason="Not an object"
        )
    return value


def load(schema: Schema, value: dict[str, Any]) -> dict[str, Any]:
    """Return ``value`` as ``schema`` loads it.

    Raises:
        ValidationError: The schema refuses it.
    """
    loaded: dict[str, Any] = schema.load(value)
    return loaded


def json_response(value: object, status: int = 200, location: str | None = None) -> Response:
    """Return ``value`` as JSON.

    Args:
        value: Anything that JSON has.
        status: Of the answer.
        location: Path of what was made, within the dialect that was spoken.
    """
    response = Response(orjson.dumps(value), status, content_type="application/json; charset=utf-8")
    response.headers["Cache-Control"] = "no-cache"
    if location:
        prefix = request.blueprint and current_app.blueprints[request.blueprint].url_prefix
        root = request.script_root or settings().public_path
        response.headers["Location"] = f"{root}{prefix or ''}{location}"
    return response
