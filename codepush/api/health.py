"""Tells whether the server is there, in the words of the reference server."""

from flask import Blueprint, Response

from codepush.domain.errors import CodePushError
from codepush.store.connection import STORE_ERRORS
from codepush.web.context import services

blueprint = Blueprint("health", __name__)


@blueprint.get("/")
def welcome() -> Response:
    """Greet whoever opens the server's address."""
    return _text("Welcome to the CodePush REST API!")


@blueprint.get("/health")
def health() -> Response:
    """Tell whether store and storage take writes."""
    try:
        services().stores.client.ping()
        services().storage.check()
    except STORE_ERRORS:
        return _text("Unhealthy: the store does not answer.", 503)
    except CodePushError as exc:
        return _text(f"Unhealthy: {exc.message}", 503)
    return _text("Healthy")


@blueprint.get("/health/live")
def live() -> Response:
    """Tell that this process answers; who gets no answer may start it anew."""
    return _text("Alive")


@blueprint.get("/health/ready")
def ready() -> Response:
    """Tell whether requests may be sent here, and what does not work meanwhile."""
    found = services()
    found.snapshot.follow()
    if not found.snapshot.is_connected:
        return _text(
            "Degraded: the store does not answer. Devices get what was true when it last did."
        )
    try:
        found.storage.check()
    except CodePushError as exc:
        return _text(f"Degraded: {exc.message}")
    return _text("Ready")


def _text(text: str, status: int = 200) -> Response:
    return Response(text, status, content_type="text/plain; charset=utf-8")
