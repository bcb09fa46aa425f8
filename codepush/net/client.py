"""Posts to URLs that tenants chose, and lets no answer cost more than it should.

Connections go to an address that was checked, and to no other: a name is resolved once for each
connection, every address it resolves to must be permitted, and the socket is opened to one of
them, while TLS and ``Host`` keep the name. There is no proxy, no redirect and no cookie.
"""

import contextlib
import ssl
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import certifi
import httpcore

from codepush.domain.errors import InvalidParameterError
from codepush.net.addresses import AddressRules
from codepush.net.resolving import Resolve, Resolver, resolve
from codepush.net.urls import UrlRules

TIMEOUT_S = 15.0
"""For everything: resolving, connecting, sending, and reading what is kept of the answer."""
KEPT_BYTES = 4_096
_MOST_READ = 256 * 1_024
"""Bytes read of an answer: its head has 100 KB at most, but 1xx answers before it have no limit of
their own, and to parse them for 15 s would take the processor from all other deliveries."""
_IDLE_S = 5.0
"""How long a connection is kept for the next request; short, so that few are found closed."""
_MAX_REASON = 200
"""Characters of why a connection failed that are told."""
_PORTS = {b"http": 80, b"https": 443}


class CallError(Exception):
    """There is no answer; the message says why, for the owner of the URL."""


class RefusedAddressError(CallError):
    """The URL leads to an address that must not be called; nothing was sent."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered.

    Attributes:
        headers: Names in lower case.
        body: Its first 4 KB.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class _Budget(threading.local):
    """What the request that this thread is making may still take, and whose it is."""

    deadline = 0.0
    bytes_left = 0
    tenant = ""

    def left(self) -> float:
        """Return the seconds left.

        Raises:
            ReadTimeout: There are none.
        """
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("The time is up.")
        return left


class _BoundedStream(httpcore.NetworkStream):
    """A stream each of whose operations ends with the request's budget, however slow it drips."""

    def __init__(self, inner: httpcore.NetworkStream, budget: _Budget):
        self._inner = inner
        self._budget = budget

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        found = self._inner.read(max_bytes, self._budget.left())
        self._budget.bytes_left -= len(found)
        if self._budget.bytes_left < 0:
            raise httpcore.ReadError("The answer is too long")
        return found

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        self._inner.write(buffer, self._budget.left())

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002
    ) -> httpcore.NetworkStream:
        inner = self._inner.start_tls(ssl_context, server_hostname, self._budget.left())
        return _BoundedStream(inner, self._budget)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _GuardedBackend(httpcore.NetworkBackend):
    """Connects to permitted addresses only."""

    def __init__(self, rules: AddressRules, resolve: Resolve, budget: _Budget):
        self._rules = rules
        self._resolver = Resolver(resolve)
        self._budget = budget
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        failure: Exception = httpcore.ConnectError("The name has no address.")
        addresses = self._permitted(host, port)
        for position, address in enumerate(addresses):
            share = self._budget.left() / (len(addresses) - position)
            try:
                stream = self._inner.connect_tcp(
                    address, port, share, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as exc:
                failure = exc
            else:
                return _BoundedStream(stream, self._budget)
        raise failure

    def _permitted(self, host: str, port: int) -> list[str]:
        try:
            addresses = self._resolver.find(self._budget.tenant, host, port, self._budget.left())
        except TimeoutError as exc:
            raise httpcore.ConnectTimeout("The name was not resolved in time.") from exc
        except (OSError, UnicodeError) as exc:
            raise httpcore.ConnectError("The name does not resolve.") from exc
        if not all(self._rules.permits(address) for address in addresses):
            raise RefusedAddressError(
                "The host resolves to an address that is not public. An operator may list its"
                " network in WEBHOOK_ALLOWED_NETWORKS."
            )
        return addresses

    def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        raise NotImplementedError

    def close(self) -> None:
        self._resolver.close()


class Client:
    """Posts to URLs that tenants chose; for many threads at once."""

    def __init__(
        self,
        urls: UrlRules,
        addresses: AddressRules,
        *,
        resolve: Resolve = resolve,
        tls: ssl.SSLContext | None = None,
        timeout_s: float = TIMEOUT_S,
        max_connections: int = 128,
    ):
        """Judge by ``urls`` and ``addresses``; give each request ``timeout_s`` in all."""
        self._urls = urls
        self._timeout_s = timeout_s
        self._budget = _Budget()
        self._backend = _GuardedBackend(addresses, resolve, self._budget)
        self._pool = httpcore.ConnectionPool(
            ssl_context=tls or _tls(),
            max_connections=max_connections,
            max_keepalive_connections=max_connections // 2,
            keepalive_expiry=_IDLE_S,
            network_backend=self._backend,
        )

    def post(
        self, url: str, body: bytes, headers: Mapping[str, str], *, tenant: str = ""
    ) -> Answer:
        """Post ``body`` for a tenant and return the answer, whatever its status.

        Raises:
            RefusedAddressError: The URL or where it leads must not be called; nothing was sent.
            CallError: There is no answer, or not in time.
        """
        try:
            self._urls.check(url)
        except InvalidParameterError as exc:
            raise RefusedAddressError(exc.message) from exc
        self._budget.tenant = tenant
        self._budget.bytes_left = _MOST_READ
        self._budget.deadline = time.monotonic() + self._timeout_s
        target = _exact(url)
        sent = {"Host": _named(target), "Accept-Encoding": "identity", **headers}
        try:
            with self._pool.stream(
                "POST",
                target,
                headers=list(sent.items()),
                content=body,
                extensions={"timeout": {"pool": self._timeout_s}},
            ) as response:
                return Answer(
                    response.status,
                    {
                        name.decode("latin-1").lower(): value.decode("latin-1")
                        for name, value in response.headers
                    },
                    self._first_bytes(response),
                )
        except httpcore.TimeoutException as exc:
            raise CallError(f"There was no answer within {self._timeout_s:g} s.") from exc
        except (httpcore.NetworkError, httpcore.ProtocolError, OSError) as exc:
            why = str(exc) or type(exc).__name__  # which may quote what was answered
            why = why if len(why) <= _MAX_REASON else f"{why[:_MAX_REASON]}…"
            raise CallError(f"The connection failed: {why}.") from exc

    def _first_bytes(self, response: httpcore.Response) -> bytes:
        """Return what is kept of a body; the rest is never read, and its connection is closed."""
        kept = bytearray()
        with contextlib.suppress(
            httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError, OSError
        ):
            # The status has come: an answer that breaks off later is an answer.
            for chunk in response.iter_stream():
                kept += chunk
                if len(kept) > KEPT_BYTES:
                    break
        return bytes(kept[:KEPT_BYTES])

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()
        self._backend.close()


def _exact(url: str) -> httpcore.URL:
    """Return a URL with all of its path; httpcore's own parser drops ``;parameters``."""
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return httpcore.URL(
        scheme=parts.scheme,
        host=(parts.hostname or "").encode("ascii"),
        port=parts.port,
        target=target.encode("ascii"),
    )


def _named(url: httpcore.URL) -> str:
    """Return what ``Host`` says; httpcore leaves out the brackets around an IPv6 address."""
    host = url.host.decode("ascii")
    host = f"[{host}]" if ":" in host else host
    is_default = url.port in {None, _PORTS[url.scheme]}
    return host if is_default else f"{host}:{url.port}"


def _tls() -> ssl.SSLContext:
    """Trust the authorities of the web, and those that this machine trusts."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context
