"""HTTP as hostile and careless clients speak it, on the real socket."""

import contextlib
import json
import re
import resource
import socket
import time
import uuid
from collections.abc import Iterator

import pytest
import requests

from tests.api_client import bundle
from tests.server.processes import Processes, wait_for
from tests.server.real import RealServer, cmdline

CHECK = "/v0.1/public/codepush/update_check"
REPORT = "/v0.1/public/codepush/report_status/deploy"
COLLECTOR = "a-token-of-the-collector"
GUARDS = {
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "strict-transport-security": "max-age=31536000",
    "x-content-type-options": "nosniff",
}
"""What browsers are told by each answer to people and managers, where PUBLIC_URL is https."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    """One for all tests of this file: what one client does must not harm the next."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    folder = tmp_path_factory.mktemp("var")
    started = Processes(uuid.uuid4().hex, folder, port)
    found = RealServer(
        started, WEB_CONCURRENCY="1", PUBLIC_URL="https://cp.example.com", METRICS_TOKEN=COLLECTOR
    )
    found.add_app("App")
    yield found
    wait_for(lambda: found.get("/health/ready").text == "Ready", "all is well, workers included")
    found.stop()
    assert started.close() == []


@pytest.fixture(scope="module")
def key(server: RealServer) -> str:
    answer = requests.post(
        f"{server.url}/apps/App/deployments/Staging/release",
        headers=server.headers,
        files={"package": ("p.zip", bundle("1"))},
        data={"packageInfo": json.dumps({"appVersion": "1.0.0"})},
        timeout=30,
    )
    answer.raise_for_status()
    path = f"{server.url}/apps/App/deployments/Staging"
    found: str = requests.get(path, headers=server.headers, timeout=10).json()["deployment"]["key"]
    query = {"deployment_key": found, "app_version": "1.0.0"}
    requests.get(server.url + CHECK, params=query, timeout=10).raise_for_status()
    return found


class Client:
    """A socket that sends what it is told."""

    def __init__(self, server: RealServer, timeout_s: float = 15.0) -> None:
        port = int(server.url.rpartition(":")[2])
        self.socket = socket.create_connection(("127.0.0.1", port), timeout_s)
        self.reader = self.socket.makefile("rb")

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.reader.close()
        self.socket.close()

    def send(self, text: str | bytes) -> "Client":
        self.socket.sendall(text.encode("latin-1") if isinstance(text, str) else text)
        return self

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        """The next answer: status, headers and body; status 0 where the connection is closed."""
        try:
            first = self.reader.readline()
            if not first:
                return 0, {}, b""
            headers = {}
            while (line := self.reader.readline().strip()) != b"":
                name, _, value = line.decode("latin-1").partition(":")
                headers[name.lower()] = value.strip()
            body = self.reader.read(int(headers.get("content-length", "0")))
        except ConnectionError:
            return 0, {}, b""
        return int(first.split()[1]), headers, body

    def status(self) -> int:
        return self.answer()[0]

    def is_closed(self) -> bool:
        try:
            return self.socket.recv(1) == b""
        except ConnectionError:
            return True


def check_of(key: str, device: str = "d1", extra: str = "") -> str:
    query = f"deployment_key={key}&app_version=1.0.0&client_unique_id={device}"
    return f"GET {CHECK}?{query} HTTP/1.1\r\nHost: example.com\r\n{extra}\r\n"


def test_a_check_is_answered_alike_by_loop_and_flask(server: RealServer, key: str) -> None:
    """With If-None-Match a request goes to Flask, without to the loop."""
    with Client(server) as client:
        fast = client.send(check_of(key)).answer()
        slow = client.send(check_of(key, extra='If-None-Match: "other"\r\n')).answer()
    assert fast[0] == slow[0] == 200
    assert fast[2] == slow[2]
    assert {n: v for n, v in fast[1].items() if n != "date"} == {
        n: v for n, v in slow[1].items() if n != "date"
    }
    with Client(server) as client:
        again = client.send(check_of(key, extra=f"If-None-Match: {fast[1]['etag']}\r\n")).answer()
    assert again[0] == 304


def report_of(key: str, device: str, **more: str) -> str:
    body = json.dumps(
        {"deployment_key": key, "app_version": "1.0.0", "client_unique_id": device} | more,
        separators=(",", ":"),
    )
    return f"POST {REPORT} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n{body}"


