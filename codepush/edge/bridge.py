"""Runs a WSGI app in threads, for requests that an event loop received.

A thread is taken for computing only, never to wait for a client. A small body is read whole on the
loop; a large one goes into a file, if the app wants it (``web/admission.py``), before the app runs
with it. A small answer is written whole, so that most requests cost one hop into a thread and one
back; a large one costs a hop for each piece. (``a2wsgi`` hops for each piece of anything, cannot
read bodies in chunks, and takes a body that was cut off for whole.)
"""

import asyncio
import contextlib
import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from codepush.edge.clock import CoarseClock
from codepush.edge.environ import make_environ
from codepush.edge.fast import Edge
from codepush.edge.spool import Spool, Upload
from codepush.web.admission import KEY, Admission, BodyWanted

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

SMALL_BYTES = 64 * 1024

Headers = list[tuple[bytes, bytes]]
_T = TypeVar("_T")


class Bridge:
    """Serves a WSGI app from a pool of threads; an ASGI app as far as uvicorn looks."""

    def __init__(self, app: "WSGIApplication", threads: int, clock: CoarseClock, edge: Edge | None):
        """Run at most ``threads`` requests at once; others wait."""
        self.app = app
        self.clock = clock
        self.edge = edge
        self.threads = ThreadPoolExecutor(threads, thread_name_prefix="wsgi")
        self.spool = Spool(edge.spool_dir if edge else None)
        # Uploads take seconds of work; half of the threads remain for everybody else.
        self.uploads = asyncio.Semaphore(max(1, threads // 2))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Refuse to be called without a connection; see ``serve``."""
        raise NotImplementedError("a bridge serves connections of EdgeProtocol")

    async def serve(self, cycle: RequestResponseCycle) -> None:
        """Answer one request."""
        await cycle.run_asgi(_Exchange(self, cycle))

    def close(self) -> None:
        """Begin no more work."""
        self.threads.shutdown(wait=False)
        self.spool.threads.shutdown(wait=False)


class _Exchange:
    """One request and its answer."""

    def __init__(self, bridge: Bridge, cycle: RequestResponseCycle):
        self._bridge = bridge
        self._cycle = cycle
        self._loop = asyncio.get_running_loop()
        self._status = 0
        self._headers: Headers = []

    async def __call__(self, scope: Any, _receive: Any, _send: Any) -> None:
        cycle = self._cycle
        length = _length(scope["headers"])
        body = bytearray()
        if length is None or length <= SMALL_BYTES:
            while (cycle.more_body or cycle.body) and len(body) <= SMALL_BYTES:
                piece = await self._receive()
                if piece is None:
                    return
                body += piece
        if not (cycle.more_body or cycle.body):
            await self._run_app(make_environ(scope, io.BytesIO(body)))
        elif self._bridge.edge is None:
            await self._serve_large(scope, bytes(body), None)
        else:
            await self._ask(scope, bytes(body))

    # Receiving.

    async def _ask(self, scope: Any, begun: bytes) -> None:
        """Have the app answer without a large body, or receive it."""
        sender = ""

        def take_room(by_whom: str) -> bool:
            nonlocal sender
            sender = by_whom
            return self._bridge.spool.take_room(by_whom)

        admission = Admission(take_room)
        environ = make_environ(scope, io.BytesIO(begun))
        environ[KEY] = admission
        try:
            await self._run_app(environ)
        except BodyWanted:
            await self._serve_large(scope, begun, admission, sender)

    async def _serve_large(
        self, scope: Any, begun: bytes, admission: Admission | None, sender: str | None = None
    ) -> None:
        upload = Upload(self._bridge.spool, sender)
        try:
            if not await self._receive_into(upload, begun, admission):
                return
            environ = make_environ(scope, upload)
            environ[KEY] = admission
            async with self._bridge.uploads:
                await self._run_app(environ)
        finally:
            with contextlib.suppress(RuntimeError):  # the process ends, and the file with it
                self._bridge.spool.threads.submit(upload.close)  # a large file takes a while

    async def _receive_into(
        self, upload: Upload, begun: bytes, admission: Admission | None
    ) -> bool:
        """Receive a body, or enough of it to be too much; return False if it broke off."""
        cycle, threads = self._cycle, self._bridge.spool.threads
        piece: bytes | None = begun
        size = 0
        while piece is not None:
            size += len(piece)
            is_enough = admission is not None and size > admission.most_bytes
            is_last = is_enough or not (cycle.more_body or cycle.body)
            await self._in(threads, partial(upload.add, piece, is_last=is_last))
            if is_last:
                return True
            piece = await self._receive()
        return False

    async def _receive(self) -> bytes | None:
        """Return what came of the body; None if the client is gone."""
        message: Any = await self._cycle.receive()
        return None if message["type"] == "http.disconnect" else message["body"]

    # Answering.

    async def _run_app(self, environ: "WSGIEnvironment") -> None:
        """Run the app, and send what it answers.

        Raises:
            BodyWanted: The app did not answer.
        """
        threads = self._bridge.threads
        chunks = await self._in(threads, partial(_Chunks, self._bridge.app, environ, self._begin))
        try:
            await self._start()
            await self._send(chunks.first, more=not chunks.is_whole)
            while not (chunks.is_whole or self._cycle.disconnected):
                chunk = await self._in(threads, chunks.next)
                await self._send(chunk, more=not chunks.is_whole)
        finally:
            if not chunks.is_whole:
                await self._in(threads, chunks.close)

    def _begin(self, status: str, headers: list[tuple[str, str]], _: Any = None) -> Any:
        """Take what the app says first; ``start_response`` of PEP 3333."""
        self._status = int(status[:3])
        self._headers = [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in headers
            if name != "Date"  # the connection has one
        ]

    async def _start(self) -> None:
        if self._cycle.more_body:
            # Nobody will read the rest of the request, so what follows it cannot be told from it.
            self._cycle.keep_alive = False
        await self._cycle.send(
            {"type": "http.response.start", "status": self._status, "headers": self._headers}
        )

    async def _send(self, body: bytes, *, more: bool) -> None:
        if not more and self._cycle.more_body:
            # Not closed by uvicorn at once, but by the protocol when the client has read this.
            self._cycle.keep_alive = True
        await self._cycle.send({"type": "http.response.body", "body": body, "more_body": more})

    async def _in(self, threads: ThreadPoolExecutor, work: Callable[[], _T]) -> _T:
        return await self._loop.run_in_executor(threads, work)


class _Chunks:
    """The body of an answer; to be used by one thread at a time.

    Attributes:
        first: All of it if it is small, else its beginning.
        is_whole: Whether nothing follows what was returned.
    """

    def __init__(self, app: "WSGIApplication", environ: "WSGIEnvironment", begin: Any):
        """Run the app until it has answered enough."""
        self._answer = app(environ, begin)
        self._iterator = iter(self._answer)
        self.is_whole = False
        self.first = b""
        try:
            while not self.is_whole and len(self.first) <= SMALL_BYTES:
                self.first += self.next()
        except BaseException:
            self.close()
            raise

    def next(self) -> bytes:
        """Return a chunk, and close the answer after the last."""
        for chunk in self._iterator:
            return chunk
        self.is_whole = True
        self.close()
        return b""

    def close(self) -> None:
        """Let go of what the answer is made from."""
        close = getattr(self._answer, "close", None)
        if close is not None:
            close()


def _length(headers: Headers) -> int | None:
    """Return the length of a request's body; None where it comes in chunks."""
    length = 0
    for name, value in headers:
        if name == b"transfer-encoding":
            return None
        if name == b"content-length":
            length = int(value)
    return length
