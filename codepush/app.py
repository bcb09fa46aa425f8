"""Joins the parts into a Flask app: the one place that does."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from flask import Flask
from flask.json.provider import DefaultJSONProvider
from werkzeug.middleware.proxy_fix import ProxyFix

from codepush.api import health, login, metrics
from codepush.api.classic.blueprint import classic_blueprints
from codepush.api.v1 import api as seed
from codepush.edge import blobs, device
from codepush.plugins import open_storage
from codepush.services.clock import Clock, system_clock
from codepush.services.container import build_services
from codepush.settings import Settings, load_settings
from codepush.store.connection import connect
from codepush.store.queue import JobQueue
from codepush.store.stores import open_stores
from codepush.telemetry.logging import configure_logging
from codepush.telemetry.metrics import gauge
from codepush.web import address, errors, headers
from codepush.web.context import EXTENSION
from codepush.web.observe import Observer
from codepush.web.quotas import Quotas
from codepush.web.upload import DrainUnread, SpoolingRequest

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_MAX_FORM_MEMORY_BYTES = 256 * 1024


class _Json(DefaultJSONProvider):
    """JSON with its fields in the order of their schemas."""

    sort_keys = False
    ensure_ascii = False


class CodePushFlask(Flask):
    """Flask, with uploads kept off the memory."""

    request_class = SpoolingRequest
    json_provider_class = _Json


def create_app(settings: Settings | None = None, clock: Clock = system_clock) -> Flask:
    """Return the WSGI app.

    Args:
        settings: Checked settings; read from the environment if None. ``redis_url`` must be set:
            the embedded store is the supervisor's business.
        clock: Tells the time.

    Raises:
        SettingsError: A setting is wrong.
    """
    settings = settings or load_settings()
    configure_logging(settings.log_level, settings.log_format)
    app = CodePushFlask("codepush", static_folder=None)
    app.config.update(
        MAX_FORM_MEMORY_SIZE=_MAX_FORM_MEMORY_BYTES,
        MAX_CONTENT_LENGTH=settings.max_package_bytes,
        PROPAGATE_EXCEPTIONS=False,
    )
    app.url_map.strict_slashes = False
    settings.spool_dir.mkdir(parents=True, exist_ok=True)
    stores = open_stores(connect(settings.redis_url))
    storage = open_storage(settings.effective_storage_url, settings.storage_secrets)
    queue = JobQueue(settings.effective_queue_url)
    services = build_services(settings, stores, storage, queue, clock)
    gauge(
        "snapshot_stale_seconds",
        "Seconds since the store ceased to tell of changes, in the worst process; 0 if it does.",
        lambda: services.snapshot.stale_s,
    )
    app.extensions[EXTENSION] = services
    app.extensions[f"{EXTENSION}.settings"] = settings
    errors.install(app)
    Observer(settings).install(app)
    headers.install(app, settings)
    address.install(app)
    Quotas(settings).install(app)
    for part in (health, metrics, device, blobs, login):
        app.register_blueprint(part.blueprint)
    for blueprint in classic_blueprints():
        app.register_blueprint(blueprint)
    seed.install(app)
    _wrap(app, settings)
    return app


def _wrap(app: Flask, settings: Settings) -> None:
    """Put the WSGI middleware around ``app``, innermost first."""
    wrapped = app.wsgi_app
    if settings.public_path:
        wrapped = _StripPrefix(wrapped, settings.public_path)
    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        wrapped = ProxyFix(wrapped, x_for=hops, x_proto=hops, x_host=hops, x_prefix=hops)
    app.wsgi_app = DrainUnread(  # type: ignore[method-assign]  # Flask's documented way
        wrapped, 2 * settings.max_package_bytes
    )


class _StripPrefix:
    """Serves below the path of ``PUBLIC_URL`` too, for proxies that pass it on."""

    def __init__(self, app: "WSGIApplication", prefix: str):
        self._app = app
        self._prefix = prefix

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        path: str = environ.get("PATH_INFO", "")
        if path == self._prefix or path.startswith(f"{self._prefix}/"):
            environ["SCRIPT_NAME"] = environ.get("SCRIPT_NAME", "") + self._prefix
            environ["PATH_INFO"] = path[len(self._prefix) :] or "/"
        return self._app(environ, start_response)
