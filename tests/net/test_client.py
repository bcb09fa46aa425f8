"""Outgoing requests: bounded in time and size, with nobody in between."""

import ipaddress
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpcore
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from codepush.net.addresses import AddressRules
from codepush.net.client import KEPT_BYTES, CallError, Client
from codepush.net.urls import UrlRules
from tests.webhooks import receiver as answers
from tests.webhooks.receiver import Receiver

LOOPBACK = AddressRules([ipaddress.ip_network("127.0.0.0/8")])


def make(timeout_s: float = 5.0, tls: ssl.SSLContext | None = None) -> Client:
    return Client(
        UrlRules(LOOPBACK, allow_http=True),
        LOOPBACK,
        resolve=lambda _host, _port: ["127.0.0.1"],
        tls=tls,
        timeout_s=timeout_s,
    )


@pytest.fixture
def client() -> Iterator[Client]:
    made = make()
    yield made
    made.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as started:
        yield started


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://[2606:4700::1111]:8080/", "[2606:4700::1111]:8080"),
        ("http://[2606:4700::1111]/", "[2606:4700::1111]"),
        ("http://hooks.example.com:80/", "hooks.example.com"),
        ("http://hooks.example.com:443/", "hooks.example.com:443"),
    ],
)
def test_the_host_is_named_as_in_the_url(
    monkeypatch: pytest.MonkeyPatch, receiver: Receiver, url: str, said: str
) -> None:
    connect = httpcore.SyncBackend.connect_tcp
    monkeypatch.setattr(
        httpcore.SyncBackend,
        "connect_tcp",
        lambda self, _host, _port, *rest: connect(self, "127.0.0.1", receiver.port, *rest),
    )
    client = make()
    assert client.post(url, b"{}", {}).status == 200
    client.close()
    assert receiver.received[0].headers["host"] == said


def test_hints_without_end_are_not_read_for_long(client: Client, receiver: Receiver) -> None:
    sent = 0

    def hints(handler: answers.Handler) -> None:
        nonlocal sent
        while sent < 100_000_000:
            sent += handler.wfile.write(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 1_000)

    receiver.answers["/"] = hints
    with pytest.raises(CallError, match="The answer is too long"):
        client.post(f"{receiver.url}/", b"{}", {})
    assert sent < 50_000_000
    assert client.post(f"{receiver.url}/other", b"{}", {}).status == 200


def test_an_answer_that_is_none_is_quoted_in_short(client: Client, receiver: Receiver) -> None:
    def nonsense(handler: answers.Handler) -> None:
        handler.wfile.write(b"\xff" * 90_000 + b"\r\n\r\n")
        handler.close_connection = True

    receiver.answers["/"] = nonsense
    with pytest.raises(CallError, match="The connection failed: ") as caught:
        client.post(f"{receiver.url}/", b"{}", {})
    assert len(str(caught.value)) < 300


def test_a_request_arrives_as_it_was_sent(client: Client, receiver: Receiver) -> None:
    url = f"http://hooks.example.com:{receiver.port}/path?query=1"
    answer = client.post(url, b'{"a": 1}', {"webhook-id": "msg_1"})
    assert (answer.status, answer.body) == (200, b"ok")
    [got] = receiver.received
    assert (got.path, got.body) == ("/path?query=1", b'{"a": 1}')
    assert got.headers["host"] == f"hooks.example.com:{receiver.port}"
    assert got.headers["webhook-id"] == "msg_1"
    assert got.headers["accept-encoding"] == "identity"
    assert got.headers["content-length"] == "8"


def test_a_connection_is_used_again(client: Client, receiver: Receiver) -> None:
    for _ in range(3):
        assert client.post(f"{receiver.url}/", b"{}", {}).status == 200
    # ThreadingHTTPServer has a thread for each connection.
    names = [t.name for t in threading.enumerate() if "process_request_thread" in t.name]
    assert len(names) == 1


def test_redirects_are_answers(client: Client, receiver: Receiver) -> None:
    target = f"{receiver.url}/elsewhere"
    receiver.answers["/"] = answers.status(302, b"", Location=target)
    answer = client.post(f"{receiver.url}/", b"{}", {})
    assert (answer.status, answer.headers["location"]) == (302, target)
    assert receiver.at("/elsewhere") == []


