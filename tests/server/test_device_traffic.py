"""What an operator sees of devices, which no thread and no Flask answers."""

import json
from collections import Counter

import requests
from prometheus_client.parser import text_string_to_metric_families

from tests.server.processes import Processes, wait_for
from tests.server.real import RealServer

CHECK = "/v0.1/public/codepush/update_check"
REPORT = "/v0.1/public/codepush/report_status/deploy"
TOKEN = "a-token-of-the-tests"
CHECKS = 150
REPORTS = 5


def numbers(server: RealServer) -> dict[tuple[str, ...], float]:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(server.get("/metrics", headers=headers).text)
        for sample in family.samples
    }


def test_devices_are_logged_and_timed_and_their_refused_reports_counted(
    processes: Processes,
) -> None:
    server = RealServer(
        processes,
        WEB_CONCURRENCY="1",
        LOG_LEVEL="info",
        LOG_FORMAT="json",
        ACCESS_LOG="all",
        METRICS_TOKEN=TOKEN,
    )
    server.add_app("App")
    deployment = server.get("/apps/App/deployments/Staging", headers=server.headers).json()
    told = {"deployment_key": deployment["deployment"]["key"], "app_version": "1.0.0"}

    def report(device: str) -> int:
        body = {**told, "client_unique_id": device}
        return requests.post(server.url + REPORT, json=body, timeout=30).status_code

    with requests.Session() as device:
        for _ in range(CHECKS):
            query = {**told, "client_unique_id": "d1"}
            device.get(server.url + CHECK, params=query, timeout=10).raise_for_status()
    assert [report(f"d{number}") for number in range(REPORTS)] == [200] * REPORTS

    def logged() -> Counter[tuple[str, int]]:
        lines = [json.loads(line) for line in server.output if line.startswith("{")]
        return Counter((each["route"], each["status"]) for each in lines if "route" in each)

    wait_for(lambda: logged()[REPORT, 200] == REPORTS, "a line for each report")
    assert logged()[CHECK, 200] == CHECKS
    found = numbers(server)
    assert found[("codepush_device_seconds_count", "check")] == CHECKS // 64
    assert found[("codepush_device_seconds_count", "report")] >= 1
    assert ("codepush_event_loop_lag_seconds",) in found
    store = server.one_of("valkey-server")
    assert store
    store.suspend()
    try:
        assert report("late") == 503
    finally:
        store.resume()
    wait_for(lambda: logged()[REPORT, 503] == 1, "a line for the one that was refused")
    found = numbers(server)
    assert found[("codepush_reports_total", "refused", "runs")] == 1
    assert found[("codepush_store_errors_total",)] >= 1
    server.stop()
