"""Runs a WSGI app in threads, for requests that an event loop received.

A small body is read whole on the loop and a small answer is written whole, so that such a request
costs one hop into a thread and one back, and no slow client holds a thread. Large bodies and
answers stream. (``a2wsgi`` hops for each piece, cannot read bodies in chunks, and takes a body that
was cut off for whole.)
"""

import asyncio
import io
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from werkzeug.exceptions import ClientDisconnected

from codepush.edge.clock import CoarseClock
from codepush.edge.fast import Edge

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

SMALL_BYTES = 64 * 1024
_FILE_BYTES = 256 * 1024

Headers = list[tuple[bytes, bytes]]


class Bridge:
    """Serves a WSGI app from a pool of threads; an ASGI app as far as uvicorn looks."""

    def __init__(self, app: "WSGIApplication", threads: int, clock: CoarseClock, edge: Edge | None):
        """Run at most ``threads`` requests at once; others wait."""
        self.app = app
        self.clock = clock
        self.edge = edge
        self.threads = ThreadPoolExecutor(threads, thread_name_prefix="wsgi")

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Refuse to be called without a connection; see ``serve``."""
        raise NotImplementedError("a bridge serves connections of EdgeProtocol")

    async def serve(self, cycle: RequestResponseCycle) -> None:
        """Answer one request."""
        await cycle.run_asgi(_Exchange(self, cycle))


class _Exchange:
    """One request and its answer."""

    def __init__(self, bridge: Bridge, cycle: RequestResponseCycle):
        self._bridge = bridge
        self._cycle = cycle
        self._loop = asyncio.get_running_loop()
        self._status = 0
        self._headers: Headers = []
        self._is_started = False

    async def __call__(self, scope: Any, receive: Any, _send: Any) -> None:
        body: io.RawIOBase | io.BytesIO
        cycle = self._cycle
        length = _length(scope["headers"])
        if cycle.waiting_for_100_continue or length is None or length > SMALL_BYTES:
            body = _StreamedBody(self)
        else:
            parts = b""
            while cycle.more_body or cycle.body:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return
                parts += message["body"]
            body = io.BytesIO(parts)
        environ = make_environ(scope, body)
        whole = await self._loop.run_in_executor(self._bridge.threads, self._run, environ)
        if whole is not None:
            await self._start()
            await self._send(whole, more=False)

    # In a thread of the pool.

    def _run(self, environ: "WSGIEnvironment") -> bytes | None:
        """Call the app; return the whole body of a small answer, None where it was streamed."""
        chunks = self._bridge.app(environ, self._start_response)
        try:
            return self._collect(chunks)
        finally:
            close = getattr(chunks, "close", None)
            if close is not None:
                close()

    def _collect(self, chunks: Iterable[bytes]) -> bytes | None:
        held = b""
        for chunk in chunks:
            if self._is_started:
                self._wait_for(self._send(chunk, more=True))
            else:
                held += chunk
                if len(held) > SMALL_BYTES:
                    self._wait_for(self._start())
                    self._wait_for(self._send(held, more=True))
                    held = b""
            if self._cycle.disconnected:
                return None  # nobody takes the rest
        if not self._is_started:
            return held
        self._wait_for(self._send(b"", more=False))
        return None

    def _start_response(self, status: str, headers: list[tuple[str, str]], _: Any = None) -> Any:
        if self._is_started:
            raise RuntimeError("the answer has begun already")
        self._status = int(status[:3])
        self._headers = [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in headers
            if name != "Date"  # the connection has one
        ]
        return self._write

    def _write(self, chunk: bytes) -> None:
        """Serve the old way of answering that PEP 3333 still allows."""
        if not self._is_started:
            self._wait_for(self._start())
        self._wait_for(self._send(chunk, more=True))

    def receive(self) -> tuple[bytes, bool]:
        """Return the next piece of the request's body, and whether there may be more."""
        message = self._wait_for(self._cycle.receive())
        if message["type"] == "http.disconnect":
            raise ClientDisconnected
        return message["body"], message["more_body"]

    def _wait_for(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    # On the loop.

    async def _start(self) -> None:
        self._is_started = True
        if self._cycle.more_body:
            # Nobody will read the rest of the request, so what follows it cannot be told from it.
            self._cycle.keep_alive = False
        await self._cycle.send(
            {"type": "http.response.start", "status": self._status, "headers": self._headers}
        )

    async def _send(self, body: bytes, *, more: bool) -> None:
        await self._cycle.send({"type": "http.response.body", "body": body, "more_body": more})


class _StreamedBody(io.RawIOBase):
    """A request body that is fetched from the loop as it is read, by a thread of the pool."""

    def __init__(self, exchange: _Exchange):
        self._exchange = exchange
        self._held = b""
        self._is_whole = False

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if size < 0:
            while not self._is_whole:
                self._fetch()
            size = len(self._held)
        while not self._held and not self._is_whole and size:
            self._fetch()
        taken, self._held = self._held[:size], self._held[size:]
        return taken

    def readinto(self, buffer: Any) -> int:
        taken = self.read(len(buffer))
        buffer[: len(taken)] = taken
        return len(taken)

    def _fetch(self) -> None:
        part, more = self._exchange.receive()
        self._held += part
        self._is_whole = not more


class _File:
    """An open file as an answer, in pieces that are worth their hop to the loop."""

    def __init__(self, file: Any, _block_bytes: int = 0):
        self._file = file

    def __iter__(self) -> "_File":
        return self

    def __next__(self) -> bytes:
        piece: bytes = self._file.read(_FILE_BYTES)
        if not piece:
            raise StopIteration
        return piece

    def seekable(self) -> bool:
        return bool(self._file.seekable())

    def seek(self, *position: int) -> Any:
        return self._file.seek(*position)

    def tell(self) -> Any:
        return self._file.tell()

    def close(self) -> None:
        self._file.close()


def _length(headers: Headers) -> int | None:
    """Return the length of a request's body; None where it comes in chunks."""
    length = 0
    for name, value in headers:
        if name == b"transfer-encoding":
            return None
        if name == b"content-length":
            length = int(value)
    return length


def make_environ(scope: Any, body: Any) -> "WSGIEnvironment":
    """Return what PEP 3333 says of a request."""
    host, port = scope["server"] or ("localhost", 80)
    environ: WSGIEnvironment = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(scope["raw_path"]).decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": host,
        "SERVER_PORT": str(port),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": scope["client"][0] if scope["client"] else "",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": body,
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": _File,
    }
    for raw_name, raw_value in scope["headers"]:
        if b"_" in raw_name:
            continue  # it would pass for one with hyphens, which a proxy in front has checked
        name = raw_name.decode("latin-1").upper().replace("-", "_")
        if name not in {"CONTENT_LENGTH", "CONTENT_TYPE"}:
            name = f"HTTP_{name}"
        value = raw_value.decode("latin-1")
        environ[name] = f"{environ[name]},{value}" if name in environ else value
    return environ
