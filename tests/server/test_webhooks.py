"""Webhooks of a whole server: a real RQ worker delivers, a real receiver verifies."""

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from standardwebhooks import Webhook

from tests.api_client import bundle
from tests.server.processes import Processes, wait_for
from tests.server.real import RealServer
from tests.webhooks.receiver import Receiver, status

METRICS = "a-token-of-the-tests"
ALLOWED = {"WEBHOOK_ALLOW_HTTP": "1", "WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8"}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as started:
        yield started


class Api:
    """The seed API of a real server."""

    def __init__(self, server: RealServer) -> None:
        self.url = f"{server.url}/api/v1"
        self.headers = server.headers

    def call(self, method: str, path: str, **options: Any) -> Any:
        answer = requests.request(
            method, self.url + path, headers=self.headers, timeout=30, **options
        )
        assert answer.ok, answer.text
        return answer.json()

    def release(self, number: int) -> None:
        self.call(
            "POST",
            "/apps/App/deployments/Staging/release",
            files={"package": ("p.zip", bundle(str(number)))},
            data={"packageInfo": f'{{"appVersion": "1.0.{number}"}}'},
        )


def test_a_release_is_delivered_signed_within_moments(
    processes: Processes, receiver: Receiver
) -> None:
    server = RealServer(processes, METRICS_TOKEN=METRICS, **ALLOWED)
    api = Api(server)
    server.add_app("App")
    made = api.call("POST", "/webhooks", json={"url": f"{receiver.url}/good"})
    bad = api.call("POST", "/webhooks", json={"url": f"{receiver.url}/bad"})
    receiver.answers["/bad"] = status(500, b"sorry")
    for number in range(3):
        api.release(number)
        began = time.monotonic()
        wait_for(lambda n=number: len(receiver.at("/good")) > n, "the delivery")
        print("delivered after", time.monotonic() - began)
    labels = []
    for each in receiver.at("/good"):
        body = Webhook(made["secret"]).verify(each.body, each.headers)
        labels.append(body["release"]["label"])
    assert labels == ["v1", "v2", "v3"]
    # What failed comes again, under the id that it had.
    receiver.answers["/bad"] = status(200)
    wait_for(lambda: len({each.id for each in receiver.at("/bad")}) == 3, "all first attempts")
    wait_for(
        lambda: all(
            each["status"] == "delivered"
            for each in api.call("GET", f"/webhooks/{bad['webhook']['id']}/deliveries")[
                "deliveries"
            ]
        ),
        "the retry",
        30,
    )
    assert len({each.id for each in receiver.at("/bad")}) == 3
    # A web process, which delivers nothing itself, tells what workers counted: once a job ended.
    wait_for(lambda: attempts(server, "delivered") == 6, "delivered attempts", 60)
    assert attempts(server, "waiting") >= 3
    server.stop()


def attempts(server: RealServer, outcome: str) -> float:
    """How many attempts the metrics tell, as somebody who collects them sees it."""
    answer = server.get("/metrics", headers={"Authorization": f"Bearer {METRICS}"})
    name = "codepush_worker_webhook_attempts_total"
    found = re.search(rf'^{name}{{outcome="{outcome}"}} (\S+)$', answer.text, re.MULTILINE)
    return float(found[1]) if found else 0.0
