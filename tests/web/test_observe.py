"""Request ids, log lines and traces of requests."""

import io
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import structlog
from flask import Flask
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from codepush.app import create_app
from codepush.settings import Settings
from codepush.store.connection import StoreClient
from codepush.telemetry.access import AccessLog
from codepush.web import errors
from tests.api_client import Account


@pytest.fixture(autouse=True)
def _fresh_logger(monkeypatch: pytest.MonkeyPatch) -> None:
    """It remembers the standard error of the test that used it first."""
    monkeypatch.setattr(errors, "log", structlog.get_logger())


@pytest.fixture
def logging_app(settings: Settings, redis: StoreClient, stderr: io.StringIO) -> Flask:
    return create_app(
        replace(settings, log_level="info", log_format="json", access_log="all", access_log_rate=1)
    )


@pytest.fixture
def stderr(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What is written to standard error; pytest's own would be closed before the threads end."""
    written = io.StringIO()
    monkeypatch.setattr("sys.stderr", written)
    return written


def lines(app: Flask, stderr: io.StringIO) -> list[dict[str, object]]:
    app.extensions["codepush.observer"].stop()
    return [json.loads(line) for line in stderr.getvalue().splitlines()]


def test_an_id_is_made_for_each_request(app: Flask) -> None:
    first, second = (app.test_client().get("/").headers["X-Request-ID"] for _ in range(2))
    assert re.fullmatch("[0-9a-f]{16}", first)
    assert first != second


@pytest.mark.parametrize(
    "given", ["abc", "01HZX-7.3_a:b", "Root=1-67891233-abcdef012345", "x" * 128]
)
def test_a_sound_id_is_kept(app: Flask, given: str) -> None:
    response = app.test_client().get("/nowhere", headers={"X-Request-ID": given})
    assert response.headers["X-Request-ID"] == given


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, '"', "é", "<script>", "-", "a;b"])
def test_any_other_id_is_not(app: Flask, given: str) -> None:
    response = app.test_client().get("/", headers={"X-Request-ID": given})
    assert re.fullmatch("[0-9a-f]{16}", response.headers["X-Request-ID"])


def test_a_line_names_route_tenant_and_actor_and_nothing_else_of_the_path(
    logging_app: Flask, stderr: io.StringIO
) -> None:
    services = logging_app.extensions["codepush"]
    account = Account.create(services, "alice@example.com")
    logging_app.test_client().get(
        "/accessKeys/a-key-somebody-put-here?access_token=secret",
        headers={"Authorization": f"Bearer {account.token}", "X-Request-ID": "mine"},
    )
    principal = services.tokens.authenticate(account.token)
    (line,) = lines(logging_app, stderr)
    assert line.pop("ms")
    assert line.pop("timestamp")
    assert line == {
        "event": "request",
        "level": "info",
        "method": "GET",
        "route": "/accessKeys/<name>",
        "status": 404,
        "address": "127.0.0.1",
        "request_id": "mine",
        "actor": principal.user.id,
        "tenant": principal.organization_id,
    }


def test_who_asked_before_is_forgotten(logging_app: Flask, stderr: io.StringIO) -> None:
    services = logging_app.extensions["codepush"]
    token = Account.create(services, "alice@example.com").token
    client = logging_app.test_client()
    client.get("/account", headers={"Authorization": f"Bearer {token}"})
    client.get("/account")
    known, unknown = lines(logging_app, stderr)
    assert "actor" in known
    assert "actor" not in unknown


def test_what_goes_wrong_is_logged_with_the_id(
    settings: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    away = create_app(
        replace(settings, redis_url="unix:///nowhere", log_level="info", log_format="json")
    )
    headers = {"X-Request-ID": "mine", "Authorization": f"Bearer {'t' * 40}"}
    away.test_client().get("/accessKeys/a-key", headers=headers)
    found = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert [line["level"] for line in found] == ["error", "error"]
    assert all(line["request_id"] == "mine" for line in found)
    assert "a-key" not in json.dumps(found)


def test_a_sample_has_one_in_some_and_all_failures() -> None:
    sampled = AccessLog("sampled", 10)
    assert sum(sampled.wants(200) for _ in range(100)) == 10
    assert all(sampled.wants(503) for _ in range(10))
    sampled.stop()
    assert not any(AccessLog("off", 1).wants(status) for status in (200, 500))


class Collector(BaseHTTPRequestHandler):
    """Takes traces as an OpenTelemetry collector does."""

    taken: list[tuple[str, ExportTraceServiceRequest]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.taken.append((self.path, ExportTraceServiceRequest.FromString(body)))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[HTTPServer]:
    with HTTPServer(("127.0.0.1", 0), Collector) as server:
        Collector.taken = []
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        yield server
        server.shutdown()


def test_requests_are_traced_where_a_collector_is_named(
    settings: Settings, redis: StoreClient, collector: HTTPServer
) -> None:
    endpoint = f"http://127.0.0.1:{collector.server_port}"
    app = create_app(replace(settings, otel_exporter_otlp_endpoint=endpoint))
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    headers = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
    app.test_client().get("/accessKeys/a-key", headers=headers)
    app.extensions["codepush.observer"].stop()
    ((path, sent),) = Collector.taken
    assert path == "/v1/traces"
    (span,) = sent.resource_spans[0].scope_spans[0].spans
    assert span.name == "GET /accessKeys/<name>"
    assert span.trace_id.hex() == trace
    assert "a-key" not in str(sent)
    assert {each.key: each.value.int_value for each in span.attributes} == {
        "http.response.status_code": 401
    }
