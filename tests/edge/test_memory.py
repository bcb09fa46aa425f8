"""What the event loop remembers is small, whatever changes meanwhile."""

import asyncio
import gc
import json
import re
import uuid

import uvicorn
from flask import Flask
from uvicorn.server import ServerState

from codepush.domain.ids import DeploymentKey
from codepush.edge import memory, protocol
from codepush.edge.bridge import Bridge
from codepush.edge.clock import CoarseClock
from codepush.edge.fast import Edge
from codepush.edge.taken import Taken
from codepush.edge.worker import _Server
from codepush.services.container import Services
from codepush.services.prepared import Prepared
from codepush.settings import Settings
from codepush.telemetry.access import AccessLog
from tests.api_client import ApiClient, bundle

CHECK = b"/v0.1/public/codepush/update_check"
REPORT = b"/v0.1/public/codepush/report_status/deploy"
HISTORIES = 12
REPORTS = 40


def report(key: str, number: int) -> bytes:
    """Return what a device sends that has installed a release."""
    told = {
        "deployment_key": key,
        "app_version": "1.0.0",
        "client_unique_id": "d",
        "label": f"v{number}",
        "status": "DeploymentSucceeded",
    }
    return json.dumps(told, separators=(",", ":")).encode()


def histories(key: str) -> int:
    """Return how many versions of a deployment's history this process holds."""
    gc.collect()
    return sum(isinstance(each, Prepared) and each.key == key for each in gc.get_objects())


def test_answers_that_hold_no_more_keep_no_history(
    api: ApiClient, services: Services, settings: Settings
) -> None:
    """A soak found web processes that grew with every release, for up to a minute."""
    api.add_app()
    key = DeploymentKey(api.key())
    edge = Edge(services, settings, AccessLog("off", 1))
    for number in range(HISTORIES):
        api.release(bundle(f"{number}"))
        assert services.snapshot.get(key)
        # Never asked again, as by devices that have the update by now.
        url = b"%s?deployment_key=%s&app_version=1.0.0&label=v%d" % (CHECK, key.encode(), number)
        assert edge.checks.answer(url, b"localhost")
        assert edge.reports._reader.read(REPORT, report(key, number + 1))
    assert histories(key) == 1


def test_a_connection_keeps_none_of_the_reports_it_brought(
    api: ApiClient, app: Flask, services: Services, settings: Settings
) -> None:
    """A soak found that each report held the one before it, for as long as they were connected."""
    api.add_app()
    api.release(bundle("1"))
    body = report(api.key(), 1)
    head = b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (REPORT, len(body))

    async def send_all() -> int:
        edge = Edge(services, settings, AccessLog("off", 1))
        bridge = Bridge(app, 1, CoarseClock(), edge)
        config = uvicorn.Config(bridge, interface="asgi3", proxy_headers=False, log_config=None)
        config.load()
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: protocol.EdgeProtocol(config, ServerState(), {}), "127.0.0.1", 0
        )
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        for _ in range(REPORTS):
            writer.write(head + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 200 ")
            assert await reader.readexactly(2) == b"OK"
        gc.collect()
        held = sum(isinstance(each, Taken) for each in gc.get_objects())
        writer.close()
        server.close()
        await edge.reports.close()
        return held

    assert asyncio.run(send_all()) <= 1


def test_garbage_collections_leave_out_what_lives_for_ever() -> None:
    try:
        memory.spare_the_collector()
        assert len(gc.get_objects(generation=2)) < 1_000 < gc.get_freeze_count()
    finally:
        gc.unfreeze()


def test_patterns_of_uploads_are_forgotten(app: Flask) -> None:
    bridge = Bridge(app, 1, CoarseClock(), None)
    server = _Server(uvicorn.Config(bridge), CoarseClock(), lambda: None)
    boundary = uuid.uuid4().hex
    pattern = re.compile(boundary)
    assert re.compile(boundary) is pattern
    server._forget()
    assert re.compile(boundary) is not pattern
    bridge.close()
