"""What docs/security.md promises to browsers, for each kind of answer there is."""

import json
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from codepush.app import create_app
from codepush.settings import Settings
from codepush.store.connection import StoreClient
from tests.api_client import Account, ApiClient, bundle

NOTHING = {"default-src": "'none'", "frame-ancestors": "'none'"}
FORMS = NOTHING | {"style-src": "'unsafe-inline'", "form-action": "'self'"}
DOCS = NOTHING | {
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
}
GUARDS = {
    "Content-Security-Policy",
    "Referrer-Policy",
    "Strict-Transport-Security",
    "X-Content-Type-Options",
}
TOKEN = "a-token-of-the-tests"
KEY = "k" * 37
CHECK = "/v0.1/public/codepush/update_check"
REPORT = "/v0.1/public/codepush/report_status/deploy"

# Each kind: method, path, more for the request, status, policy.
ANSWERS: dict[str, tuple[str, str, dict[str, Any], int, dict[str, str]]] = {
    "greeting": ("GET", "/", {}, 200, NOTHING),
    "health": ("GET", "/health", {}, 200, NOTHING),
    "health live": ("GET", "/health/live", {}, 200, NOTHING),
    "health ready": ("GET", "/health/ready", {}, 200, NOTHING),
    "metrics": ("GET", "/metrics", {"headers": {"Authorization": f"Bearer {TOKEN}"}}, 200, NOTHING),
    "metrics refused": ("GET", "/metrics", {}, 401, NOTHING),
    "classic": ("GET", "/account", {"token": True}, 200, NOTHING),
    "classic, made": ("POST", "/apps", {"token": True, "json": {"name": "B"}}, 201, NOTHING),
    "classic refused": ("GET", "/account", {}, 401, NOTHING),
    "classic, not there": ("GET", "/apps/none", {"token": True}, 404, NOTHING),
    "classic, malformed": ("POST", "/apps", {"token": True, "data": "{"}, 400, NOTHING),
    "classic, another method": ("PUT", "/apps", {"token": True}, 405, NOTHING),
    "v1": ("GET", "/api/v1/apps", {"token": True}, 200, NOTHING),
    "v1 refused": ("GET", "/api/v1/apps", {}, 401, NOTHING),
    "v1, not there": ("GET", "/api/v1/apps/none", {"token": True}, 404, NOTHING),
    "v1, no address": ("GET", "/api/v1/none", {"token": True}, 404, NOTHING),
    "v1, malformed": ("POST", "/api/v1/apps", {"token": True, "json": {"no": 1}}, 400, NOTHING),
    "v1, another method": ("PUT", "/api/v1/apps", {"token": True}, 405, NOTHING),
    "v1 options": ("OPTIONS", "/api/v1/apps", {"token": True}, 200, NOTHING),
    "document": ("GET", "/api/v1/openapi.json", {}, 200, DOCS),
    "docs page": ("GET", "/api/v1/docs", {}, 200, DOCS),
    "docs, not there": ("GET", "/api/v1/docs/0/none", {}, 404, DOCS),
    "login page": ("GET", "/auth/login", {}, 200, FORMS),
    "login refused": ("POST", "/auth/login", {"data": {"email": "a@example.com"}}, 401, FORMS),
    "register page": ("GET", "/auth/register", {}, 403, FORMS),
    "link page": ("GET", "/auth/link", {}, 410, FORMS),
    "no address": ("GET", "/nowhere", {}, 404, NOTHING),
    "another method": ("DELETE", "/health", {}, 405, NOTHING),
    "blob": ("GET", "{blob}", {}, 200, NOTHING),
    "part of a blob": ("GET", "{blob}", {"headers": {"Range": "bytes=0-9"}}, 206, NOTHING),
    "no part of a blob": ("GET", "{blob}", {"headers": {"Range": "bytes=9999-"}}, 416, NOTHING),
    "no blob": ("GET", "/blobs/none", {}, 404, NOTHING),
    "a method that checks lack": ("PUT", CHECK, {}, 405, NOTHING),
}
# To devices: method, path, more for the request, status.
DEVICES: dict[str, tuple[str, str, dict[str, Any], int]] = {
    "check": ("GET", f"{CHECK}?deployment_key={{key}}&app_version=1.0.0", {}, 200),
    "check of no key": ("GET", f"{CHECK}?deployment_key={KEY}&app_version=1.0.0", {}, 404),
    "malformed check": ("GET", CHECK, {}, 400),
    "report": ("POST", REPORT, {"json": {"deployment_key": "{key}", "app_version": "1.0.0"}}, 200),
    "malformed report": ("POST", REPORT, {"data": "{"}, 400),
}


class Server:
    """An app behind an https address, with a release."""

    def __init__(self, settings: Settings) -> None:
        app = create_app(settings)
        self.http: FlaskClient = app.test_client()
        self.account = Account.create(app.extensions["codepush"], "alice@example.com")
        api = ApiClient(self.http, self.account)
        api.add_app()
        url = api.release(bundle()).get_json()["package"]["blobUrl"]
        self._places = {"blob": url[url.index("/blobs/") :], "key": api.key()}

    def ask(self, method: str, path: str, more: dict[str, Any]) -> TestResponse:
        more = dict(more)
        if more.pop("token", False):
            more["headers"] = {"Authorization": f"Bearer {self.account.token}"}
        if "json" in more:
            more["data"] = json.dumps(more.pop("json")).replace("{key}", self._places["key"])
            more["content_type"] = "application/json"
        return self.http.open(path.format(**self._places), method=method, buffered=True, **more)


@pytest.fixture
def server(settings: Settings, redis: StoreClient) -> Server:
    public = replace(settings, public_url="https://cp.example.com", metrics_token=TOKEN)
    return Server(public)


def policy(response: TestResponse) -> dict[str, str]:
    parts = response.headers["Content-Security-Policy"].split(";")
    return {name: value for name, _, value in (part.strip().partition(" ") for part in parts)}


@pytest.mark.parametrize("kind", ANSWERS)
def test_people_and_managers_get_each_header(server: Server, kind: str) -> None:
    method, path, more, status, allowed = ANSWERS[kind]
    response = server.ask(method, path, more)
    assert response.status_code == status, response.text
    assert response.headers.getlist("X-Content-Type-Options") == ["nosniff"]
    assert response.headers.getlist("Referrer-Policy") == ["no-referrer"]
    assert response.headers.getlist("Strict-Transport-Security") == ["max-age=31536000"]
    assert len(response.headers.getlist("Content-Security-Policy")) == 1
    assert policy(response) == allowed
    assert "Set-Cookie" not in response.headers


@pytest.mark.parametrize("kind", DEVICES)
def test_devices_get_none(server: Server, kind: str) -> None:
    method, path, more, status = DEVICES[kind]
    response = server.ask(method, path, more)
    assert response.status_code == status, response.text
    assert not GUARDS & set(response.headers.keys())


def test_where_the_address_is_not_https_nobody_is_told_to_use_it(http: FlaskClient) -> None:
    """A browser that was told so would find nothing there."""
    assert GUARDS - set(http.get("/health").headers.keys()) == {"Strict-Transport-Security"}
