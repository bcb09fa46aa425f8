"""Turns a view and its schemas into a route, and into its part of the OpenAPI document."""

import http
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn, TypeVar

from flask import Request, Response, request
from flask_smorest import Blueprint
from marshmallow import Schema, ValidationError
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import UnsupportedMediaType

from codepush.api.v1 import parameters
from codepush.api.v1.schemas.base import (
    DeletedSchema,
    IdempotencySchema,
    PageQuerySchema,
    camel,
    example_of,
)
from codepush.web.auth import require_token
from codepush.web.body import limit_json, parse_object, read_body

View = TypeVar("View", bound=Callable[..., Any])
Links = Mapping[str, tuple[str, Mapping[str, str]]]

QUOTA_HEADERS = (
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
    "X-RateLimit-Reset",
    "RateLimit",
    "RateLimit-Policy",
)
REPLAYED = "Idempotency-Replayed"
_ALWAYS = (429, 500, 503)
JSON = "application/json"
FORM = "multipart/form-data"


class _Parser(FlaskParser):
    """Reads bodies as strictly as they are documented."""

    DEFAULT_VALIDATION_STATUS = 400

    def load_json(self, req: Request, schema: Schema) -> Any:  # noqa: ARG002
        """Return the JSON object in the body; no body is an empty object."""
        text = read_body()
        if not text:
            return {}
        if req.mimetype != JSON:
            raise UnsupportedMediaType
        return parse_object(text, "body")

    def handle_error(
        self,
        error: ValidationError,
        req: Request,  # noqa: ARG002
        schema: Schema,  # noqa: ARG002
        **_: object,
    ) -> NoReturn:
        """Leave the error to the one handler that all dialects share."""
        below_location = next(iter(error.messages_dict.values()))
        raise ValidationError(below_location) from error


class SeedBlueprint(Blueprint):  # type: ignore[misc]  # flask-smorest has no types
    """Routes of one noun."""

    ARGUMENTS_PARSER = _Parser()

    def __init__(self, name: str, description: str):
        """Make it.

        Args:
            name: The noun; groups its routes in the document.
            description: Of the noun.
        """
        super().__init__(name, __name__, url_prefix=parameters.PREFIX, description=description)
        self._open: set[str] = set()
        self.before_request(limit_json)
        self.before_request(self._authenticate)
        self.url_value_preprocessor(_rename)
        self.after_request(_keep_out_of_caches)

    def _authenticate(self) -> None:
        if request.endpoint not in self._open:
            require_token()

    def serves(
        self,
        method: str,
        path: str,
        answer: type[Schema],
        *,
        status: int = 200,
        body: type[Schema] | None = None,
        form: type[Schema] | None = None,
        is_paged: bool = False,
        is_repeatable: bool = False,
        is_open: bool = False,
        errors: Iterable[int] = (),
        links: Links | None = None,
    ) -> Callable[[View], View]:
        """Return a decorator that serves a view.

        The view gets what is in the path by keyword, and before that by position, where it takes
        them: the page asked for, the headers and the body. It returns what ``answer`` dumps.

        Args:
            method: HTTP method.
            path: Below ``/api/v1``, with the names of ``parameters.py``.
            answer: Schema of the answer.
            status: Of the answer.
            body: Schema of the JSON body.
            form: Schema of a multipart form, which the view reads by itself.
            is_paged: Whether the answer is a list that is paged when asked for it.
            is_repeatable: Whether it takes an ``Idempotency-Key``.
            is_open: Whether it is for everybody; else it needs a token.
            errors: Statuses of errors, beside those that follow from the rest.
            links: For each name, an operation that the answer leads to, and its parameters.
        """
        refused = {*errors, *_ALWAYS}
        refused |= set() if is_open else {401, 403}
        refused |= {400} if body or form or is_paged else set()
        refused |= {404} if "<" in path else set()
        refused |= {413, 415} if body or form else set()

        replayed = (REPLAYED,) if is_repeatable else ()

        def decorate(view: View) -> View:
            served: Any = self.response(
                status,
                answer,
                example=example_of(answer()),
                headers={each: each for each in (*QUOTA_HEADERS, *replayed)},
            )(view)
            # What is applied last is read first.
            if body:
                required = any(field.required for field in body().fields.values())
                served = self.arguments(body, example=example_of(body()), required=required)(served)
            if is_repeatable:
                served = self.arguments(IdempotencySchema, location="headers")(served)
            if is_paged:
                served = self.arguments(PageQuerySchema, location="query")(served)
            document: dict[str, Any] = {
                "operationId": camel(view.__name__),
                "responses": {each: http.HTTPStatus(each).name for each in refused},
            }
            if is_open:
                self._open.add(f"{self.name}.{view.__name__}")
                document["security"] = []
            if form:
                document["requestBody"] = _form(form)
            if links:
                document["responses"][status] = {"links": _links(links)}
            served = self.doc(**document)(served)
            self.route(path, methods=[method], parameters=parameters.document(path))(served)
            return view

        return decorate

    def deletes(self, path: str, *, errors: Iterable[int] = ()) -> Callable[[View], View]:
        """Return a decorator that serves a view which deletes something."""
        return self.serves("DELETE", path, DeletedSchema, errors=errors)


def _rename(_endpoint: str | None, values: dict[str, Any] | None) -> None:
    """Give what stands in the path the names that views know it by."""
    values = values if values is not None else {}
    for name in list(values):
        values[parameters.PATH_PARAMETERS[name][0]] = values.pop(name)


def _keep_out_of_caches(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    return response


def _form(schema: type[Schema]) -> dict[str, Any]:
    example = example_of(schema())
    return {
        "required": True,
        "content": {
            FORM: {
                "schema": schema,
                "example": {"package": "(the bytes of a zip)", **example},
                "encoding": {
                    "package": {"contentType": "application/zip, application/octet-stream"},
                    "packageInfo": {"contentType": JSON},
                },
            }
        },
    }


def _links(links: Links) -> dict[str, Any]:
    return {
        name: {"operationId": operation, "parameters": dict(values)}
        for name, (operation, values) in links.items()
    }
