"""The process beside each worker that delivers to webhooks, and nothing else.

So a package that takes minutes holds up no delivery, and many deliveries hold up no package. Each
worker has one, started again when it ends; it ends with its worker, however that ends: told so by a
lifeline, and killed with the worker's group where that has a supervisor.
"""

import contextlib
import os
import signal
import sys
import threading
import time

from codepush.server.child import HURRY_S, Child, log_end
from codepush.server.lifeline import Lifeline

ARGUMENT = "deliveries"
_LOOK_S = 0.2


class Companion:
    """Keeps the process running, from a thread."""

    def __init__(self, *, is_supervised: bool) -> None:
        """Say how to start it; nothing is started yet.

        Args:
            is_supervised: Whether the worker has a session of its own, without a terminal whose
                Ctrl-C would reach the process a second time.
        """
        self._lifeline = Lifeline()
        self._is_dropped = False
        # A job's fork must not keep it alive when the worker itself is gone.
        os.register_at_fork(after_in_child=self._drop_lifeline)
        self._child = Child(
            "deliveries",
            [sys.executable, "-P", "-m", "codepush.server.worker", ARGUMENT],
            environment={"PYTHONFAULTHANDLER": "1"} | os.environ | self._lifeline.environment(),
            fds=[self._lifeline.read_fd],
            patience_s=HURRY_S,
            hurry_signal=signal.SIGTERM,
            # The one wish of the lifeline may come while the process swallows it, or is too slow.
            has_own_session=not is_supervised,
        )
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="companion", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._child.start()
        self._thread.start()

    def ask_to_stop(self) -> None:
        """Pass a wish to stop on: the first is a warm shutdown, a second one a cold one."""
        self._stopped.set()
        if (pid := self._child.pid) is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)

    def stop(self) -> None:
        """Wait until it has ended; whoever has no patience asks again."""
        if not self._stopped.is_set():
            self.ask_to_stop()
        self._thread.join()
        self._drop_lifeline()

    def _run(self) -> None:
        while True:
            if ended := self._child.reap():
                delay_s = self._child.backoff.ended()
                if self._stopped.is_set():
                    return
                log_end(self._child.name, ended[1], delay_s)
            if self._child.pid is None:
                if self._stopped.is_set():
                    return
                if self._child.backoff.due_at <= time.monotonic():
                    self._child.start()
                    if self._stopped.is_set():  # asked while there was nobody to ask
                        self.ask_to_stop()
            time.sleep(_LOOK_S)

    def _drop_lifeline(self) -> None:
        if not self._is_dropped:  # later, the numbers may be those of other files
            self._is_dropped = True
            self._lifeline.close()
