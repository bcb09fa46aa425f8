"""Joins the seed API's blueprints, and documents what they share."""

import http
from importlib import metadata
from typing import Any

from flask import Flask, Response, request
from flask_smorest import Api
from flask_smorest.spec import FlaskPlugin
from werkzeug.exceptions import HTTPException, NotFound
from werkzeug.routing import RequestRedirect, Rule

from codepush.api.v1 import (
    account,
    apps,
    auth,
    binaries,
    collaborators,
    deployments,
    members,
    meta,
    notices,
    organizations,
    parameters,
    releases,
    tokens,
    webhooks,
)
from codepush.api.v1.blueprint import JSON, QUOTA_HEADERS, REPLAYED
from codepush.api.v1.errors import ERRORS, ErrorSchema, headers_of
from codepush.web.errors import answer_http

BLUEPRINTS = (
    auth.blueprint,
    tokens.blueprint,
    account.blueprint,
    apps.blueprint,
    collaborators.blueprint,
    binaries.blueprint,
    deployments.blueprint,
    releases.blueprint,
    organizations.blueprint,
    members.blueprint,
    webhooks.blueprint,
)

_COUNT = {"type": "integer", "minimum": 0}
_HEADERS: dict[str, tuple[str, dict[str, Any]]] = {
    "X-RateLimit-Limit": ("Requests that you may make in an hour.", _COUNT),
    "X-RateLimit-Remaining": ("How many of them are left.", _COUNT),
    "X-RateLimit-Reset": ("When the hour is over, in epoch seconds.", _COUNT),
    "RateLimit": ("What is left, as the IETF spells it.", {"type": "string"}),
    "RateLimit-Policy": ("The quota, as the IETF spells it.", {"type": "string"}),
    "Retry-After": ("Seconds to wait.", _COUNT),
    "WWW-Authenticate": ("Asks for a token.", {"type": "string"}),
    REPLAYED: (
        "`true` where an earlier request with the same Idempotency-Key did it.",
        {"type": "string", "const": "true"},
    ),
}

_DESCRIPTION = """\
Apps, deployments and releases of this CodePush server, and who may do what with them.

**Requests.** Send `Authorization: Bearer <token>`, and bodies as `application/json` of at most
64 KB. Unknown fields of a body are refused; unknown query parameters are passed over. A name in a
path is percent-encoded.

**Lists** are whole up to 1,000 rows. With `?limit=` they come in pages, and the `nextCursor` of a
page leads to the next one.

**Answers.** Creating answers 201, deleting 200. Fields whose names end in `Time` are epoch
milliseconds; other times are ISO 8601 in UTC. Fields may be added, so pass over those you do not
know.

**Errors** have one envelope: `code` from a closed list, `message` with what to do, and `details`
with `parameter` and `reason` where one parameter is at fault. What you have no access to is not
found (404) rather than forbidden. A wrong method is answered 405, with `Allow`.
"""


class SeedApi(Api):  # type: ignore[misc]  # flask-smorest has no types
    """flask-smorest, with this server's errors instead of its own."""

    ERROR_SCHEMA = ErrorSchema
    DEFAULT_ERROR_RESPONSE_NAME = None  # every status is documented where it occurs

    def handle_http_exception(self, error: HTTPException) -> Response:
        """Leave the error to the one handler that all dialects share."""
        return answer_http(error)

    def _register_responses(self) -> None:
        """Document the errors, with an example each."""
        for status, (description, example) in ERRORS.items():
            self.spec.components.response(
                http.HTTPStatus(status).name,
                {
                    "description": description,
                    "content": {JSON: {"schema": ErrorSchema, "example": example}},
                    "headers": {each: each for each in (*QUOTA_HEADERS, *headers_of(status))},
                },
                lazy=True,
            )

    def _register_pagination_header(self) -> None:
        """Leave out what flask-smorest would tell of pages of its own."""


class _Paths(FlaskPlugin):  # type: ignore[misc]  # flask-smorest has no types
    """Documents paths as the reference spells them: below the base URL."""

    def path_helper(self, rule: Rule, **options: Any) -> str:
        """Return the path of a route."""
        path: str = super().path_helper(rule=rule, **options)
        return path.removeprefix(parameters.PREFIX)


def install(app: Flask) -> None:
    """Add the seed API to ``app``, with its documentation."""
    api = SeedApi(
        app,
        spec_kwargs={
            "title": "CodePush server",
            "version": metadata.version("codepush-server"),
            "openapi_version": "3.1.0",
            "flask_plugin": _Paths(),
            "info": {"description": _DESCRIPTION},
            "security": [{"bearer": []}],
        },
    )
    components = api.spec.components
    components.security_scheme(
        "bearer",
        {"type": "http", "scheme": "bearer", "description": "An access token."},
    )
    for name, (description, schema) in _HEADERS.items():
        components.header(name, {"description": description, "schema": schema})
    for blueprint in BLUEPRINTS:
        api.register_blueprint(blueprint)
    called = notices.document(api.spec)
    meta.install(app, {**_in_order(api.spec.to_dict()), "webhooks": called})
    app.before_request(_refuse_redirects)


def _refuse_redirects() -> None:
    """Let ``/apps//deployments`` mean nothing, rather than an app named ``deployments``."""
    is_redirect = isinstance(request.routing_exception, RequestRedirect)
    if is_redirect and request.path.startswith(f"{parameters.PREFIX}/"):
        raise NotFound


def _in_order(document: dict[str, Any]) -> dict[str, Any]:
    """Put the answers of each operation in the order of their statuses, for those who read."""
    for path in document["paths"].values():
        for operation in path.values():
            if "responses" in operation:
                operation["responses"] = dict(sorted(operation["responses"].items()))
    return document
