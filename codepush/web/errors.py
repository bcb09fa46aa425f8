"""Turns what went wrong into the shape that each dialect's clients know.

The seed API answers an envelope of JSON. Clients of the classic and device dialects print the raw
body of an error, so theirs are sentences in plain text.
"""

from collections.abc import Callable, Iterator

import structlog
from flask import Flask, Response, json, request
from marshmallow import ValidationError
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from codepush.domain.errors import (
    CodePushError,
    InvalidParameterError,
    PackageTooLargeError,
    QuotaExceededError,
    StorageError,
    StoreUnavailableError,
)
from codepush.store import written
from codepush.store.connection import STORE_ERRORS, is_full, is_outage
from codepush.telemetry.counters import Counter
from codepush.web.observe import route

log = structlog.get_logger(__name__)

STORAGE_FAILURES = Counter("storage_errors_total", "Requests that failed because the storage did.")
STORE_FAILURES = Counter("store_errors_total", "Requests that failed because the store did.")

API_PREFIX = "/api/v1/"
"""Below it, errors are envelopes."""

_LONGEST_NAME = 200
"""Characters of a parameter's name that an error repeats."""


class _RoutingError(CodePushError):
    """What Flask itself refuses: unknown paths, wrong methods, bad requests."""

    def __init__(self, status: int, code: str, message: str):
        super().__init__(message)
        self.status = status
        self.code = code


WRONG_MEDIA_TYPE = (
    "The body has a media type that is not understood here. Send application/json, or"
    " multipart/form-data for a package."
)
UNFORESEEN = (
    "The server failed in a way it did not foresee, and has written down why. Please tell its"
    " operator what you did."
)
STORE_AWAY = (
    "The server's store does not answer right now. If you were changing something, check whether it"
    " happened before you try again."
)
STORE_FULL = f"{written.FULL} Please tell the operator of the server."
STORE_FULL_MIDWAY = f"{written.FULL_MIDWAY} Please tell the operator of the server."

_ROUTING = {
    400: ("BadRequest", "The request is malformed. Please check its headers and body."),
    404: (
        "NotFound",
        "There is nothing at this address. Please check the server URL and the path.",
    ),
    405: ("MethodNotAllowed", "This address does not take that method."),
    406: ("NotAcceptable", "The server cannot answer in the form that was asked for."),
    408: ("RequestTimeout", "The request took too long to arrive. Please try again."),
    411: ("LengthRequired", "The request must say how long its body is."),
    413: ("PayloadTooLarge", "The body of the request is too large."),
    414: ("UriTooLong", "The address is too long."),
    415: ("UnsupportedMediaType", WRONG_MEDIA_TYPE),
    416: ("RangeNotSatisfiable", "The range asked for lies outside of the package."),
    429: ("TooManyRequests", "There were too many requests. Please wait before the next one."),
    431: ("HeadersTooLarge", "The request's headers are too large."),
    500: ("InternalServerError", "The server could not serve this request."),
    503: ("ServiceUnavailable", "The server cannot serve this request right now."),
}


def plain_sentence(status: int) -> tuple[str, str]:
    """Return code and sentence of what a server refuses by itself."""
    return _ROUTING[status]


def error_codes() -> dict[str, int]:
    """Return every code that an envelope may carry, with its status: a closed list."""
    codes = {code: status for status, (code, _) in _ROUTING.items()}
    codes |= {kind.code: kind.status for kind in _kinds(CodePushError)}
    return dict(sorted(codes.items(), key=lambda pair: (pair[1], pair[0])))


def _kinds(base: type[CodePushError]) -> Iterator[type[CodePushError]]:
    yield base
    for kind in base.__subclasses__():
        if kind is not _RoutingError:
            yield from _kinds(kind)


def install(app: Flask) -> None:
    """Register the one handler of each kind of error."""
    app.before_request(written.begin)
    app.register_error_handler(CodePushError, _answer)
    app.register_error_handler(ValidationError, lambda exc: _answer(_from_validation(exc)))
    app.register_error_handler(HTTPException, answer_http)
    for kind in STORE_ERRORS:
        app.register_error_handler(kind, _answer_store)
    app.register_error_handler(Exception, _answer_unforeseen)