def test_proxies_in_the_environment_are_not_used(
    client: Client, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert client.post(f"{receiver.url}/", b"{}", {}).status == 200


def test_of_fifty_megabytes_four_kilobytes_are_read(client: Client, receiver: Receiver) -> None:
    receiver.answers["/"] = answers.fifty_megabytes
    answer = client.post(f"{receiver.url}/", b"{}", {})
    assert (answer.status, answer.body) == (200, b"x" * KEPT_BYTES)
    # And the connection is not used again: what follows on it is the rest.
    receiver.answers["/"] = answers.status(204)
    assert client.post(f"{receiver.url}/", b"{}", {}).status == 204


@pytest.mark.parametrize("how", [answers.never, answers.dripping_headers])
def test_an_answer_that_does_not_come_whole_in_time_is_none(
    how: Callable[[answers.Handler], None], receiver: Receiver
) -> None:
    client = make(timeout_s=0.5)
    receiver.answers["/"] = how
    began = time.monotonic()
    with pytest.raises(CallError, match="no answer within"):
        client.post(f"{receiver.url}/", b"{}", {})
    assert time.monotonic() - began < 20  # not the 500 s that the dripping would take
    client.close()


def test_a_body_that_drips_is_cut_where_the_time_is_up(receiver: Receiver) -> None:
    client = make(timeout_s=0.5)
    receiver.answers["/"] = answers.dripping_body
    answer = client.post(f"{receiver.url}/", b"{}", {})
    assert answer.status == 200
    assert 0 < len(answer.body) < 1_000
    assert set(answer.body) == set(b".")
    client.close()


def test_a_name_that_takes_long_to_resolve_is_given_up() -> None:
    stuck = threading.Event()

    def resolve(_host: str, _port: int) -> list[str]:
        stuck.wait(30)
        return ["127.0.0.1"]

    client = Client(UrlRules(LOOPBACK, allow_http=True), LOOPBACK, resolve=resolve, timeout_s=0.3)
    with pytest.raises(CallError, match="no answer within"):
        client.post("http://slow.example.com/", b"{}", {})
    stuck.set()
    client.close()


def test_a_name_that_does_not_resolve_is_a_failure() -> None:
    def resolve(_host: str, _port: int) -> list[str]:
        raise socket.gaierror(-2, "Name or service not known")

    client = Client(UrlRules(LOOPBACK, allow_http=True), LOOPBACK, resolve=resolve)
    with pytest.raises(CallError, match="does not resolve"):
        client.post("http://nowhere.example.com/", b"{}", {})
    client.close()


def test_the_second_address_is_tried_where_the_first_refuses(receiver: Receiver) -> None:
    client = Client(
        UrlRules(LOOPBACK, allow_http=True),
        LOOPBACK,
        resolve=lambda _host, _port: ["127.0.0.2", "127.0.0.1"],
    )
    assert client.post(f"http://two.example.com:{receiver.port}/", b"{}", {}).status == 200
    client.close()


@pytest.mark.parametrize(
    "answer",
    [b"", b"HTTP/1.1", b"SSH-2.0-OpenSSH_9.6\r\n", b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n"],
)
def test_what_is_no_http_is_a_failure(answer: bytes, client: Client, receiver: Receiver) -> None:
    def reply(handler: answers.Handler) -> None:
        handler.wfile.write(answer)
        handler.close_connection = True

    receiver.answers["/"] = reply
    with pytest.raises(CallError, match="connection failed"):
        client.post(f"{receiver.url}/", b"{}", {})


def certificate(folder: Path, name: str) -> ssl.SSLContext:
    """Return what a server of a name serves with, and write what trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


@pytest.mark.parametrize(("host", "fits"), [("right.example.com", True), ("other.example", False)])
def test_tls_is_verified_for_the_name_and_not_the_address(
    host: str, fits: bool, tmp_path: Path
) -> None:
    serving = certificate(tmp_path, "right.example.com")
    asked: list[str | None] = []
    serving.sni_callback = lambda _socket, name, _context: asked.append(name)
    trusting = ssl.create_default_context(cafile=os.fspath(tmp_path / "certificate.pem"))
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            try:
                with serving.wrap_socket(connection, server_side=True) as wrapped:
                    heard = b""
                    while not heard.endswith(b"{}"):  # unread, it would be a reset to the client
                        heard += wrapped.recv(65_536)
                    wrapped.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            except OSError:
                connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        client = make(tls=trusting)
        url = f"https://{host}:{listener.getsockname()[1]}/"
        if fits:
            assert client.post(url, b"{}", {}).status == 200
        else:
            with pytest.raises(CallError, match="CERTIFICATE_VERIFY_FAILED"):
                client.post(url, b"{}", {})
        thread.join()
        assert asked == [host]
        client.close()


def test_a_status_counts_also_where_the_body_breaks_off(client: Client, receiver: Receiver) -> None:
    def chunked(handler: answers.Handler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n")
        handler.close_connection = True

    def short(handler: answers.Handler) -> None:
        handler.wfile.write(b"HTTP/1.1 202 OK\r\nContent-Length: 10\r\n\r\nabc")
        handler.close_connection = True

    receiver.answers |= {"/chunked": chunked, "/short": short}
    assert client.post(f"{receiver.url}/chunked", b"{}", {}).status == 200
    assert client.post(f"{receiver.url}/short", b"{}", {}).status == 202


@pytest.mark.parametrize("path", ["/a;b=1?c=d;e", "/a;b", "/a;b/c;d?e?f", "/?a", "/a//b/../c"])
def test_a_path_arrives_whole(client: Client, receiver: Receiver, path: str) -> None:
    client.post(f"{receiver.url}{path}", b"{}", {})
    assert [each.path for each in receiver.received] == [path]


def test_a_url_without_a_path_is_one_of_the_root(client: Client, receiver: Receiver) -> None:
    client.post(f"{receiver.url}?a=b", b"{}", {})
    assert [each.path for each in receiver.received] == ["/?a=b"]
