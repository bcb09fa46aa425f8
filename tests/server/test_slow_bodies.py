"""Clients that send bodies slowly, or take answers slowly: nobody else waits for them."""

import contextlib
import json
import os
import socket
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from codepush.edge.spool import MOST_OF_ONE
from tests.api_client import make_zip
from tests.server.processes import Processes, wait_for
from tests.server.real import RealServer
from tests.server.test_edge_http import Client

RELEASE = "/apps/App/deployments/Staging/release"
SEED_RELEASE = "/api/v1/apps/App/deployments/Staging/release"
METRICS = "a-token-of-the-tests"
BOUNDARY = "a-boundary"
PATIENCE_S = 5.0
"""What others wait for an answer at most; a slow client may take 30 s and more."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    started = Processes(uuid.uuid4().hex, tmp_path_factory.mktemp("var"), port)
    found = RealServer(
        started,
        WEB_CONCURRENCY="1",
        WEB_THREADS="4",
        METRICS_TOKEN=METRICS,
        QUOTA_ADDRESS_PER_HOUR="0",
        MAX_PACKAGE_MB="20",
    )
    found.add_app("App")
    wait_for(lambda: found.get("/health/ready").text == "Ready", "a worker", 30)
    yield found
    assert requests.get(f"{found.url}/health/ready", timeout=10).text == "Ready"
    found.stop()
    assert started.close() == []


def head_of(path: str, length: object, *more: str) -> str:
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: x",
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}",
        f"Content-Length: {length}",
        *more,
    ]
    return "".join(f"{line}\r\n" for line in lines) + "\r\n"


def bearer(server: RealServer) -> str:
    return f"Authorization: Bearer {server.token}"


def form(content: bytes) -> bytes:
    part = f"--{BOUNDARY}\r\nContent-Disposition: form-data; name="
    info = json.dumps({"appVersion": "1.0.0"})
    return b"".join(
        [
            f'{part}"package"; filename="p.zip"\r\n\r\n'.encode(),
            content,
            f'\r\n{part}"packageInfo"\r\n\r\n{info}\r\n--{BOUNDARY}--\r\n'.encode(),
        ]
    )


def package(size: int = 300_000) -> bytes:
    """A package that nobody released before, which does not compress."""
    return make_zip({"CodePush/main.jsbundle": os.urandom(size)})


def everybody_else_is_served(server: RealServer) -> None:
    def get(path: str, token: str = "") -> str:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        answer = requests.get(server.url + path, headers=headers, timeout=PATIENCE_S)
        answer.raise_for_status()
        return answer.text

    assert get("/health/live") == "Alive"
    assert get("/health") == "Healthy"
    assert get("/health/ready") == "Ready"
    assert "codepush_request_seconds" in get("/metrics", METRICS)
    assert json.loads(get("/apps", server.token))["apps"]


class Crowd:
    """Clients that send a byte each time they are told to, and begin anew when they are closed."""

    def __init__(self, server: RealServer, count: int, head: str) -> None:
        self._server = server
        self._head = head
        self.clients = [self._begin() for _ in range(count)]

    def _begin(self) -> Client:
        client = Client(self._server)
        client.send(self._head + "-")
        client.socket.setblocking(False)
        return client

    def go_on(self) -> None:
        for place, client in enumerate(self.clients):
            try:
                client.socket.send(b"-")
                while client.socket.recv(10_000):
                    pass
            except BlockingIOError:
                continue
            except OSError:
                pass
            client.__exit__()
            self.clients[place] = self._begin()

    def __enter__(self) -> "Crowd":
        return self

    def __exit__(self, *_: object) -> None:
        for client in self.clients:
            client.__exit__()


@pytest.mark.parametrize("path", ["/nosuch", RELEASE, "/reportStatus/deploy", "/health/live"])
@pytest.mark.parametrize("length", [5_000_000, 99_999_999_999])
def test_two_hundred_slow_senders_without_a_token(
    server: RealServer, path: str, length: int
) -> None:
    with Crowd(server, 200, head_of(path, length)) as crowd:
        for _ in range(3):
            everybody_else_is_served(server)
            crowd.go_on()


def test_two_hundred_slow_senders_in_chunks(server: RealServer) -> None:
    head = head_of("/nosuch", 0).replace("Content-Length: 0", "Transfer-Encoding: chunked")
    beginning = f"20000\r\n{'x' * 0x20000}\r\n5000000\r\n"
    with Crowd(server, 200, head + beginning) as crowd:
        for _ in range(3):
            everybody_else_is_served(server)
            crowd.go_on()


def test_two_hundred_slow_senders_with_a_token(server: RealServer) -> None:
    with Crowd(server, 200, head_of(RELEASE, 5_000_000, bearer(server))) as crowd:
        for _ in range(3):
            everybody_else_is_served(server)
            crowd.go_on()


def test_honest_slow_uploads_stop_nobody_and_arrive(server: RealServer) -> None:
    """At 1 kB/s, all that one user may send at once but one."""
    bodies = [form(package()) for _ in range(MOST_OF_ONE - 1)]
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(server, 60)) for _ in bodies]
        for client, body in zip(clients, bodies, strict=True):
            client.send(head_of(RELEASE, len(body), bearer(server)))
        sent = 0
        for _ in range(4):
            for client, body in zip(clients, bodies, strict=True):
                client.send(body[sent : sent + 1_000])
            sent += 1_000
            everybody_else_is_served(server)
            with Client(server) as other:
                body = form(package())
                other.send(head_of(RELEASE, len(body), bearer(server)).encode() + body)
                assert other.status() == 201
            time.sleep(1)
        for client, body in zip(clients, bodies, strict=True):
            client.send(body[sent:])
        assert [client.status() for client in clients] == [201] * len(clients)


def test_one_user_may_send_so_many_uploads_at_once(server: RealServer) -> None:
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(server)) for _ in range(MOST_OF_ONE)]
        for client in clients:  # each of them is asked for its body
            client.send(head_of(RELEASE, 100_000, bearer(server), "Expect: 100-continue"))
            assert client.reader.readline() == b"HTTP/1.1 100 Continue\r\n"
        for path, says in (
            (RELEASE, b"There are too many uploads at once."),
            (SEED_RELEASE, b'{"error":{"code":"TooManyRequests"'),
        ):
            with Client(server) as other:
                status, headers, body = other.send(head_of(path, 100_000, bearer(server))).answer()
            assert (status, headers["retry-after"]) == (429, "10")
            assert (
                body.replace(b": ", b":").replace(b", ", b",").startswith(says.replace(b": ", b":"))
            )
    body = form(package())

    def release() -> bool:
        with Client(server) as client:
            client.send(head_of(RELEASE, len(body), bearer(server)).encode() + body)
            return client.status() == 201

    wait_for(release, "those that broke off have made room")


@pytest.mark.parametrize(
    ("path", "with_token", "status", "says"),
    [
        (RELEASE, True, 413, b"The uploaded file is larger than the size limit of 20 megabytes."),
        (SEED_RELEASE, True, 413, b'"PayloadTooLarge"'),
        ("/apps", True, 413, b"The body of the request is larger than the 65536 bytes"),
        (RELEASE, False, 401, b"The session or access key"),
        (RELEASE.replace("App", "Nothing"), True, 404, b"Nothing"),
        ("/nosuch", False, 404, b"There is nothing at this address."),
    ],
)
def test_what_is_refused_is_refused_before_it_is_sent(
    server: RealServer, path: str, with_token: bool, status: int, says: bytes
) -> None:
    more = [bearer(server)] if with_token else []
    for expectation in ([], ["Expect: 100-continue"]):
        with Client(server, PATIENCE_S) as client:
            client.send(head_of(path, 99_999_999_999, *more, *expectation))
            found, headers, body = client.answer()
            assert (found, headers["connection"]) == (status, "close")
            assert says in body
            assert client.is_closed()


def test_an_upload_counts_once_against_the_quota(server: RealServer) -> None:
    def left() -> int:
        body = form(package())
        with Client(server) as client:
            client.send(head_of(RELEASE, len(body), bearer(server)).encode() + body)
            status, headers, _ = client.answer()
        assert status == 201
        return int(headers["x-ratelimit-remaining"])

    assert left() - left() == 1


def test_an_upload_in_chunks_arrives_and_one_without_end_does_not(server: RealServer) -> None:
    head = head_of(RELEASE, 0, bearer(server))
    head = head.replace("Content-Length: 0", "Transfer-Encoding: chunked")

    def chunked(content: bytes) -> bytes:
        return b"%x\r\n%b\r\n" % (len(content), content)

    with Client(server) as client:
        client.send(head).send(chunked(form(package())) + b"0\r\n\r\n")
        assert client.status() == 201
    with Client(server) as client:
        beginning = form(b"-" * 15_000_000)[:15_000_000]
        client.send(head).send(chunked(beginning) + chunked(beginning)[:10_000_000])
        assert client.answer()[2].startswith(b"The uploaded file is larger than")


def test_clients_that_do_not_take_a_download_stop_nobody(server: RealServer) -> None:
    body = form(package(8_000_000))
    with Client(server, 60) as client:
        client.send(head_of(RELEASE, len(body), bearer(server)).encode() + body)
        status, _, said = client.answer()
    assert status == 201
    path = "/blobs/" + json.loads(said)["package"]["blobUrl"].split("/blobs/")[1]
    with contextlib.ExitStack() as stack:
        for beginning in ("", "Range: bytes=10-\r\n"):
            for _ in range(10):
                client = stack.enter_context(Client(server))
                client.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n{beginning}\r\n")
                assert client.reader.readline().startswith(b"HTTP/1.1 20")
        everybody_else_is_served(server)
        assert max(held_by_the_system(server)) < 1_000_000, "it holds megabytes of each"
        with Client(server, 60) as client:
            client.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")
            status, headers, content = client.answer()
        assert status == 200
        assert len(content) == int(headers["content-length"]) > 8_000_000


def held_by_the_system(server: RealServer) -> list[int]:
    """Return how many bytes it has yet to send, or to be told of, for each connection."""
    table = Path("/proc/net/tcp")
    if not table.exists():
        return [0]
    rows = [line.split() for line in table.read_text("ascii").splitlines()[1:]]
    port = f":{int(server.url.rpartition(':')[2]):04X}"
    return [int(row[4].partition(":")[0], 16) for row in rows if row[1].endswith(port)]


def test_a_stop_waits_for_an_upload_on_its_way(processes: Processes) -> None:
    server = RealServer(processes, WEB_CONCURRENCY="1")
    server.add_app("App")
    body = form(package())
    with Client(server, 20) as client:
        client.send(head_of(RELEASE, len(body), bearer(server), "Expect: 100-continue"))
        assert client.reader.readline() == b"HTTP/1.1 100 Continue\r\n"
        assert client.reader.readline() == b"\r\n"
        client.send(body[:150_000])
        server.process.terminate()
        wait_for(lambda: not is_listening(server), "no more connections are taken")
        client.send(body[150_000:])
        status, headers, _ = client.answer()
    assert (status, headers["connection"]) == (201, "close")
    assert server.process.wait(30) == 0


def is_listening(server: RealServer) -> bool:
    try:
        with Client(server):
            return True
    except OSError:
        return False
