"""Whatever goes wrong, the seed API answers its envelope, and tells nothing of its insides."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest
import redis as redis_py
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.exceptions import ImATeapot, RequestTimeout

from codepush.app import create_app
from codepush.domain.errors import (
    CodePushError,
    ForbiddenError,
    QuotaExceededError,
    StorageError,
    StoreUnavailableError,
)
from codepush.services.container import Services
from codepush.settings import Settings, load_settings
from codepush.web.errors import error_codes
from tests.api.v1.client import BASE, SeedClient
from tests.api_client import Account

INSIDES = re.compile(
    r"Traceback|File \"|\.py\b|werkzeug|marshmallow|redis|orjson|/work|site-packages", re.IGNORECASE
)


def envelope(response: Any, status: int, code: str) -> dict[str, Any]:
    """Check an error, and return it."""
    assert response.status_code == status, response.get_data(as_text=True)
    assert response.content_type == "application/json"
    body = response.get_json()
    assert set(body) == {"error"}
    error: dict[str, Any] = body["error"]
    assert set(error) == {"code", "message", "details"}
    assert error["code"] == code
    assert error_codes()[code] == status
    assert re.fullmatch(r"[A-Z].*[.!]", error["message"], re.DOTALL)
    assert set(error["details"]) in (set(), {"parameter", "reason"})
    assert not INSIDES.search(response.get_data(as_text=True))
    return error


@pytest.mark.parametrize(
    "path",
    ["", "/", "/nothing", "/apps/App/nothing", "/v2", "/auth", "/auth/nothing", "/docs/x", "/é"],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "PUT"])
def test_an_unknown_address_is_an_envelope(seed: SeedClient, method: str, path: str) -> None:
    for client in (seed, seed.nobody()):
        envelope(client.call(method, path), 404, "NotFound")


def test_other_dialects_keep_their_sentences(http: FlaskClient) -> None:
    for path in ("/nothing", "/api", "/api/v2/apps", "/api/v1x", "/apps", "/v0.1/legacy/apps"):
        assert http.get(path).content_type == "text/plain; charset=utf-8"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/apps", {"GET", "HEAD", "OPTIONS", "POST"}),
        ("POST", "/apps/App", {"GET", "HEAD", "OPTIONS", "PATCH", "DELETE"}),
        ("GET", "/auth/login", {"OPTIONS", "POST"}),
        ("DELETE", "/account", {"GET", "HEAD", "OPTIONS", "PATCH"}),
        ("TRACE", "/apps", {"GET", "HEAD", "OPTIONS", "POST"}),
        ("POST", "/openapi.json", {"GET", "HEAD", "OPTIONS"}),
    ],
)
def test_a_wrong_method_names_the_right_ones(
    seed: SeedClient, method: str, path: str, allowed: set[str]
) -> None:
    response = seed.call(method, path)
    envelope(response, 405, "MethodNotAllowed")
    assert set(response.headers["Allow"].split(", ")) == allowed


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer ", "Basic YTpi", "Bearer wrong", "Bearer " + "x" * 40, "Token x"],
)
def test_without_a_good_token_nothing_is_told(seed: SeedClient, header: str | None) -> None:
    seed.add_app()
    headers = {} if header is None else {"Authorization": header}
    for method, path in (("GET", "/apps"), ("GET", "/apps/App"), ("DELETE", "/apps/Never")):
        response = seed.nobody().call(method, path, headers=headers)
        envelope(response, 401, "Unauthorized")
        assert response.headers["WWW-Authenticate"].startswith("Bearer")


def test_every_operation_but_two_needs_a_token(seed: SeedClient) -> None:
    nobody = seed.nobody()
    for path, held in seed.contract.document["paths"].items():
        for method, operation in held.items():
            if method == "parameters":
                continue
            response = nobody.call(method.upper(), re.sub(r"{\w+}", "x", path), {"x": 1})
            expected = 400 if "security" in operation else 401
            assert response.status_code == expected, (method, path)


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"nonsense",
        b"[]",
        b"null",
        b'"text"',
        b"1",
        b" ",
        b"\xff\xfe",
        b'{"name": "\xff"}',
        b'{"name": "\\ud800"}',
        b'{"name": NaN}',
        b'{"name": Infinity}',
        b"{'name': 'App'}",
        b'{"name": "App"} extra',
        b'{"name": "App",}',
        b'\xef\xbb\xbf{"name": "App"}',
        b'{"name":' + b"[" * 30_000 + b"]" * 30_000 + b"}",
        b'{"name":' + b'{"a":' * 10_000,
    ],
)
def test_a_body_that_is_no_json_object_is_refused(seed: SeedClient, body: bytes) -> None:
    error = envelope(seed.call("POST", "/apps", body), 400, "InvalidParameter")
    assert error["details"]["parameter"] == "body"
    assert seed.get("/apps") == {"apps": []}


@pytest.mark.parametrize("name", ["extra", "Name", "NAME", "", "a.b", "ü", "x" * 500, "__proto__"])
def test_an_unknown_field_is_refused_by_name(seed: SeedClient, name: str) -> None:
    response = seed.call("POST", "/apps", {"name": "App", name: 1})
    error = envelope(response, 400, "InvalidParameter")
    assert error["details"]["parameter"] == (name[:200] or "body")
    assert error["details"]["reason"] == "Unknown field; leave it out."


@pytest.mark.parametrize(
    "media_type", ["text/plain", "application/xml", "application/x-www-form-urlencoded", "", "x",
                   "multipart/form-data; boundary=x", "application/vnd.api+json"]
)  # fmt: skip
def test_a_body_of_another_media_type_is_refused(seed: SeedClient, media_type: str) -> None:
    headers = {"Content-Type": media_type}
    response = seed.call("POST", "/apps", b'{"name": "App"}', headers=headers)
    error = envelope(response, 415, "UnsupportedMediaType")
    assert "application/json" in error["message"]
    assert seed.get("/apps") == {"apps": []}


@pytest.mark.parametrize(
    "media_type", ["application/json", "application/json; charset=utf-8", "Application/JSON"]
)
def test_json_is_json_however_it_is_written(seed: SeedClient, media_type: str) -> None:
    headers = {"Content-Type": media_type}
    seed.call("POST", "/apps", b'{"name": "App"}', headers=headers, expect=201)


def test_a_body_may_be_left_out_where_nothing_is_required(seed: SeedClient) -> None:
    seed.add_app()
    for path in ("/apps/App", "/apps/App/deployments/Staging", "/organizations/Acme", "/account"):
        assert seed.call("PATCH", path).status_code == 200
    error = envelope(seed.call("POST", "/apps"), 400, "InvalidParameter")
    assert error["details"]["parameter"] == "name"


@pytest.mark.parametrize("is_counted", [True, False], ids=["with a length", "in chunks"])
def test_a_body_over_the_limit_is_refused(seed: SeedClient, is_counted: bool) -> None:
    body = b'{"name": "' + b"x" * 65_536 + b'"}'
    options: dict[str, Any] = {}
    if not is_counted:
        options["environ_overrides"] = {
            "CONTENT_LENGTH": "",
            "HTTP_TRANSFER_ENCODING": "chunked",
            "wsgi.input_terminated": True,
        }
    error = envelope(seed.call("POST", "/apps", body, **options), 413, "PayloadTooLarge")
    assert error["details"] == {"parameter": "body", "reason": "Too large"}
    assert "65536 bytes" in error["message"]


def test_a_message_repeats_only_so_much(seed: SeedClient) -> None:
    response = seed.call("POST", "/apps", {"x" * 60_000: 1})
    assert len(response.data) < 2_000


@pytest.mark.parametrize(
    "path",
    ["/apps/%FF", "/apps/%00", "/apps/%F0%9F%98%80", "/apps/" + "x" * 3_000, "/apps/a%0Ab",
     "/apps/%ED%A0%80", "/organizations/%FF", "/apps/a:b:c", "/apps/:", "/apps/~~",
     "/apps/%22%3E%3Cscript%3E"],
)  # fmt: skip
def test_a_name_that_cannot_be_is_not_there(seed: SeedClient, path: str) -> None:
    response = seed.http.get(BASE + path, headers={"Authorization": f"Bearer {seed.token}"})
    envelope(response, 404, "NotFound")


def test_a_missing_name_in_a_path_is_not_made_up(seed: SeedClient) -> None:
    seed.add_app("deployments")
    for path in ("/apps//deployments", "//apps", "/apps//", "/apps//deployments/Staging"):
        response = seed.http.get(BASE + path, headers={"Authorization": f"Bearer {seed.token}"})
        envelope(response, 404, "NotFound")


class UnforeseenError(Exception):
    pass


SECRET = "secret of /srv/codepush.py"  # what must not be told


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (UnforeseenError(SECRET), 500, "InternalServerError"),
        (RecursionError(SECRET), 500, "InternalServerError"),
        (redis_py.ConnectionError(SECRET), 503, "ServiceUnavailable"),
        (redis_py.TimeoutError(SECRET), 503, "ServiceUnavailable"),
        (redis_py.ResponseError(SECRET), 500, "InternalServerError"),
        (StoreUnavailableError("The server was too slow."), 503, "ServiceUnavailable"),
        (StorageError("The packages cannot be reached."), 503, "StorageUnavailable"),
        (QuotaExceededError("Too many.", retry_after_s=7), 429, "TooManyRequests"),
        (ForbiddenError("You may not."), 403, "Forbidden"),
        (RequestTimeout(), 408, "RequestTimeout"),
    ],
)
def test_a_failure_in_a_view_is_an_envelope(
    seed: SeedClient,
    services: Services,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    status: int,
    code: str,
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(type(services.apps), "list_for", fail)
    headers = {"Authorization": f"Bearer {seed.token}"}
    response = seed.http.get(f"{BASE}/apps", headers=headers)
    envelope(response, status, code)
    assert "secret" not in response.get_data(as_text=True)
    if code == "TooManyRequests":
        assert response.headers["Retry-After"] == "7"
    assert ("Retry-After" in response.headers) == (status in {429, 503})


def test_a_status_that_nobody_thought_of_has_a_code_of_the_list(
    app: Flask, services: Services, monkeypatch: pytest.MonkeyPatch, seed: SeedClient
) -> None:
    def fail(*_: object) -> None:
        raise ImATeapot

    monkeypatch.setattr(type(services.apps), "list_for", fail)
    response = seed.http.get(f"{BASE}/apps", headers={"Authorization": f"Bearer {seed.token}"})
    assert response.status_code == 418
    assert json.loads(response.data)["error"]["code"] == "BadRequest"


def test_a_store_that_is_away_is_a_503(settings: Settings) -> None:
    app = create_app(replace(settings, redis_url="unix:///nowhere"))
    response = app.test_client().get(f"{BASE}/apps", headers={"Authorization": "Bearer x"})
    envelope(response, 503, "ServiceUnavailable")
    assert response.headers["Retry-After"]


def test_errors_are_envelopes_below_the_path_of_the_public_url_too(
    redis_url: str, queue_url: str, redis: object, tmp_path: Any
) -> None:
    app = create_app(
        load_settings(
            {
                "CODEPUSH_ENV": "testing",
                "REDIS_URL": redis_url,
                "QUEUE_URL": queue_url,
                "DATA_DIR": str(tmp_path),
                "PUBLIC_URL": "https://example.com/push",
            }
        )
    )
    account = Account.create(app.extensions["codepush"], "ann@example.com")
    headers = {"Authorization": f"Bearer {account.token}"}
    http = app.test_client()
    for prefix in ("", "/push"):
        envelope(http.get(f"{prefix}{BASE}/nothing"), 404, "NotFound")
        envelope(http.get(f"{prefix}{BASE}/apps"), 401, "Unauthorized")
        assert http.get(f"{prefix}{BASE}/apps", headers=headers).get_json() == {"apps": []}
        assert http.get(f"{prefix}/nothing").content_type.startswith("text/plain")


def test_answers_are_not_kept_by_caches(seed: SeedClient) -> None:
    for path in ("/apps", "/account", "/apps/Never", "/nothing"):
        assert seed.call("GET", path).headers["Cache-Control"] == "no-store"


def test_an_envelope_has_no_details_but_its_parameter(app: Flask) -> None:
    error = CodePushError("It failed.", parameter="name")
    assert error.details == {"parameter": "name", "reason": "It failed."}
