"""Speaks the seed API to a Flask app, and holds every answer against the OpenAPI document."""

import copy
import io
import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from flask import Flask
from jsonschema import Draft202012Validator
from werkzeug.test import TestResponse

from tests.api_client import Account, bundle

if TYPE_CHECKING:
    from codepush.services.container import Services

BASE = "/api/v1"
ABSENT = object()


class Contract:
    """The document, with its answers closed: what is not documented fails."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        closed = copy.deepcopy(document["components"])
        for schema in closed["schemas"].values():
            schema.setdefault("additionalProperties", False)
        self._components = closed

    def operation(self, method: str, path: str) -> dict[str, Any] | None:
        """Return what is documented of a request, or None."""
        best: list[tuple[int, dict[str, Any]]] = []
        for template, operations in self.document["paths"].items():
            pattern = re.sub(r"\{\w+\}", "[^/]+", template.replace("{tokenName}", ".+"))
            if re.fullmatch(pattern, path) and method.lower() in operations:
                best.append((template.count("{"), operations[method.lower()]))
        return min(best, key=lambda pair: pair[0])[1] if best else None

    def check(self, response: TestResponse) -> None:
        """Fail unless an answer is documented as it is."""
        request = response.request
        body = response.get_json() if response.data else None
        if response.status_code >= 400:
            self.validate(body, {"$ref": "#/components/schemas/Error"})
        operation = self.operation(request.method, request.path.removeprefix(BASE))
        if operation is None:
            assert response.status_code in {404, 405}, response.status
            return
        answers = operation["responses"]
        assert str(response.status_code) in answers, (request.path, response.status)
        answer = self.resolved(answers[str(response.status_code)])
        content = answer["content"]
        assert response.mimetype in content
        self.validate(body, content[response.mimetype]["schema"])

    def resolved(self, value: dict[str, Any]) -> dict[str, Any]:
        if "$ref" not in value:
            return value
        _, _, kind, name = value["$ref"].split("/")
        found: dict[str, Any] = self.document["components"][kind][name]
        return found

    def validate(self, value: Any, schema: dict[str, Any]) -> None:
        Draft202012Validator(
            {**schema, "components": self._components},
            format_checker=Draft202012Validator.FORMAT_CHECKER,
        ).validate(value)


class SeedClient:
    """Requests of one token. ``expect`` is the status that a test takes for granted."""

    def __init__(self, app: Flask, token: str | None, email: str = "") -> None:
        self.app = app
        self.http = app.test_client()
        self.token = token
        self.email = email
        self.contract = Contract(app.extensions["codepush.openapi"])

    def call(
        self,
        method: str,
        path: str,
        body: Any = ABSENT,
        *,
        expect: int | None = None,
        **options: Any,
    ) -> TestResponse:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        headers |= options.pop("headers", {})
        if body is not ABSENT:
            options["data"] = body if isinstance(body, bytes) else json.dumps(body)
            headers.setdefault("Content-Type", "application/json")
        response = self.http.open(BASE + path, method=method, headers=headers, **options)
        self.contract.check(response)
        if expect is not None:
            assert response.status_code == expect, response.get_data(as_text=True)
        return response

    def get(self, path: str, **query: Any) -> Any:
        return self.call("GET", path, expect=200, query_string=query).get_json()

    def post(self, path: str, body: Any = ABSENT, expect: int = 201, **options: Any) -> Any:
        return self.call("POST", path, body, expect=expect, **options).get_json()

    def patch(self, path: str, body: Any) -> Any:
        return self.call("PATCH", path, body, expect=200).get_json()

    def delete(self, path: str) -> None:
        assert self.call("DELETE", path, expect=200).get_json() == {"deleted": True}

    def refused(
        self, status: int, method: str, path: str, body: Any = ABSENT, **options: Any
    ) -> dict[str, Any]:
        """Return an error as the envelope has it."""
        response = self.call(method, path, body, expect=status, **options)
        error: dict[str, Any] = response.get_json()["error"]
        return error

    # What many tests need.

    def add_app(self, name: str = "App", **fields: Any) -> Any:
        return self.post("/apps", {"name": name, **fields})["app"]

    def release(
        self,
        content: bytes | None = None,
        *,
        app: str = "App",
        deployment: str = "Staging",
        expect: int | None = 201,
        headers: dict[str, str] | None = None,
        **info: Any,
    ) -> TestResponse:
        return self.call(
            "POST",
            f"/apps/{quote(app)}/deployments/{quote(deployment)}/release",
            expect=expect,
            headers=headers or {},
            data={
                "package": (io.BytesIO(bundle() if content is None else content), "package.zip"),
                "packageInfo": json.dumps({"appVersion": "1.0.0", **info}),
            },
        )

    def releases(self, app: str = "App", deployment: str = "Staging", **query: Any) -> Any:
        return self.get(f"/apps/{quote(app)}/deployments/{deployment}/releases", **query)[
            "releases"
        ]

    def entries(self, organization: str = "") -> Any:
        """Return the audit log, newest first."""
        organization = organization or self.get("/account")["account"]["organization"]
        return self.get(f"/organizations/{quote(organization)}/audit")["entries"]

    def as_token(self, **fields: Any) -> "SeedClient":
        """Return a client with another token of the same user."""
        made = self.post("/auth/tokens", {"friendlyName": f"t{len(fields)}{fields}", **fields})
        return SeedClient(self.app, made["accessToken"], self.email)

    def another(self, email: str, organization: str = "") -> "SeedClient":
        """Return a client for a new user."""
        services: Services = self.app.extensions["codepush"]
        account = Account.create(services, email, organization)
        return SeedClient(self.app, account.token, email)

    def nobody(self) -> "SeedClient":
        """Return a client without a token."""
        return SeedClient(self.app, None)
