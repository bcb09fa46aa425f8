"""What is noted about each request: its id, its log lines, how long it took."""

import re
import secrets
import time
from functools import lru_cache

import structlog
from flask import Flask, Response, g, request
from structlog.contextvars import bind_contextvars, clear_contextvars

from codepush.settings import Settings
from codepush.telemetry.access import AccessLog
from codepush.telemetry.metrics import REQUEST_SECONDS
from codepush.telemetry.tracing import Tracer
from codepush.web.context import EXTENSION

REQUEST_ID = "X-Request-ID"
_SOUND_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/+=-]{0,127}")
_NO_ROUTE = "none"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Observer:
    """Observes the requests of one app."""

    def __init__(self, settings: Settings):
        """Log and trace as ``settings`` say."""
        self.access = AccessLog(settings.access_log, settings.access_log_rate)
        self._tracer = Tracer(settings.otel_exporter_otlp_endpoint)

    def install(self, app: Flask) -> None:
        """Observe ``app``; to be called before anything else hooks into its requests."""
        app.before_request(self._begin)
        app.after_request(self._end)
        app.extensions[f"{EXTENSION}.observer"] = self

    def stop(self) -> None:
        """Write and send what waits."""
        self.access.stop()
        self._tracer.flush()

    def _begin(self) -> None:
        g.began = time.perf_counter()
        given = request.headers.get(REQUEST_ID, "")
        g.request_id = given if _SOUND_ID.fullmatch(given) else secrets.token_hex(8)
        clear_contextvars()
        bind_contextvars(request_id=g.request_id)
        parent = request.headers.get("traceparent", "")
        g.span = self._tracer.begin(f"{method()} {route()}", parent)

    def _end(self, response: Response) -> Response:
        if "began" not in g:  # something failed before it
            return response
        seconds = time.perf_counter() - g.began
        status = response.status_code
        if request.blueprint != "device":  # the event loop answers them alike, without ids
            response.headers[REQUEST_ID] = g.request_id
        REQUEST_SECONDS.labels(method(), route(), f"{status // 100}xx").observe(seconds)
        if self.access.wants(status):
            self.access.write(
                method=method(),
                route=route(),
                status=status,
                ms=round(seconds * 1_000, 1),
                address=request.remote_addr,
                **structlog.contextvars.get_contextvars(),
            )
        self._tracer.end(g.span, status)
        return response


def route() -> str:
    """Return the template of the request's route.

    Never its path: that may hold e-mail addresses, names, or keys that somebody put there.
    """
    return _template(request.url_rule.rule) if request.url_rule else _NO_ROUTE


@lru_cache(1_000)
def _template(rule: str) -> str:
    """Return a rule as the HTTP reference has it."""
    return re.sub(r"<\w+:", "<", rule).rstrip("/") or "/"


def method() -> str:
    """Return the request's method, if it is one that anybody uses."""
    return request.method if request.method in _METHODS else "other"
