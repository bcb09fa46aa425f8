"""HTTP as devices need it: uvicorn's protocol, which answers checks and reports by itself.

Parsing, keep-alive, pipelining and flow control are uvicorn's and llhttp's. What is added: bounds
on the size of a request's head, bounds on the time that a client may take for anything, and answers
without a task or a thread where one is ready. All else goes to the WSGI app.
"""

import math
from functools import partial
from typing import Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from codepush.edge.answer import Answer
from codepush.edge.bridge import SMALL_BYTES, Bridge
from codepush.edge.refusals import REFUSED, refusal
from codepush.edge.taken import Taken
from codepush.web.headers import ALWAYS

MAX_URL_BYTES = 8_190
MAX_HEAD_BYTES = 64 * 1024
MAX_HEADERS = 100
MAX_PIPELINED = 32
"""Requests that a client may send ahead of the answers; what is more is not read."""
HEAD_S = 20.0
"""How long a request's head may take to arrive, however steadily it trickles."""
GRACE_S = 30.0
"""How long a body may take to arrive at no rate at all..."""
LEAST_BYTES_PER_S = 4_096
"""...and the rate that is asked for beyond that."""
PAUSE_S = 120.0
"""How long a client may take nothing of an answer: who bounds the rate takes it in bursts."""
LINGER_S = 2.0
"""How long a client that is refused may go on sending, so that it gets to read the refusal..."""
DRAIN_S = 30.0
"""...and one whose body nobody wants, unless it sends nothing for the time above."""
LEAVE_S = 1.0
"""How long an idle connection may still bring a request while the process stops."""

# A request with one of these is not the usual one, and is left to the WSGI app.
_UNUSUAL = frozenset(
    {b"content-length", b"transfer-encoding", b"if-none-match", b"expect", b"upgrade", b"range"}
)


class EdgeProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.bridge = cast(Bridge, self.app)  # what EdgeWorker serves
        self.edge = self.bridge.edge
        self.clock = self.bridge.clock
        self._since = self.clock.now  # when what the connection does now began
        self._head_bytes = 0
        self._in_head = self._is_new_head = False
        self._head_since = 0.0
        self._is_answered = False  # the current request, without a cycle
        self._is_refused = False
        self._refused_until = math.inf
        self._body_bytes = 0
        self._body_since = 0.0
        self._unsent = 0
        self._unsent_since = 0.0
        self._is_leaving = False
        self._taken: Taken | None = None

    # Receiving.

    def data_received(self, data: bytes) -> None:
        """Parse what came; refuse what is no HTTP or has no end."""
        self._since = self.clock.now
        if self._is_refused:
            return
        self._is_new_head = False
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # Offered, not demanded; what came after it is in another protocol, or never will.
            if self.cycle is not None:
                self.cycle.keep_alive = False
        except httptools.HttpParserError:
            self._refuse(400)
            return
        # Where in the data a new head began is not known, so it counts from the next data on.
        if self._in_head and not self._is_new_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse(431)

    def on_message_begin(self) -> None:
        """Begin a request."""
        self.url = b""
        self.headers = []
        self.expect_100_continue = False
        self._in_head = self._is_new_head = True
        self._head_bytes = 0
        self._head_since = self.clock.now
        self._is_answered = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, and no more of them than is decent."""
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Answer at once what can be; begin a cycle of uvicorn's for all else."""
        self._in_head = False
        if self._is_refused:
            return
        if len(self.url) > MAX_URL_BYTES:
            self._refuse(414)
            return
        if len(self.headers) > MAX_HEADERS:
            self._refuse(431)
            return
        if self.edge is None or not (self.cycle is None or self.cycle.response_complete):
            self._begin_cycle()
            return
        path = self.url.partition(b"?")[0]
        method = self.parser.get_method()
        if method == b"GET" and path in self.edge.checks.paths:
            host = self._usual_host()
            if host is not None:
                watch = self.edge.watch
                watch.left -= 1
                began = 0.0 if watch.left else watch.begin()
                answer = self.edge.checks.answer(self.url, host)
                if answer is not None:
                    self._is_answered = True
                    self._write(answer, self.parser.should_keep_alive())
                    if began:
                        watch.end(began, path, self._peer(), self.headers)
                    return
        elif method == b"POST" and path in self.edge.reports.paths and self._is_small():
            self._body_bytes = 0
            self._body_since = self.clock.now
            keep_alive = self.parser.should_keep_alive()
            self._taken = Taken(self.edge.reports, self.cycle, path, self.headers, keep_alive)
            self.cycle = cast(RequestResponseCycle, self._taken)
            return
        self._begin_cycle()

    def _has_hosts(self) -> bool:
        """Tell whether the request is for several hosts, of which a proxy may believe another."""
        return sum(name == b"host" for name, _ in self.headers) > 1

    def _usual_host(self) -> bytes | None:
        """Return the Host header; None where there is anything else to heed."""
        host: bytes | None = None
        for name, value in self.headers:
            if name in _UNUSUAL or (name == b"host" and host is not None):
                return None
            if name == b"host":
                host = value
        return host

    def _is_small(self) -> bool:
        """Tell whether the request has a small body, and nothing else to heed."""
        length = b""
        is_for_host = False
        for name, value in self.headers:
            if name == b"content-length":
                length = value
            elif name in _UNUSUAL or (name == b"host" and is_for_host):
                return False
            elif name == b"host":
                is_for_host = True
        return length.isdigit() and int(length) <= SMALL_BYTES

    def _write(self, answer: Answer, keep_alive: bool) -> None:
        if keep_alive and not self._is_leaving:
            self.transport.write(answer.dated(self.clock.date_line))
            return
        self.transport.write(answer.last(self.clock.date_line))
        self.transport.close()

    def _take(self, taken: Taken) -> None:
        """Take a report whose body is complete, or leave it to the app."""
        self._taken = None
        taken.more_body = False
        body, former = bytes(taken.body), taken.former
        # It stays until the next request; holding the one before it, it would hold all of them.
        taken.body.clear()
        taken.former = None
        if not taken.reports.take(taken.path, body, partial(self._answered, taken)):
            self.cycle = cast(RequestResponseCycle, former)
            self._begin_cycle()
            super().on_body(body)
            super().on_message_complete()

    def _answered(self, taken: Taken, answer: Answer) -> None:
        taken.response_complete = True
        if self.edge is not None:
            watch = self.edge.watch
            watch.report(taken.began, taken.path, answer.status, self._peer(), taken.headers)
        # Closed, it may have another request in progress, which was told instead of this one.
        if not (taken.disconnected or self.transport.is_closing()):
            self._write(answer, taken.keep_alive)
            self.on_response_complete()

    def _peer(self) -> str:
        return self.client[0] if self.client else ""

    def _begin_cycle(self) -> None:
        if self._has_hosts():
            self._refuse(400)
            return
        url, headers = self.url, self.headers
        super().on_message_begin()
        self.url = url
        self.headers = self.scope["headers"] = headers
        self.expect_100_continue = any(
            name == b"expect" and value.lower() == b"100-continue" for name, value in headers
        )
        self._body_bytes = 0
        self._body_since = self.clock.now
        super().on_headers_complete()
        if len(self.pipeline) >= MAX_PIPELINED:
            self.cycle.keep_alive = False
            self._is_refused = True  # what else it sent ahead is not read

    def _start_asgi_task(self, cycle: RequestResponseCycle, _app: Any) -> None:
        task = self.loop.create_task(self.bridge.serve(cycle))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    def on_body(self, body: bytes) -> None:
        """Pass a piece of a body on."""
        if self._is_answered or self._is_refused:
            return
        self._body_bytes += len(body)
        if self._taken is not None:
            self._taken.body += body
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request."""
        if self._is_answered or self._is_refused:
            return
        if self._taken is not None:
            self._take(self._taken)
        else:
            super().on_message_complete()

    # Answering.

    def on_response_complete(self) -> None:
        """Go on with the next request, if the client sent it ahead."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self._since = self.clock.now
        if self.cycle.more_body:
            self._linger(DRAIN_S)
            return
        if not self.flow.write_paused:
            self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)

    def pause_writing(self) -> None:
        """Read no more from a client that does not take its answers."""
        super().pause_writing()
        self._unsent_since = self.clock.now
        self._unsent = 0
        self.flow.pause_reading()

    def resume_writing(self) -> None:
        """Go on when it has taken some."""
        super().resume_writing()
        if not self.pipeline:
            self.flow.resume_reading()

    def eof_received(self) -> bool:  # type: ignore[override] # asyncio heeds it
        """Keep a half-closed connection open for the answers that are on their way."""
        if self._is_refused or self.cycle is None or self.cycle.response_complete:
            return False
        if self.cycle.more_body:
            return False  # it will never be a whole request
        self.cycle.keep_alive = False
        return True

    def _refuse(self, status: int) -> None:
        """Say what is wrong, where no other answer is on its way, and close."""
        self._is_refused = True
        if self.transport.is_closing():
            return
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            if cycle.response_started or self.pipeline:
                self.transport.close()
                return
            cycle.disconnected = True  # the app's answer has no reader any more
            cycle.message_event.set()
        guards = ALWAYS if self.edge is None else self.edge.guards
        self.transport.write(refusal(status, self.url, guards))
        REFUSED.add(1, str(status))
        self._since = self.clock.now
        self._linger(LINGER_S)

    def _linger(self, seconds: float) -> None:
        """Read no more requests; closed while the client sends, the answer would be lost."""
        self._is_refused = True
        self._refused_until = self.clock.now + seconds
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()

    # Time.

    def tend(self, now: float) -> None:
        """Close the connection if the client takes too long; called about twice a second."""
        transport = self.transport
        if self.flow.write_paused or transport.is_closing():
            self._tend_writing(now)
        elif self._is_refused:
            if now - self._since > LINGER_S or now > self._refused_until:
                transport.close()
        elif self._in_head:
            if now - self._head_since > HEAD_S:
                self._refuse(408)
        elif self.cycle is not None and not self.cycle.response_complete:
            self._tend_body(now)
        elif now - self._since > (LEAVE_S if self._is_leaving else self.timeout_keep_alive):
            transport.close()

    def _tend_writing(self, now: float) -> None:
        """Give up on a client that takes its answer too slowly; what it took is a guess."""
        left = self.transport.get_write_buffer_size()
        if left != self._unsent:
            self._unsent = left
            self._unsent_since = now
        elif now - self._unsent_since > PAUSE_S:
            self.transport.abort()

    def _tend_body(self, now: float) -> None:
        if not self.cycle.more_body or self.flow.read_paused:
            self._body_since = now - self._body_bytes / LEAST_BYTES_PER_S
            self._since = now
        elif (
            now - self._since > GRACE_S
            or now - self._body_since > GRACE_S + self._body_bytes / LEAST_BYTES_PER_S
        ):
            self._refuse(408)

    def _unset_keepalive_if_required(self) -> None:
        """Do nothing: ``tend`` looks at all connections, which is cheaper than a timer each."""

    def shutdown(self) -> None:
        """Finish what is begun; an idle connection may bring one more request, and soon closes."""
        self._is_leaving = True
        self._since = self.clock.now
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False
