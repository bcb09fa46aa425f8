"""Signals and ends of children, turned into something a loop can wait for."""

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

_SAME_S = 0.5
"""Two signals this close are one wish: a terminal that closes sends SIGHUP more than once."""
_LONGEST_S = 5.0


class Signals:
    """Counts wishes to stop, and wakes a waiting loop; to be entered in the main thread."""

    def __init__(self) -> None:
        """Prepare; handlers are installed on entry."""
        self._wishes = 0
        self._reloads = 0
        self._last_wish_at = 0.0
        self._former: dict[int, Any] = {}
        self._read_fd, self._write_fd = os.pipe()
        os.set_blocking(self._read_fd, False)
        os.set_blocking(self._write_fd, False)
        self._poll = select.poll()  # select() would refuse descriptors above 1,023
        self._poll.register(self._read_fd, select.POLLIN)

    def __enter__(self) -> Self:
        self._install(signal.SIGTERM, self._on_stop)
        self._install(signal.SIGINT, self._on_stop)
        self._install(signal.SIGUSR1, self._on_reload)
        self._install(signal.SIGCHLD, lambda _number, _frame: None)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # else: nohup
            self._install(signal.SIGHUP, self._on_stop)
        self._former_wakeup = signal.set_wakeup_fd(self._write_fd, warn_on_full_buffer=False)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        signal.set_wakeup_fd(self._former_wakeup)
        for number, handler in self._former.items():
            signal.signal(number, handler)
        os.close(self._read_fd)
        os.close(self._write_fd)
        self._write_fd = -1  # a thread may still call wake

    def stop_wished(self) -> bool:
        """Tell whether a signal asked this process to stop."""
        return self._wishes > 0

    def hurry_wished(self) -> bool:
        """Tell whether it was asked again."""
        return self._wishes > 1

    def take_reload(self) -> bool:
        """Tell whether a signal asked for a reload since this was asked last."""
        asked, self._reloads = self._reloads, 0
        return asked > 0

    def wait(self, seconds: float) -> bool:
        """Sleep until a signal comes, a child ends, ``wake`` is called or time is up.

        Returns:
            Whether hurry is wished for.
        """
        self._poll.poll(min(max(seconds, 0.0), _LONGEST_S) * 1_000)
        with contextlib.suppress(BlockingIOError):
            os.read(self._read_fd, 4096)
        return self.hurry_wished()

    def wake(self) -> None:
        """End the wait of the loop; may be called from any thread."""
        with contextlib.suppress(OSError):  # full: it wakes anyway
            os.write(self._write_fd, b"\0")

    def _install(self, number: int, handler: Callable[[int, FrameType | None], None]) -> None:
        self._former[number] = signal.signal(number, handler)

    def _on_reload(self, _number: int, _frame: FrameType | None) -> None:
        self._reloads += 1

    def _on_stop(self, _number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        if now - self._last_wish_at > _SAME_S:
            self._wishes += 1
        self._last_wish_at = now
