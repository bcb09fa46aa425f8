"""Scripts run from an event loop, the next sent before the last one is answered.

A thread for each call would cost more than the call. So a connection of the ordinary client's is
borrowed, written and read by the loop itself. Whatever goes wrong on it is left to the ordinary
client, which is patient and knows where else to ask; so this needs neither patience nor addresses.
"""

import asyncio
from collections import deque
from typing import Any, cast

import redis
from redis.connection import Connection

from codepush.store.cluster import ClusterClient
from codepush.store.connection import StoreClient
from codepush.store.scripts import Call, Scripts

_SEND_S = 1.0
"""How long the loop may be held up by a store that takes nothing, while its buffers are full."""


class LineError(Exception):
    """A script was not answered on the line; whether it ran is not known."""


class Line:
    """A connection to a store; to be used by one event loop."""

    def __init__(self, connection: Connection, scripts: Scripts):
        """Use a connection that is open, and close it at the end."""
        self._connection = connection
        self._scripts = scripts
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[asyncio.Future[Any]] = deque()
        self._socket = cast(Any, connection)._sock.fileno()  # noqa: SLF001 - there is no other way
        self._is_open = True
        self._loop.add_reader(self._socket, self._read)

    @property
    def is_open(self) -> bool:
        """Whether it may be asked."""
        return self._is_open

    async def run(self, call: Call, timeout_s: float) -> Any:
        """Run a script and return its raw reply; replies come in the order of calls.

        Raises:
            LineError: There is no answer, or a refusal.
        """
        answer: asyncio.Future[Any] = self._loop.create_future()
        self._waiting.append(answer)
        try:
            self._connection.send_command(*self._scripts.command(call))  # type: ignore[no-untyped-call]
            async with asyncio.timeout(timeout_s):
                return await answer
        except (redis.RedisError, TimeoutError) as exc:
            # A refusal, such as that the script is not known, leaves the connection in order; but
            # one that may only be read from is the wrong one.
            if not isinstance(exc, redis.ResponseError) or isinstance(exc, redis.ReadOnlyError):
                self.close()
            raise LineError(str(exc)) from exc

    def _read(self) -> None:
        """Take what has come; called when there is something to read."""
        reply: Any
        try:
            is_more = True
            while is_more and self._waiting:
                try:
                    reply = self._connection.read_response(timeout=0, disconnect_on_error=False)
                except redis.ResponseError as exc:
                    reply = exc
                self._answered(reply)
                is_more = self._connection.can_read(0)
            if not is_more:
                return
        except redis.TimeoutError:
            return  # the rest of it is on its way
        except (redis.RedisError, OSError):
            pass
        self.close()  # it ended, or something came that nobody asked for

    def _answered(self, reply: Any) -> None:
        answer = self._waiting.popleft()
        if answer.done():
            return
        if isinstance(reply, Exception):
            answer.set_exception(reply)
        else:
            answer.set_result(reply)

    def close(self) -> None:
        """Close the connection; who waits is told."""
        if not self._is_open:
            return
        self._is_open = False
        self._loop.remove_reader(self._socket)
        self._connection.disconnect()  # type: ignore[no-untyped-call]
        lost = redis.ConnectionError("the connection was closed")
        for answer in self._waiting:
            if not answer.done():
                answer.set_exception(lost)
        self._waiting.clear()


def connected(client: StoreClient) -> Connection | None:
    """Return a new connection of a client's; blocks while it is made.

    Returns:
        None for a cluster: its client knows which node to ask, and which next.

    Raises:
        redis.RedisError: The store does not answer.
    """
    if isinstance(client, ClusterClient):
        return None
    pool = cast(redis.Redis, client).connection_pool
    options = pool.connection_kwargs | {"socket_timeout": _SEND_S}
    connection: Connection = pool.connection_class(**options)
    connection.connect()  # type: ignore[no-untyped-call]
    return connection
