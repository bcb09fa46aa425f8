"""Finds the addresses of names, in bounded time."""

import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

Resolve = Callable[[str, int], list[str]]

_THREADS = 128
"""More than are ever busy: those of attempts in flight, and of some that were given up."""
_OF_ONE = 8
"""Names of one tenant that are looked up at one time."""


def resolve(host: str, port: int) -> list[str]:
    """Return every address of a host, in the order of the system's preference."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


class Resolver:
    """Looks names up for many tenants; those of one that take long hold up no other's.

    getaddrinfo knows no timeout; a thread that waits for it does. A look-up that was given up goes
    on for as long as the system has patience, and counts towards its tenant's share until then.
    """

    def __init__(self, resolve: Resolve = resolve):
        """Ask ``resolve``, in threads that begin as they are needed."""
        self._resolve = resolve
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="resolver")
        self._lock = threading.Lock()
        self._turns: dict[str, threading.BoundedSemaphore] = {}

    def find(self, tenant: str, host: str, port: int, patience_s: float) -> list[str]:
        """Return every address of a host.

        Raises:
            TimeoutError: It takes longer than ``patience_s``.
            OSError: There is none.
        """
        ends_at = time.monotonic() + patience_s
        turns = self._turns_of(tenant)
        if not turns.acquire(timeout=patience_s):
            raise TimeoutError
        future = self._pool.submit(self._look_up, turns, host, port)
        try:
            return future.result(ends_at - time.monotonic())
        except TimeoutError:
            if future.cancel():
                turns.release()
            raise

    def _look_up(self, turns: threading.BoundedSemaphore, host: str, port: int) -> list[str]:
        try:
            return self._resolve(host, port)
        finally:
            turns.release()

    def _turns_of(self, tenant: str) -> threading.BoundedSemaphore:
        with self._lock:
            return self._turns.setdefault(tenant, threading.BoundedSemaphore(_OF_ONE))

    def close(self) -> None:
        """Begin nothing more; what is under way ends by itself."""
        self._pool.shutdown(wait=False, cancel_futures=True)
