"""A process that the supervisor keeps running: when to start it again, and how it is stopped."""

import contextlib
import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence

log = logging.getLogger("codepush.server")

FIRST_DELAY_S = 0.5
LONGEST_DELAY_S = 30.0
STABLE_S = 30.0
"""A process that lived this long starts anew without delay and without a record."""
HURRY_S = 3.0
"""What is left to a process that was told to hurry."""
_DYING_S = 1.0


class Backoff:
    """When to start something again that ended: at once, then ever later, up to a cap."""

    def __init__(self) -> None:
        """Begin with a clean record."""
        self._ends_in_a_row = 0
        self._started_at = 0.0
        self.due_at = 0.0

    def started(self) -> None:
        """Note a start."""
        self._started_at = time.monotonic()

    def clear(self) -> None:
        """Forget earlier ends, because it has come up well."""
        self._ends_in_a_row = 0

    def ended(self) -> float:
        """Note an end; return the seconds to wait before the next start."""
        now = time.monotonic()
        if now - self._started_at >= STABLE_S:
            self._ends_in_a_row = 0
        delay_s = 0.0
        if self._ends_in_a_row:
            # The exponent is bounded: a float overflows at 2 ** 1024.
            delay_s = min(FIRST_DELAY_S * 2 ** min(self._ends_in_a_row - 1, 20), LONGEST_DELAY_S)
        self._ends_in_a_row += 1
        self.due_at = now + delay_s
        return delay_s


class Child:
    """One child process; in a session of its own, Ctrl-C reaches its parent only."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        fds: Sequence[int],
        patience_s: float,
        hurry_signal: signal.Signals,
        has_own_session: bool = True,
    ) -> None:
        """Say how to start and stop it; nothing is started yet.

        Args:
            name: For people, in log lines.
            command: Program and arguments.
            environment: The whole environment.
            fds: Descriptors it inherits.
            patience_s: How long it may take to stop by itself.
            hurry_signal: What makes it stop at once, yet in order.
            has_own_session: Else it belongs to the group of its parent, and ends when that is
                killed as a group.
        """
        self.name = name
        self.backoff = Backoff()
        self.patience_s = patience_s
        self._command = list(command)
        self._environment = dict(environment)
        self._fds = tuple(fds)
        self._hurry_signal = hurry_signal
        self._has_own_session = has_own_session
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Process id; None while it does not run."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the process; where that fails, a later start is due."""
        self.backoff.started()
        try:
            self._process = subprocess.Popen(  # noqa: S603 - no shell, no foreign input
                self._command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                pass_fds=self._fds,
                start_new_session=self._has_own_session,
            )
        except OSError as exc:  # such as too many processes
            delay_s = self.backoff.ended()
            log.warning("%s cannot be started (%s); next try in %.1f s", self.name, exc, delay_s)

    def send(self, number: signal.Signals) -> None:
        """Send a signal, if it runs."""
        if self._process is not None:
            self._process.send_signal(number)

    def reap(self) -> tuple[int, int] | None:
        """Return process id and exit status if it has ended since it was asked last."""
        if self._process is None or (status := self._process.poll()) is None:
            return None
        pid, self._process = self._process.pid, None
        return pid, status

    def stop(self, wait: Callable[[float], bool]) -> None:
        """Stop the process: politely, then in a hurry, then by SIGKILL with all of its group.

        Args:
            wait: Sleeps for so many seconds, or until a child ends or a signal comes; returns
                whether hurry is asked for.
        """
        if self._process is None:
            return
        process = self._process
        process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + self.patience_s
        hurried = False
        while process.poll() is None:
            hurry = wait(max(0.0, deadline - time.monotonic()))
            late = time.monotonic() >= deadline
            if (hurry or late) and not hurried:
                log.warning("%s takes too long to stop; hurrying it", self.name)
                process.send_signal(self._hurry_signal)
                hurried = True
                deadline = time.monotonic() + HURRY_S
            elif late:
                log.warning("%s does not stop; killing it", self.name)
                break
        # Also what is left of its group, such as a web process whose request never ends.
        signal_group(process.pid, signal.SIGKILL)
        process.wait()
        await_end_of_group(process.pid)
        self._process = None


def signal_group(pid: int, number: int) -> bool:
    """Send a signal to a process group; 0 only looks.

    Returns:
        Whether anyone was there to get it.
    """
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)
        return True
    return False


def await_end_of_group(pid: int) -> None:
    """Wait until none is left of a group that was killed, which takes moments; not for ever.

    To be called when its leader is reaped.
    """
    deadline = time.monotonic() + _DYING_S
    while signal_group(pid, 0) and time.monotonic() < deadline:
        time.sleep(0.005)


def log_end(name: str, status: int, delay_s: float) -> None:
    """Say that something ended, and when it is started again."""
    when = f"in {delay_s:.1f} s" if delay_s else "now"
    log.warning("%s ended (%s); starting it again %s", name, describe_exit(status), when)


def describe_exit(status: int) -> str:
    """Return what an exit status of ``subprocess`` means, in words."""
    if status >= 0:
        return f"exit code {status}"
    try:
        return f"killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"killed by signal {-status}"
