"""Refuses addresses that no answer could repeat."""

import re

from flask import Flask, request

from codepush.domain.errors import InvalidParameterError

_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")


def install(app: Flask) -> None:
    """Have ``app`` refuse bare control characters in queries, before all else."""
    app.before_request(_refuse)


def _refuse() -> None:
    """Refuse what is no HTTP, for WSGI servers that let it pass.

    A redirect to the proper spelling of a path (``//``) repeats the query as it came, and a header
    with a line break is an error of the server's.
    """
    if _CONTROL.search(request.query_string):
        raise InvalidParameterError(
            "The query has a bare control character, such as a line break. Please percent-encode"
            " it.",
            parameter="query",
            reason="Malformed",
        )
