"""Names that take long to resolve cost their own tenant, and nobody else."""

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from codepush.net.resolving import Resolver, resolve

AT_ONCE = 8


class Names:
    """Answers at once, but for names that begin with ``slow``: those when it is told to."""

    def __init__(self) -> None:
        self.asked = threading.Semaphore(0)
        self.answers = threading.Event()

    def __call__(self, host: str, port: int) -> list[str]:
        if host.startswith("slow"):
            self.asked.release()
            self.answers.wait(60)
        return ["192.0.2.1"]


@pytest.fixture
def names() -> Iterator[Names]:
    found = Names()
    yield found
    found.answers.set()


def test_slow_names_of_one_tenant_hold_up_nobody_else(names: Names) -> None:
    resolver = Resolver(names)
    with ThreadPoolExecutor(AT_ONCE) as callers:
        waiting = [
            callers.submit(resolver.find, "bad", f"slow{number}.example.com", 443, 60)
            for number in range(AT_ONCE)
        ]
        for _ in waiting:
            assert names.asked.acquire(timeout=30)
        with pytest.raises(TimeoutError):  # its share is used up
            resolver.find("bad", "quick.example.com", 443, 0.1)
        assert resolver.find("good", "quick.example.com", 443, 30) == ["192.0.2.1"]
        names.answers.set()
        assert [each.result(30) for each in waiting] == [["192.0.2.1"]] * AT_ONCE
        assert resolver.find("bad", "quick.example.com", 443, 30) == ["192.0.2.1"]
    resolver.close()


def test_a_look_up_that_was_given_up_counts_until_it_ends(names: Names) -> None:
    resolver = Resolver(names)
    for number in range(AT_ONCE):
        with pytest.raises(TimeoutError):
            resolver.find("bad", f"slow{number}.example.com", 443, 0.01)
    with pytest.raises(TimeoutError):
        resolver.find("bad", "quick.example.com", 443, 0.01)
    names.answers.set()
    assert resolver.find("bad", "quick.example.com", 443, 30) == ["192.0.2.1"]
    resolver.close()


def test_a_failure_gives_the_turn_back() -> None:
    def failing(_host: str, _port: int) -> list[str]:
        raise socket.gaierror(-2, "Name or service not known")

    resolver = Resolver(failing)
    for _ in range(2 * AT_ONCE):
        with pytest.raises(socket.gaierror):
            resolver.find("any", "nowhere.example.com", 443, 30)
    resolver.close()


def test_an_address_resolves_to_itself() -> None:
    assert resolve("127.0.0.1", 80) == ["127.0.0.1"]
    assert resolve("::1", 80) == ["::1"]
