"""Tells whether the server is there; ``/health`` in the words of the reference server."""

from collections.abc import Iterator

import redis
from flask import Blueprint, Response

from codepush.domain.errors import CodePushError
from codepush.services.container import Services
from codepush.store.probe import AWAY
from codepush.web.context import services

blueprint = Blueprint("health", __name__)

WORKER_SILENT_S = 120
"""Without a word from workers of a kind, after which there are none; each speaks once a minute."""


@blueprint.get("/")
def welcome() -> Response:
    """Greet whoever opens the server's address."""
    return _text("Welcome to the CodePush REST API!")


@blueprint.get("/health")
def health() -> Response:
    """Tell whether store and storage take writes."""
    found = services()
    faults = [f"Unhealthy: {fault}" for fault in (*found.probe.faults(), *_of_storage(found))]
    return _text("\n".join(faults), 503) if faults else _text("Healthy")


@blueprint.get("/health/live")
def live() -> Response:
    """Tell that this process answers; who gets no answer may start it anew."""
    return _text("Alive")


@blueprint.get("/health/ready")
def ready() -> Response:
    """Tell whether requests may be sent here, and what does not work meanwhile.

    Always 200: a server whose store is away or full still answers devices, from memory.
    """
    found = services()
    found.snapshot.follow()
    faults = [f"Degraded: {fault}" for fault in _faults(found)]
    return _text("\n".join(faults) or "Ready")


def _faults(found: Services) -> Iterator[str]:
    faults = found.probe.faults()
    if not found.snapshot.is_connected:
        yield f"{AWAY} Devices get what was true when it last did."
    yield from (each for each in faults if found.snapshot.is_connected or each != AWAY)
    yield from _of_storage(found)
    try:
        silent_s = found.vitals.silent_s()
    except redis.RedisError:
        yield "the queue of jobs does not answer. Background work waits."
    else:
        if silent_s is None or silent_s > WORKER_SILENT_S:
            yield "no worker is there. Background work waits; start `codepush worker`."


def _of_storage(found: Services) -> Iterator[str]:
    try:
        found.storage.check()
    except CodePushError as exc:
        yield exc.message


def _text(text: str, status: int = 200) -> Response:
    return Response(text, status, content_type="text/plain; charset=utf-8")