def test_who_sends_rubbish_after_a_report_harms_no_other(server: RealServer, key: str) -> None:
    """Its connection is gone when its batch is counted, and the others of the batch wait."""
    store = server.one_of("valkey-server")
    assert store
    with contextlib.ExitStack() as stack:
        others = [stack.enter_context(Client(server)) for _ in range(8)]
        for each in others:
            assert each.send(report_of(key, "before")).status() == 200
        hostile = stack.enter_context(Client(server))
        store.suspend()
        try:
            for each in others[:2]:  # a batch each; all that follow are one batch
                each.send(report_of(key, "first"))
                time.sleep(0.1)
            for each in others[2:5]:
                each.send(report_of(key, "early"))
            time.sleep(0.1)
            get = "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
            hostile.send(report_of(key, "hostile") + get + "RUBBISH\r\n\r\n")
            assert hostile.status() == 0
            for each in others[5:]:
                each.send(report_of(key, "late"))
            time.sleep(0.1)
        finally:
            store.resume()
        assert [each.status() for each in others] == [200] * 8
        for each in others:  # nothing else was sent in between
            assert each.send(check_of(key)).answer()[1]["content-type"].startswith("application/js")


def test_a_connection_that_brings_many_reports_holds_none(server: RealServer, key: str) -> None:
    def web_bytes() -> int:
        found = [each for each in server.everything() if "codepush.server.web" in cmdline(each)]
        return sum(int(each.memory_info().rss) for each in found)

    report = report_of(key, "d1", error="x" * 30_000)
    with Client(server) as client:
        for _ in range(200):
            assert client.send(report).status() == 200
        before = web_bytes()
        for _ in range(2_000):
            assert client.send(report).status() == 200
        assert web_bytes() - before < 2_000 * 30_000 / 4


def test_a_check_may_come_byte_by_byte(server: RealServer, key: str) -> None:
    with Client(server) as client:
        for byte in check_of(key):
            client.send(byte)
        assert client.status() == 200


def test_answers_come_in_the_order_of_the_requests(server: RealServer, key: str) -> None:
    """Some from the loop, some from threads."""
    get = "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
    missing = "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"
    with Client(server) as client:
        client.send((check_of(key) + get + check_of(key) + missing + check_of(key)) * 3)
        assert [client.status() for _ in range(15)] == [200, 200, 200, 404, 200] * 3


def test_a_flood_sent_ahead_is_answered_or_cut_off(server: RealServer, key: str) -> None:
    with Client(server) as client:
        client.send(check_of(key) * 2_000)
        assert [client.status() for _ in range(2_000)] == [200] * 2_000
    with Client(server) as client:
        client.send("GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n" * 500)
        statuses = [client.status() for _ in range(500)]
    assert 1 <= statuses.count(200) < 500
    assert set(statuses) == {200, 0}


def test_http_1_0_and_close_are_heeded(server: RealServer, key: str) -> None:
    with Client(server) as client:
        status, headers, _ = client.send(check_of(key, extra="Connection: close\r\n")).answer()
        assert (status, headers["connection"]) == (200, "close")
        assert client.is_closed()
    with Client(server) as client:
        assert client.send(check_of(key).replace("HTTP/1.1", "HTTP/1.0")).status() == 200
        assert client.is_closed()


def test_a_half_closed_connection_gets_its_answer(server: RealServer, key: str) -> None:
    for request in (check_of(key), "GET /health HTTP/1.1\r\nHost: x\r\n\r\n"):
        with Client(server) as client:
            client.send(request)
            client.socket.shutdown(socket.SHUT_WR)
            assert client.status() == 200
            assert client.is_closed()
    with Client(server) as client:
        client.send(check_of(key)[:50])
        client.socket.shutdown(socket.SHUT_WR)
        assert client.is_closed()


