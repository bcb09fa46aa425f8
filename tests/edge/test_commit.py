"""Reports on their way, while other things happen."""

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis

from codepush.app import create_app
from codepush.domain.ids import DeploymentKey
from codepush.edge.answer import Answer
from codepush.edge.commit import Reports
from codepush.edge.refusals import ACCEPTED, AWAY, unavailable
from codepush.services.container import Services
from codepush.services.reporting import REPORTS
from codepush.settings import Settings
from codepush.store.reports import ReportStore
from codepush.web.errors import STORE_FAILURES, STORE_FULL
from tests.api_client import Account, ApiClient, bundle
from tests.redis_servers import RedisServer

DEPLOY = b"/v0.1/public/codepush/report_status/deploy"


def body_of(key: str, device: str, **more: Any) -> bytes:
    fields = {"deployment_key": key, "app_version": "1.0.0", "client_unique_id": device} | more
    return json.dumps(fields, separators=(",", ":")).encode()


def run(services: Services, settings: Settings, *takes: Callable[[Reports], None]) -> None:
    """Let the loop of a process take reports and finish them, several times."""

    async def work() -> None:
        reports = Reports(services.snapshot, services.stores.reports, services.clock, settings)
        for take in takes:
            take(reports)
            while reports._tasks or reports._waiting:
                await asyncio.sleep(0.001)
        await reports.close()

    asyncio.run(work())


def test_a_connection_that_takes_no_answer_harms_no_other(
    api: ApiClient, services: Services, settings: Settings
) -> None:
    api.add_app()
    key = api.key()
    services.snapshot.get(DeploymentKey(key))
    answers: list[Answer] = []

    def broken(_: Answer) -> None:
        answers.append(ACCEPTED)
        raise RuntimeError("the handler is closed")

    def take(reports: Reports) -> None:
        for number, done in enumerate([answers.append, broken, answers.append]):
            assert reports.take(DEPLOY, body_of(key, f"d{number}"), done)

    run(services, settings, take, take)
    assert answers == [ACCEPTED] * 6


def test_a_device_leaves_where_it_was_though_that_changes_meanwhile(
    api: ApiClient, services: Services, settings: Settings
) -> None:
    """Let go of by the snapshot between report and batch, it kept the device for ever."""
    api.add_app()
    old, new = api.key(deployment="Staging"), api.key(deployment="Production")
    for key in (old, new):
        services.snapshot.get(DeploymentKey(key))
    moved = {"previous_deployment_key": old, "previous_label_or_app_version": "1.0.0"}
    answers: list[Answer] = []

    def arrive(reports: Reports) -> None:
        for device in ("d1", "d2"):
            assert reports.take(DEPLOY, body_of(old, device), answers.append)

    def move(reports: Reports) -> None:
        assert reports.take(DEPLOY, body_of(new, "d1", **moved), answers.append)

    def move_while_it_changes(reports: Reports) -> None:
        assert reports.take(DEPLOY, body_of(new, "d2", **moved), answers.append)
        services.snapshot.changed = lambda *_: None  # type: ignore[method-assign] # not loaded again
        api.release(bundle("1"))
        assert services.snapshot.held(old) is None

    run(services, settings, arrive, move, move_while_it_changes)
    assert answers == [ACCEPTED] * 4
    assert "1.0.0" not in api.metrics("Staging")
    assert api.metrics("Production")["1.0.0"] == {"active": 2}


def test_a_store_that_is_away_is_waited_for_once_by_a_batch(
    api: ApiClient, services: Services, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = []
    for number in range(20):
        api.add_app(f"App{number}")
        keys.append(api.key(f"App{number}"))
        services.snapshot.get(DeploymentKey(keys[-1]))
    tries: list[object] = []

    def away(_: ReportStore, address: object, told: object, **__: object) -> Any:
        tries.append(address)
        time.sleep(0.05)
        raise redis.ConnectionError("The store is away.")

    monkeypatch.setattr(ReportStore, "count_many", away)
    answers: list[Answer] = []
    refused = ("runs", "refused")
    before, failed = REPORTS.values().get(refused, 0), STORE_FAILURES.value

    def take(reports: Reports) -> None:
        for key in keys:
            assert reports.take(DEPLOY, body_of(key, "d"), answers.append)

    run(services, settings, take)
    assert answers == [AWAY] * 20
    assert len(tries) <= 4, "one for each thread"
    assert REPORTS.values()[refused] - before == 20, "an alert can see them"
    assert STORE_FAILURES.value - failed == 20


def test_a_full_store_is_told_to_all_who_report_alike(settings: Settings, tmp_path: Path) -> None:
    server = RedisServer(tmp_path / "redis", "--maxmemory-policy", "noeviction")
    try:
        url = server.start().url
        app = create_app(replace(settings, redis_url=url, queue_url=""))
        services: Services = app.extensions["codepush"]
        api = ApiClient(app.test_client(), Account.create(services, "alice@example.com"))
        api.add_app()
        key = api.key()
        services.snapshot.get(DeploymentKey(key))
        answers: list[Answer] = []

        def take(reports: Reports) -> None:
            server.ask("CONFIG", "SET", "maxmemory", "1mb")
            for device in ("d1", "d2"):
                assert reports.take(DEPLOY, body_of(key, device), answers.append)

        run(services, settings, take, take)
        assert answers == [unavailable(STORE_FULL)] * 4
    finally:
        server.kill()
