"""``GET /metrics`` of one process."""

from dataclasses import replace

import pytest
from flask import Flask
from prometheus_client.parser import text_string_to_metric_families

from codepush.app import create_app
from codepush.settings import Settings
from codepush.store.connection import StoreClient
from tests.api_client import Account

TOKEN = "a-token-of-the-tests"
HEADERS = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def measured(settings: Settings, redis: StoreClient) -> Flask:
    return create_app(replace(settings, metrics_token=TOKEN))


def read(app: Flask) -> dict[tuple[str, ...], float]:
    """Return the value of each sample, by its name and the values of its labels."""
    response = app.test_client().get("/metrics", headers=HEADERS)
    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith("text/plain")
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


def test_there_are_none_without_a_token(app: Flask, measured: Flask) -> None:
    assert app.test_client().get("/metrics", headers=HEADERS).status_code == 404
    for wrong in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer é"}):
        assert measured.test_client().get("/metrics", headers=wrong).status_code == 401


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_of_a_token_may_be_in_any_case(measured: Flask, scheme: str) -> None:
    client = measured.test_client()
    account = Account.create(measured.extensions["codepush"], "alice@example.com")
    given = {"Authorization": f"{scheme} {TOKEN}"}
    assert client.get("/metrics", headers=given).status_code == 200
    given = {"Authorization": f"{scheme} {account.token}"}
    assert client.get("/account", headers=given).status_code == 200
    for other in (TOKEN, f"Basic {TOKEN}", f"{scheme}{TOKEN}"):
        refused = client.get("/metrics", headers={"Authorization": other})
        assert refused.status_code == 401


def test_requests_are_counted_by_route_and_never_by_path(measured: Flask) -> None:
    name = ("codepush_request_seconds_count", "GET", "/apps/<app>", "4xx")
    before = read(measured)
    client = measured.test_client()
    for each in ("one", "two", "three"):
        client.get(f"/apps/{each}")
    client.open("/apps/x", method="BREW")
    after = read(measured)
    assert after[name] - before.get(name, 0) == 3
    assert not [key for key in after if "one" in str(key[2:]).split("'")]
    assert [key for key in after if "other" in key]


def test_checks_and_refusals_are_counted(measured: Flask) -> None:
    name = ("codepush_update_checks_total", "unknown key")
    before = read(measured)
    measured.test_client().get("/updateCheck?deploymentKey=" + "k" * 30 + "&appVersion=1.0.0")
    after = read(measured)
    assert after[name] - before.get(name, 0) == 1
    assert after[("codepush_snapshot_stale_seconds",)] == 0


def test_a_queue_that_is_away_is_told(settings: Settings) -> None:
    away = create_app(replace(settings, queue_url="unix:///nowhere", metrics_token=TOKEN))
    found = read(away)
    assert found[("codepush_queue_up",)] == 0
    assert ("codepush_queue_depth", "high") not in found