HEAD = "Host: example.com\r\n"
SMUGGLED = "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(
    "request_text",
    [
        pytest.param(
            f"POST /reportStatus/deploy HTTP/1.1\r\n{HEAD}Content-Length: 5\r\n"
            "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            id="both lengths",
        ),
        pytest.param(
            f"POST /reportStatus/deploy HTTP/1.1\r\n{HEAD}Content-Length: 5\r\n"
            "Content-Length: 6\r\n\r\nhello!",
            id="two lengths",
        ),
        pytest.param(
            f"POST /reportStatus/deploy HTTP/1.1\r\n{HEAD}Content-Length: +5\r\n\r\nhello",
            id="length with a sign",
        ),
        pytest.param(
            f"POST /reportStatus/deploy HTTP/1.1\r\n{HEAD}Content-Length: 99999999999999999999\r\n"
            "\r\n",
            id="length beyond 64 bits",
        ),
        pytest.param(
            f"POST /reportStatus/deploy HTTP/1.1\r\n{HEAD}Transfer-Encoding: chunked, x\r\n\r\n0",
            id="encoding that does not end in chunked",
        ),
        pytest.param(
            f"POST /reportStatus/deploy HTTP/1.1\r\n{HEAD}Transfer-Encoding: chunked\r\n\r\nzz\r\n",
            id="chunk without a size",
        ),
        pytest.param(f"GET /health HTTP/1.1\r\n{HEAD}Host: y\r\n\r\n", id="two hosts"),
        pytest.param(f"GET {CHECK}?a=b HTTP/1.1\r\n{HEAD}{HEAD}\r\n", id="check of two hosts"),
        pytest.param(
            f"POST {REPORT} HTTP/1.1\r\n{HEAD}{HEAD}Content-Length: 2\r\n\r\n{{}}",
            id="report to two hosts",
        ),
        pytest.param(f"GET / HTTP/1.1\r\n{HEAD}X: a\r\n b\r\n\r\n", id="folded header"),
        pytest.param(f"GET / HTTP/1.1\r\n{HEAD}X : a\r\n\r\n", id="blank before the colon"),
        pytest.param(f"GET / HTTP/1.1\n{HEAD}\n", id="bare LF"),
        pytest.param(f"GET / HTTP/1.1\r\n{HEAD}X: a\x00b\r\n\r\n", id="NUL in a header"),
        pytest.param(f"GET / HTTP/1.1\r\n{HEAD}X: a\rb\r\n\r\n", id="bare CR in a header"),
        pytest.param(f"GET /apps//x?a\rb HTTP/1.1\r\n{HEAD}\r\n", id="bare CR in the query"),
        pytest.param(f"GET /apps//x?a\nb HTTP/1.1\r\n{HEAD}\r\n", id="bare LF in the query"),
        pytest.param("GET / HTTP/9.9\r\n\r\n", id="unknown version"),
        pytest.param("FROB / HTTP/1.1\r\nHost: x\r\n\r\n", id="unknown method"),
        pytest.param("\x16\x03\x01\x02\x00\x01\x00\x01", id="TLS"),
        pytest.param("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", id="HTTP/2"),
    ],
)
def test_what_is_no_sound_request_is_refused_and_nothing_after_it_is_read(
    server: RealServer, request_text: str
) -> None:
    with Client(server) as client:
        client.send(request_text + SMUGGLED)
        status, headers, body = client.answer()
        assert status in {400, 405, 0}
        if status == 400:
            assert headers["connection"] == "close"
            assert headers.items() >= GUARDS.items()
            assert body == b"The request is malformed. Please check its headers and body."
        assert status == 405 or client.is_closed()


def test_a_check_with_a_body_is_one_request(server: RealServer, key: str) -> None:
    """A body on a GET, sized or in chunks, is not the next request."""
    hidden = "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"
    sized = check_of(key, extra=f"Content-Length: {len(hidden)}\r\n") + hidden
    chunked = check_of(key, extra="Transfer-Encoding: chunked\r\n") + "5\r\nhello\r\n0\r\n\r\n"
    with Client(server) as client:
        for request in (sized, chunked):
            client.send(request)
            assert client.status() == 200
        assert client.send(check_of(key)).status() == 200


def test_errors_of_the_server_itself_are_json_below_the_seed_api(server: RealServer) -> None:
    with Client(server) as client:
        client.send(f"GET /api/v1/apps?{'x' * 9_000} HTTP/1.1\r\nHost: x\r\n\r\n")
        status, headers, body = client.answer()
    assert status == 414
    assert headers["content-type"] == "application/json"
    assert headers.items() >= GUARDS.items()
    assert json.loads(body)["error"]["code"] == "UriTooLong"


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (f"GET /{'x' * 9_000} HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (f"GET /{'x' * 200_000}", 431),
        (f"GET / HTTP/1.1\r\nHost: x\r\nX: {'x' * 200_000}", 431),
        ("GET / HTTP/1.1\r\n" + "X: y\r\n" * 200 + "\r\n", 431),
        ("GET / HTTP/1.1\r\n" + "X: y\r\n" * 50_000, 431),
    ],
)
def test_heads_without_end_are_refused_so_that_clients_can_read_it(
    server: RealServer, head: str, status: int
) -> None:
    with Client(server) as client:
        client.send(head)
        found, headers, _ = client.answer()
        assert (found, headers["connection"]) == (status, "close")
        assert headers.items() >= GUARDS.items()


