"""The gunicorn worker: uvicorn's, with the protocol of this package and the WSGI app behind it."""

import asyncio
import contextlib
import logging
import socket
import ssl
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn
from gunicorn.arbiter import Arbiter  # type: ignore[import-untyped] # no stubs
from uvicorn_worker import UvicornWorker

from codepush.edge import memory
from codepush.edge.bridge import Bridge
from codepush.edge.clock import CoarseClock
from codepush.edge.fast import edge_of
from codepush.edge.protocol import EdgeProtocol
from codepush.edge.tls import server_context
from codepush.telemetry.metrics import gauge

_TICK_S = 0.5
_TICKS_KEPT = 8
"""Of which the worst lateness is told: Prometheus is told every two seconds."""
_FORGET_TICKS = 120
"""A minute: download URLs that are signed may not be told for ever."""
_SWITCH_S = 0.001
"""How long the loop waits for a thread that computes; Python's own 5 ms would be felt."""
_UNSENT_BYTES = 128 * 1024
"""What the system takes of an answer beyond what is on its way."""


class EdgeWorker(UvicornWorker):  # type: ignore[misc] # no stubs
    """Serves any WSGI app; past ours, devices are answered on the event loop."""

    CONFIG_KWARGS = {  # noqa: RUF012 - uvicorn's way
        "loop": "auto",
        "http": EdgeProtocol,
        "ws": "none",
        "lifespan": "off",
        "interface": "asgi3",
        "access_log": False,
        "server_header": False,
        # The application believes the proxies it is told of (TRUSTED_PROXIES).
        "proxy_headers": False,
        # uvicorn's heartbeat goes by the wall clock: after a jump back, gunicorn would kill all.
        "callback_notify": None,
    }

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if self.cfg.certfile:
            self.config.ssl_context_factory = self._tls
        self.config.timeout_graceful_shutdown = self.cfg.graceful_timeout
        # To the handlers of everybody else, and quietly: it logs each start and each stop.
        log = logging.getLogger("uvicorn.error")
        log.handlers = []
        log.propagate = True
        log.setLevel(max(log.level, logging.WARNING))

    def _tls(self, _config: uvicorn.Config, _default: object) -> ssl.SSLContext:
        return server_context(Path(self.cfg.certfile), Path(self.cfg.keyfile))

    async def _serve(self) -> None:
        sys.setswitchinterval(_SWITCH_S)
        clock = CoarseClock()
        self.config.app = Bridge(self.wsgi, self.cfg.threads, clock, edge_of(self.wsgi))
        server = _Server(self.config, clock, self.notify)
        for listening in self.sockets:
            keep_little_unsent(listening)
        self._install_sigquit_handler()
        memory.spare_the_collector()
        await server.serve(sockets=self.sockets)
        if not server.started:
            sys.exit(Arbiter.WORKER_BOOT_ERROR)


def keep_little_unsent(listening: socket.socket) -> None:
    """Have connections to a socket take an answer as their clients take it, and not far ahead.

    The system would take megabytes, and then nothing while a slow client takes most of these: the
    protocol could not tell it from one that is gone. Downloads are as fast as without (820 MB/s
    over loopback).
    """
    if listening.family in (socket.AF_INET, socket.AF_INET6):  # a unix socket knows no such thing
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT_BYTES)


class _Server(uvicorn.Server):
    """uvicorn's, which winds the clock, tells gunicorn it lives and looks after slow clients."""

    def __init__(self, config: uvicorn.Config, clock: CoarseClock, notify: Callable[[], None]):
        super().__init__(config)
        self._clock = clock
        self._notify = notify
        self._bridge: Bridge = config.app  # type: ignore[assignment] # set by the worker
        self._tender: asyncio.Task[None] | None = None
        self._late_s = deque([0.0], maxlen=_TICKS_KEPT)
        gauge(
            "event_loop_lag_seconds",
            "By how much the event loop was late, at worst in the last seconds and processes.",
            lambda: max(self._late_s),
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._tender = asyncio.create_task(self._tend())

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        if self._bridge.edge is not None:
            await self._bridge.edge.reports.close()
        if self._tender is not None:
            self._tender.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._tender
        self._bridge.close()

    async def _tend(self) -> None:
        ticks = 0
        while True:
            due = time.monotonic() + _TICK_S
            await asyncio.sleep(_TICK_S)
            self._late_s.append(max(0.0, time.monotonic() - due))
            ticks += 1
            self._notify()
            self._clock.wind()
            for connection in list(self.server_state.connections):
                connection.tend(self._clock.now)  # type: ignore[union-attr] # they are ours
            if ticks % _FORGET_TICKS == 0:
                self._forget()

    def _forget(self) -> None:
        if self._bridge.edge is not None:
            self._bridge.edge.checks.forget()
            self._bridge.edge.reports.forget()
        memory.give_back()
