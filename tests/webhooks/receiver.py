"""A receiver of webhooks, over real HTTP on loopback, that answers as its path says."""

import json
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Received:
    path: str
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


class Receiver:
    """Listens from begin to end of a ``with``; ``answers`` may be changed at any time."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.answers: dict[str, Callable[[Handler], None]] = {}
        self._lock = threading.Lock()
        self._closed = threading.Event()
        receiver = self

        class Bound(Handler):
            pass

        Bound.receiver = receiver
        self._server = _Server(("127.0.0.1", 0), Bound)
        self.port = int(self._server.server_address[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> "Receiver":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def note(self, received: Received) -> None:
        with self._lock:
            self.received.append(received)

    def at(self, path: str) -> list[Received]:
        with self._lock:
            return [each for each in self.received if each.path == path]

    def sleep(self, seconds: float) -> bool:
        """Tells whether the receiver closed meanwhile."""
        return self._closed.wait(seconds)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 512

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is what some tests are about."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    receiver: Receiver

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.receiver.note(Received(self.path, headers, body, time.monotonic()))
        answer = self.receiver.answers.get(self.path.partition("?")[0])
        if answer:
            answer(self)
        else:
            self.answer(200, b"ok")

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        head = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}"]
        head += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.wfile.write("\r\n".join([*head, "", ""]).encode() + body)

    def log_message(self, *_: object) -> None:
        pass


def status(code: int, body: bytes = b"", **headers: str) -> Callable[[Handler], None]:
    return lambda handler: handler.answer(code, body, **headers)


def never(handler: Handler) -> None:
    handler.receiver.sleep(60)
    handler.close_connection = True


def dripping_headers(handler: Handler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    for number in range(10_000):
        if handler.receiver.sleep(0.05):
            break
        handler.wfile.write(f"X-{number}: drip\r\n".encode())
    handler.close_connection = True


def dripping_body(handler: Handler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while not handler.receiver.sleep(0.05):
        handler.wfile.write(b".")


def fifty_megabytes(handler: Handler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n")
    for _ in range(500):
        handler.wfile.write(b"x" * 100_000)


def late(seconds: float) -> Callable[[Handler], None]:
    def answer(handler: Handler) -> None:
        handler.receiver.sleep(seconds)
        handler.answer(200, b"late")

    return answer
