"""Answers that are written without Flask: errors of the server itself, and words about reports."""

from collections.abc import Mapping
from functools import cache

import orjson

from codepush.edge.answer import Answer
from codepush.services.acquisition import unknown_key
from codepush.telemetry.counters import Counter
from codepush.web.errors import API_PREFIX, STORE_AWAY, plain_sentence

REFUSED = Counter(
    "edge_refused_total",
    "Requests that the event loop refused: no HTTP, too large a head, or too slow.",
    ("status",),
)

_REASONS = {
    400: b"400 Bad Request",
    408: b"408 Request Timeout",
    414: b"414 URI Too Long",
    431: b"431 Request Header Fields Too Large",
    503: b"503 Service Unavailable",
}


def refusal(status: int, url: bytes, headers: Mapping[str, str]) -> bytes:
    """Return a whole response, after which the connection is to be closed.

    In the form that clients of the address know: JSON below ``/api/v1``, else the sentence alone.

    Args:
        status: Why.
        url: What was asked for, as far as it was read.
        headers: More of them: what browsers are told by all answers of the server.
    """
    code, sentence = plain_sentence(status)
    if url.startswith(API_PREFIX.encode()):
        error = {"code": code, "message": sentence, "details": {}}
        body, kind = orjson.dumps({"error": error}), b"application/json"
    else:
        body, kind = sentence.encode(), b"text/plain; charset=utf-8"
    return b"".join(
        [
            b"HTTP/1.1 %b\r\n" % _REASONS[status],
            b"content-type: %b\r\n" % kind,
            b"content-length: %d\r\n" % len(body),
            *(f"{name.lower()}: {value}\r\n".encode() for name, value in headers.items()),
            b"cache-control: no-store\r\nconnection: close\r\n\r\n",
            body,
        ]
    )


def _text(reason: bytes, sentence: str, headers: bytes = b"cache-control: no-cache\r\n") -> bytes:
    body = sentence.encode()
    return b"".join(
        [
            b"HTTP/1.1 %b\r\n" % reason,
            b"content-type: text/plain; charset=utf-8\r\n",
            b"content-length: %d\r\n" % len(body),
            b"access-control-allow-origin: *\r\n",
            headers,
            b"\r\n",
            body,
        ]
    )


ACCEPTED = Answer(_text(b"200 OK", "OK", b""))
UNKNOWN = Answer(_text(b"404 Not Found", unknown_key().message))


@cache
def unavailable(sentence: str) -> Answer:
    """Return the answer of a store that does not take reports, for one of few reasons."""
    headers = b"retry-after: 2\r\ncache-control: no-cache\r\n"
    return Answer(_text(b"503 Service Unavailable", sentence, headers))


AWAY = unavailable(STORE_AWAY)