def refused(server: RealServer) -> dict[str, int]:
    """How many requests the event loop refused, by status."""
    answer = server.get("/metrics", headers={"Authorization": f"Bearer {COLLECTOR}"})
    answer.raise_for_status()
    line = r'^codepush_edge_refused_total\{status="(\d+)"\} (\d+)'
    counted = re.findall(line, answer.text, re.MULTILINE)
    return {status: int(count) for status, count in counted}


def test_what_the_loop_refuses_is_counted_by_status(server: RealServer) -> None:
    before = refused(server)
    for head in ("RUBBISH\r\n\r\n", "RUBBISH\r\n\r\n", f"GET /{'x' * 9_000} HTTP/1.1\r\n\r\n"):
        with Client(server) as client:
            assert client.send(head).status() in {400, 414}
    after = refused(server)
    assert {status: after[status] - before.get(status, 0) for status in ("400", "414")} == {
        "400": 2,
        "414": 1,
    }


def test_bodies_beyond_the_limit_are_refused_so_that_clients_can_read_it(
    server: RealServer,
) -> None:
    body = "x" * 300_000
    head = f"POST /reportStatus/deploy HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    with Client(server) as client:
        assert client.send(head + body).status() == 413
    chunks = "".join(f"10000\r\n{'x' * 65_536}\r\n" for _ in range(5)) + "0\r\n\r\n"
    head = "POST /reportStatus/deploy HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    with Client(server) as client:
        assert client.send(head + chunks).status() == 413


def test_an_offer_of_another_protocol_is_passed_over(server: RealServer, key: str) -> None:
    offer = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
    with Client(server) as client:
        assert client.send(check_of(key, extra=offer)).status() == 200


def test_headers_with_underscores_do_not_pass_for_others(server: RealServer) -> None:
    with Client(server) as client:
        client.send("GET /account HTTP/1.1\r\nHost: x\r\n")
        client.send("Authorization_: x\r\nAUTHORI_ZATION: y\r\n\r\n")
        assert client.status() == 401


def test_an_absolute_address_and_asterisk(server: RealServer) -> None:
    with Client(server) as client:
        client.send("GET http://x/health/live HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.answer()[2] == b"Alive"
    with Client(server) as client:
        assert client.send("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n").status() in {400, 404, 405}


def test_a_connection_that_is_dropped_in_the_middle_harms_nobody(
    server: RealServer, key: str
) -> None:
    head = "POST /reportStatus/deploy HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"
    for part in (check_of(key)[:40], head, head + "{", check_of(key) * 50):
        for _ in range(20):
            with Client(server) as client:
                client.send(part)
    with Client(server) as client:
        assert client.send(check_of(key)).status() == 200


@pytest.mark.parametrize(
    "beginning",
    [
        "GET / HTTP/1.1\r\n",
        "POST /reportStatus/deploy HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n",
    ],
    ids=["head", "body"],
)
@pytest.mark.timeout(120)
def test_a_request_that_trickles_in_is_given_up_on(server: RealServer, beginning: str) -> None:
    """However steadily: a byte each quarter of a second."""
    began = time.monotonic()
    said = b""
    with Client(server) as client:
        client.send(beginning)
        client.socket.settimeout(0.25)
        while time.monotonic() - began < 60:
            try:
                client.send("x")
                said += client.socket.recv(1_000)
                if said.endswith(b"Please try again."):
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        else:
            pytest.fail("it was waited for")
    assert said.startswith(b"HTTP/1.1 408 ")
    assert b"\r\nx-content-type-options: nosniff\r\n" in said


def test_idle_connections_by_the_thousand_harm_nobody(server: RealServer, key: str) -> None:
    idle: list[Client] = []
    try:
        room = resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 500
        idle.extend(Client(server) for _ in range(min(10_000, room)))
        began = time.monotonic()
        with Client(server) as client:
            assert client.send(check_of(key)).status() == 200
            assert client.send("GET /health HTTP/1.1\r\nHost: x\r\n\r\n").status() == 200
        assert idle[0].is_closed()  # after the keep-alive time, without a word
        assert time.monotonic() - began < 60
    finally:
        for client in idle:
            client.__exit__()
