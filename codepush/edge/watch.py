"""What an operator gets to see of requests that the event loop answers by itself.

A check is answered in some ten microseconds, and timing or logging it would cost as much. So one in
some is looked at, and what that costs the others is to count down.
"""

import sys
import time

from werkzeug.http import parse_list_header

from codepush.telemetry.access import AccessLog
from codepush.telemetry.metrics import DEVICE_SECONDS

TIMED_ONE_IN = 64
"""Checks of which one is timed."""

Headers = list[tuple[bytes, bytes]]

_CHECKS = DEVICE_SECONDS.labels("check")
_REPORTS = DEVICE_SECONDS.labels("report")


class Watch:
    """Times and logs requests of one process; for one thread only, the event loop's.

    Attributes:
        left: Checks until one is to be looked at: to be counted down for each, and from the one
            for which it becomes 0, ``begin`` and ``end`` are to be called.
    """

    def __init__(self, access: AccessLog, trusted_proxies: int, prefix: str):
        """Write to ``access``.

        Args:
            access: The access log.
            trusted_proxies: Proxies in front whose word about addresses of clients is taken.
            prefix: What may stand before the paths of routes.
        """
        self._access = access
        self._proxies = trusted_proxies
        self._prefix = prefix
        self._to_time = TIMED_ONE_IN
        self._to_log = access.every or sys.maxsize
        self._is_timed = self._is_logged = False
        self._step = self.left = min(self._to_time, self._to_log)

    def begin(self) -> float:
        """Begin to look at a check; return when that was."""
        self._to_time -= self._step
        self._to_log -= self._step
        self._is_timed = not self._to_time
        self._is_logged = not self._to_log
        self._to_time = self._to_time or TIMED_ONE_IN
        self._to_log = self._to_log or self._access.every
        self._step = self.left = min(self._to_time, self._to_log)
        return time.perf_counter()

    def end(self, began: float, path: bytes, peer: str, headers: Headers) -> None:
        """Note the check that was begun, which was answered with an update or with none."""
        seconds = time.perf_counter() - began
        if self._is_timed:
            _CHECKS.observe(seconds)
        if self._is_logged:
            self._write("GET", path, 200, seconds, peer, headers)

    def report(self, began: float, path: bytes, status: int, peer: str, headers: Headers) -> None:
        """Note a report, when it is answered."""
        if self._access.wants(status):
            seconds = time.perf_counter() - began
            self._write("POST", path, status, seconds, peer, headers)

    def _write(
        self,
        method: str,
        path: bytes,
        status: int,
        seconds: float,
        peer: str,
        headers: Headers,
    ) -> None:
        self._access.write(
            method=method,
            route=path.decode("latin-1").removeprefix(self._prefix),
            status=status,
            ms=round(seconds * 1_000, 3),
            address=self._address(peer, headers),
        )

    def _address(self, peer: str, headers: Headers) -> str:
        """Return whose request it is, as Flask finds it for others (``ProxyFix``)."""
        if not self._proxies:
            return peer
        said = b",".join(value for name, value in headers if name == b"x-forwarded-for")
        addresses = parse_list_header(said.decode("latin-1"))
        return addresses[-self._proxies] if len(addresses) >= self._proxies else peer


def time_reports(seconds: float) -> None:
    """Note how long the first report of a batch waited until all of it was answered."""
    _REPORTS.observe(seconds)
