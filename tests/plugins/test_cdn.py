"""What CDNs are told, on a real socket, and which answers they may keep."""

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import urlencode

import pytest

from codepush.app import create_app
from codepush.domain.cdn import CdnError
from codepush.edge.checks import Checks
from codepush.plugins import open_cdn
from codepush.services.container import Services
from codepush.settings import Settings, SettingsError
from codepush.store.connection import StoreClient, connect_queue
from plugins.cdn import AnyCdn, Cloudflare, Fastly
from tests.api_client import ApiClient, bundle
from tests.conftest import FakeClock

CHECK = "/v0.1/public/codepush/update_check"


class Api:
    """Stands for a CDN's API and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str], Any]] = []
        self.status = 200
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                outer.asked.append((self.path, headers, json.loads(body or "null")))
                self.send_response(outer.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def stop(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def cdn_api() -> Iterator[Api]:
    api = Api()
    yield api
    api.stop()


def test_each_kind_is_told_in_its_own_way(cdn_api: Api) -> None:
    Fastly("S1", "secret", cdn_api.url).purge("deployment-x")
    Cloudflare("Z1", "secret", cdn_api.url).purge("deployment-x")
    AnyCdn(f"{cdn_api.url}/purge/{{key}}", "secret").purge("deployment-x")
    fastly, cloudflare, other = cdn_api.asked
    assert (fastly[0], fastly[1]["fastly-key"]) == ("/service/S1/purge/deployment-x", "secret")
    assert cloudflare[0] == "/zones/Z1/purge_cache"
    assert cloudflare[1]["authorization"] == "Bearer secret"
    assert cloudflare[2] == {"tags": ["deployment-x"]}
    assert (other[0], other[1]["authorization"]) == ("/purge/deployment-x", "Bearer secret")


@pytest.mark.parametrize("status", [302, 403, 500])
def test_a_refusal_is_an_error_that_makes_the_job_try_again(cdn_api: Api, status: int) -> None:
    cdn_api.status = status
    with pytest.raises(CdnError):
        AnyCdn(f"{cdn_api.url}/{{key}}", "").purge("deployment-x")


def test_a_cdn_that_is_not_there_is_an_error() -> None:
    with pytest.raises(CdnError):
        AnyCdn("http://127.0.0.1:9/{key}", "").purge("deployment-x")


@pytest.mark.parametrize(
    ("url", "token"),
    [
        ("fastly://", "t"),
        ("fastly://a/b", "t"),
        ("fastly://a", ""),
        ("cloudflare://z", ""),
        ("https://host/purge", ""),
        ("https:///{key}", ""),
        ("akamai://x", "t"),
        ("x", ""),
    ],
)
def test_a_setting_that_cannot_work_stops_the_start(url: str, token: str) -> None:
    with pytest.raises(SettingsError, match="CDN_PURGE_URL"):
        open_cdn(url, token)


def test_each_change_leaves_a_job(
    settings: Settings, redis: StoreClient, api: ApiClient, clock: FakeClock
) -> None:
    settings = replace(settings, cdn_purge_url="https://host/{key}")
    http = create_app(settings, clock).test_client()
    told = ApiClient(http, api.account)
    told.add_app()
    told.release(bundle())
    client = connect_queue(settings.effective_queue_url)
    jobs = [client.hget(job, "description") for job in client.keys("rq:job:*")]
    assert sum(b"codepush.jobs.cdn.purge" in (job or b"") for job in jobs) == 1


def test_only_what_every_device_gets_may_be_kept(settings: Settings, api: ApiClient) -> None:
    api.add_app()
    api.release(bundle("1"), "1.0.0")
    key = api.key()
    http = create_app(replace(settings, public_url="https://cp.example.com")).test_client()

    def headers(**query: str) -> Any:
        query |= {"deployment_key": key, "app_version": "1.0.0"}
        return http.get(CHECK, query_string=query).headers

    shared = headers()
    assert shared["Cache-Control"] == "public, no-cache"
    assert shared["Surrogate-Key"].split() == shared["Cache-Tag"].split(",")
    assert shared["Surrogate-Key"].startswith("deployment-")
    assert headers(client_unique_id="d")["Cache-Control"] == "private, no-cache"
    assert "Surrogate-Key" not in headers(client_unique_id="d")
    api.release(bundle("2"), "1.0.0", rollout=50)
    assert headers()["Cache-Control"] == "private, no-cache"
    again = http.get(
        CHECK,
        query_string={"deployment_key": key, "app_version": "1.0.0"},
        headers={"If-None-Match": headers()["ETag"]},
    )
    assert (again.status_code, again.data) == (304, b"")


def test_how_long_they_may_be_kept_is_a_setting(
    settings: Settings, redis: StoreClient, api: ApiClient
) -> None:
    api.add_app()
    changed = replace(settings, cdn_max_age_s=60, public_url="https://cp.example.com")
    http = create_app(changed).test_client()
    query = {"deployment_key": api.key(), "app_version": "1.0.0"}
    found = http.get(CHECK, query_string=query).headers["Cache-Control"]
    assert found == "public, max-age=0, s-maxage=60, stale-if-error=86400"


def test_nobody_keeps_an_answer_with_the_host_that_somebody_asked_for(
    settings: Settings, api: ApiClient, services: Services
) -> None:
    """Or one request with a foreign host would lead the devices of all to it."""
    api.add_app()
    api.release(bundle("1"), "1.0.0")
    query = {"deployment_key": api.key(), "app_version": "1.0.0"}
    foreign = {"Host": "evil.example"}
    found = api.http.get(CHECK, query_string=query, headers=foreign)
    assert b"http://evil.example/" in found.data
    assert found.headers["Cache-Control"] == "private, no-cache"
    checks = Checks(services.snapshot, services.storage, settings, lambda *_: None)
    url = f"{CHECK}?{urlencode(query)}".encode()
    fast = checks.answer(url, b"evil.example")
    assert fast
    assert b"cache-control: private, no-cache\r\n" in fast.dated(b"date: now\r\n")