def plain_text(error: CodePushError) -> Response:
    """Render an error as the sentence alone."""
    return Response(error.message, error.status, content_type="text/plain; charset=utf-8")


def envelope(error: CodePushError) -> Response:
    """Render an error as the seed API's reference has it."""
    body = {"error": {"code": error.code, "message": error.message, "details": error.details}}
    response = Response(json.dumps(body), error.status, content_type="application/json")
    response.headers["Cache-Control"] = "no-store"
    return response


def _renderer() -> Callable[[CodePushError], Response]:
    """Return how the dialect of this request renders errors.

    The path is what is left when the path of ``PUBLIC_URL`` is taken off.
    """
    return envelope if f"{request.path}/".startswith(API_PREFIX) else plain_text


def _answer(error: CodePushError) -> Response:
    if error.status >= 500:
        log.error("request failed", route=route(), status=error.status, reason=error.message)
    response = _renderer()(error)
    if error.status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="codepush"'
    if isinstance(error, StorageError):
        STORAGE_FAILURES.add()
    if isinstance(error, StoreUnavailableError):
        STORE_FAILURES.add()
    if isinstance(error, (StoreUnavailableError, StorageError)):
        response.headers["Retry-After"] = "2"
    response.headers.setdefault("Cache-Control", "no-cache")
    if isinstance(error, QuotaExceededError):
        response.headers["Retry-After"] = str(error.retry_after_s)
    return response


def answer_http(exc: HTTPException) -> Response:
    """Answer what Flask or one of its extensions refused."""
    status = exc.code or 500
    if status < 400:  # a redirect to the proper spelling of a path
        redirect = Response(status=status)
        redirect.headers.extend(exc.get_headers())
        return redirect
    if isinstance(exc, RequestEntityTooLarge):
        return _answer(_too_large(request.max_content_length or 0))
    code, message = _ROUTING.get(status) or _ROUTING[400 if status < 500 else 500]
    response = _answer(_RoutingError(status, code, message))
    for name, value in exc.get_headers():
        if name.lower() not in {"content-type", "content-length"}:
            response.headers[name] = value
    return response


def _answer_store(exc: Exception) -> Response:
    if not is_outage(exc):
        return _answer_unforeseen(exc)
    log.error("store failed", route=route(), error=type(exc).__name__, reason=str(exc))
    return _answer(StoreUnavailableError(why_unavailable(exc, has_written=written.anything())))


def why_unavailable(exc: Exception, *, has_written: bool) -> str:
    """Return what a client is told of a store that is away or full.

    Args:
        exc: What it raised.
        has_written: Whether something was written for the client before that.
    """
    if not is_full(exc):
        return STORE_AWAY
    return STORE_FULL_MIDWAY if has_written else STORE_FULL


def _answer_unforeseen(exc: Exception) -> Response:
    if isinstance(exc, MemoryError):  # pragma: no cover - let the worker die and be replaced
        raise exc
    log.error("unforeseen error", route=route(), exc_info=exc)
    return _answer(CodePushError(UNFORESEEN))


def _from_validation(exc: ValidationError) -> InvalidParameterError:
    """Return the first fault of a body as a sentence."""
    messages: object = exc.messages
    path: list[str] = []
    value = messages
    while isinstance(value, dict) and value:
        key, value = next(iter(value.items()))
        if key != "_schema":
            path.append(str(key))
    reason = str(value[0]) if isinstance(value, list) and value else "Invalid"
    parameter = ".".join(path).removeprefix("packageInfo.")[:_LONGEST_NAME] or "body"
    return InvalidParameterError(
        f"The {parameter} is not valid: {reason}", parameter=parameter, reason=reason
    )


def package_too_large(max_bytes: int) -> PackageTooLargeError:
    """Return the error for a package over the limit."""
    return PackageTooLargeError(
        f"The uploaded file is larger than the size limit of {max_bytes // 1_000_000} megabytes.",
        parameter="package",
        reason="Too large",
    )


def _too_large(max_bytes: int) -> PackageTooLargeError:
    if max_bytes >= 1_000_000:
        return package_too_large(max_bytes)
    return PackageTooLargeError(
        f"The body of the request is larger than the {max_bytes} bytes that are allowed here.",
        parameter="body",
        reason="Too large",
    )
