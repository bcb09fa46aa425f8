"""Clients that bound their rate: they take a download in bursts, with pauses between."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from codepush.edge.bridge import Bridge
from codepush.edge.clock import CoarseClock
from codepush.edge.protocol import PAUSE_S, EdgeProtocol
from codepush.edge.worker import keep_little_unsent

MB = 1024 * 1024
SIZE = 16 * MB
BURST = MB // 2
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def download(_environ: object, start_response: Callable[..., Any]) -> list[bytes]:
    start_response("200 OK", [("Content-Length", str(SIZE))])
    return [bytes(BURST)] * (SIZE // BURST)


class Download:
    """One on its way, whose connection's clock is set by hand."""

    def __init__(self, client: socket.socket, connection: EdgeProtocol) -> None:
        self._client = client
        self._connection = connection

    async def take(self, size: int) -> int:
        """Take so many bytes, or what there is until the end; return how much that was."""
        loop = asyncio.get_running_loop()
        taken = 0
        while taken < size and (piece := await loop.sock_recv(self._client, size - taken)):
            taken += len(piece)
        return taken

    async def pause(self, seconds: float) -> bool:
        """Let the server send what it can, and take nothing for a time; tell if it waited."""
        connection = self._connection
        before = None
        while before != (before := connection.transport.get_write_buffer_size()) or not before:
            await asyncio.sleep(0.05)
        connection.tend(connection.clock.now)
        connection.clock.now += seconds
        connection.tend(connection.clock.now)
        return not connection.transport.is_closing()


@contextlib.asynccontextmanager
async def begun() -> AsyncIterator[Download]:
    """Begin a download, whose client has little room."""
    bridge = Bridge(download, 1, CoarseClock(), None)
    config = uvicorn.Config(bridge, interface="asgi3", proxy_headers=False, log_config=None)
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()
    listening = socket.create_server(("127.0.0.1", 0))
    keep_little_unsent(listening)
    server = await loop.create_server(lambda: EdgeProtocol(config, state, {}), sock=listening)
    with socket.socket() as client, contextlib.closing(server), contextlib.closing(bridge):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        client.setblocking(False)
        await loop.sock_connect(client, listening.getsockname())
        await loop.sock_sendall(client, REQUEST)
        while not state.connections:
            await asyncio.sleep(0.01)
        (connection,) = state.connections
        assert isinstance(connection, EdgeProtocol)
        yield Download(client, connection)
        connection.transport.abort()
        while state.connections or state.tasks:
            await asyncio.sleep(0.01)


def test_a_download_that_is_taken_in_bursts_arrives() -> None:
    async def take_all() -> int:
        async with begun() as found:
            taken = await found.take(BURST)
            while taken < SIZE - 4 * BURST:  # the last of it lies in buffers
                assert await found.pause(100)
                taken += await found.take(BURST)
            return taken + await found.take(SIZE)

    assert asyncio.run(take_all()) > SIZE


def test_one_that_is_not_taken_is_given_up() -> None:
    async def take_some() -> int:
        async with begun() as found:
            assert not await found.pause(PAUSE_S + 1)
            return await found.take(SIZE)

    assert asyncio.run(take_some()) < SIZE
