"""A connection that an event loop writes and reads, on a real store."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from codepush.store.connection import StoreClient, connect
from codepush.store.line import Line, LineError, connected
from codepush.store.scripts import Call, Scripts


class Echoes(Scripts):
    """Scripts that answer with what they are given."""

    SOURCES = {  # noqa: RUF012 - read only
        "echo": "return ARGV",
        "many": "local t = {} for i = 1, tonumber(ARGV[1]) do t[i] = i end return t",
        "fail": "return redis.error_reply('MISCONF no disk')",
    }

    def __init__(self, client: StoreClient) -> None:
        self._scripts = {
            name: client.register_script(source) for name, source in self.SOURCES.items()
        }


def on_a_line(url: str, use: Callable[[Line, StoreClient], Awaitable[None]]) -> None:
    client = connect(url)
    scripts = Echoes(client)

    async def run() -> None:
        connection = connected(client)
        assert connection is not None
        line = Line(connection, scripts)
        try:
            await use(line, client)
        finally:
            line.close()

    for source in Echoes.SOURCES.values():
        client.script_load(source)  # type: ignore[attr-defined]
    try:
        asyncio.run(run())
    finally:
        client.close()


def test_calls_are_answered_each_with_its_own(queue_url: str) -> None:
    async def use(line: Line, _client: StoreClient) -> None:
        calls = [line.run(Call("echo", [], [str(n), "ключ"]), 5) for n in range(50)]
        assert await asyncio.gather(*calls) == [[str(n), "ключ"] for n in range(50)]

    on_a_line(queue_url, use)


def test_a_reply_may_come_in_many_pieces(queue_url: str) -> None:
    async def use(line: Line, _client: StoreClient) -> None:
        large, small = await asyncio.gather(
            line.run(Call("many", [], [300_000]), 20), line.run(Call("echo", [], ["a"]), 20)
        )
        assert (len(large), large[-1], small) == (300_000, 300_000, ["a"])

    on_a_line(queue_url, use)


def test_a_refusal_leaves_the_line_in_order(queue_url: str) -> None:
    async def use(line: Line, client: StoreClient) -> None:
        refused, fine = await asyncio.gather(
            line.run(Call("fail", [], []), 5),
            line.run(Call("echo", [], ["a"]), 5),
            return_exceptions=True,
        )
        assert isinstance(refused, LineError)
        assert "MISCONF" in str(refused)
        assert fine == ["a"]
        client.script_flush()  # type: ignore[attr-defined]
        with pytest.raises(LineError, match=r"NOSCRIPT|No matching script"):
            await line.run(Call("echo", [], ["b"]), 5)
        assert line.is_open

    on_a_line(queue_url, use)


def test_all_who_wait_are_told_that_the_connection_broke(queue_url: str) -> None:
    async def use(line: Line, client: StoreClient) -> None:
        assert await line.run(Call("echo", [], ["a"]), 5) == ["a"]
        client.client_kill_filter(_type="normal", skipme=True)  # type: ignore[attr-defined]
        for _ in range(500):
            if not line.is_open:
                break
            await asyncio.sleep(0.01)
        assert not line.is_open
        with pytest.raises(LineError):
            await line.run(Call("echo", [], ["b"]), 5)

    on_a_line(queue_url, use)


def test_a_store_that_hangs_costs_its_time_and_no_more(queue_url: str) -> None:
    async def use(line: Line, client: StoreClient) -> None:
        client.client_pause(700)  # type: ignore[attr-defined]
        done = await asyncio.gather(
            line.run(Call("echo", [], ["a"]), 0.2),
            line.run(Call("echo", [], ["b"]), 0.4),
            return_exceptions=True,
        )
        assert [type(each) for each in done] == [LineError, LineError]
        assert not line.is_open

    on_a_line(queue_url, use)


def test_there_is_no_line_to_a_cluster() -> None:
    client = connect("redis+cluster://127.0.0.1:1")
    assert connected(client) is None
    client.close()


def test_lines_come_and_go_beside_the_connections_of_the_client(queue_url: str) -> None:
    client = connect(f"{queue_url}?max_connections=1")
    for _ in range(5):
        made = connected(client)
        assert made is not None
        assert client.ping()
        made.disconnect()  # type: ignore[no-untyped-call]
    client.close()
