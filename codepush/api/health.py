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


def _text(text: str, status: int = 200) -> Response:
    return Response(text, status, content_type="text/plain; charset=utf-8")
