"""A report on its way, in the place of a request of uvicorn's."""

import time

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from codepush.edge.commit import Reports


class _NobodyWaits:
    """Stands for the event that wakes whoever waits for a body."""

    def set(self) -> None:
        """Wake nobody."""


_NOBODY_WAITS = _NobodyWaits()


class Taken:
    """A report on its way: what uvicorn's protocol needs to know of a request in progress."""

    __slots__ = (
        "began",
        "body",
        "disconnected",
        "former",
        "headers",
        "keep_alive",
        "message_event",
        "more_body",
        "path",
        "reports",
        "response_complete",
        "response_started",
    )

    def __init__(
        self,
        reports: Reports,
        former: RequestResponseCycle | None,
        path: bytes,
        headers: list[tuple[bytes, bytes]],
        keep_alive: bool,
    ):
        self.began = time.perf_counter()
        self.reports = reports
        self.former = former
        self.path = path
        self.headers = headers
        self.keep_alive = keep_alive
        self.body = bytearray()
        self.more_body = True
        self.response_started = False
        self.response_complete = False
        self.disconnected = False
        self.message_event = _NOBODY_WAITS
