"""The OpenAPI document and a page that shows it, which needs nothing from the internet."""

import functools
import hashlib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
from flask import Blueprint, Flask, Response, current_app, render_template, request, send_file
from werkzeug.exceptions import NotFound

from codepush.api.v1.parameters import PREFIX
from codepush.web.context import origin

blueprint = Blueprint("docs", __name__, url_prefix=PREFIX)

_EXTENSION = "codepush.openapi"
_STATIC = Path(__file__).parents[2] / "static"
_ASSETS = {
    path.name: path
    for path in (
        _STATIC / "docs" / "docs.js",
        _STATIC / "vendor" / "swagger-ui" / "swagger-ui.css",
        _STATIC / "vendor" / "swagger-ui" / "swagger-ui-bundle.js",
        _STATIC / "vendor" / "swagger-ui" / "favicon-32x32.png",
    )
}
_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def install(app: Flask, document: dict[str, Any]) -> None:
    """Serve the document, and the page that shows it."""
    app.extensions[_EXTENSION] = document
    app.register_blueprint(blueprint)


@blueprint.after_request
def _guard(response: Response) -> Response:
    """Let the page load nothing from elsewhere."""
    response.headers["Content-Security-Policy"] = _CSP
    return response


@blueprint.get("/openapi.json")
def openapi() -> Response:
    """Return the OpenAPI document."""
    document = {**current_app.extensions[_EXTENSION], "servers": [{"url": origin() + PREFIX}]}
    response = Response(orjson.dumps(document), content_type="application/json")
    response.headers["Cache-Control"] = "no-cache"
    response.add_etag()
    response.make_conditional(request)
    return response


@blueprint.get("/docs")
def page() -> Response:
    """Show the document to people."""
    base = urlsplit(origin()).path + PREFIX
    text = render_template(
        "docs.html", document=f"{base}/openapi.json", assets=f"{base}/docs/{_digest()}"
    )
    response = Response(text, content_type="text/html; charset=utf-8")
    response.headers["Cache-Control"] = "no-cache"
    return response


@blueprint.get("/docs/<digest>/<name>")
def asset(digest: str, name: str) -> Response:
    """Return a part of the page; its address changes with its contents."""
    if digest != _digest() or name not in _ASSETS:
        raise NotFound
    response = send_file(_ASSETS[name])
    response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    return response


@functools.cache
def _digest() -> str:
    digest = hashlib.sha256()
    for path in _ASSETS.values():
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
