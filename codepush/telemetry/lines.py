"""Standard error, which all processes of a server share: their lines never run into each other."""

import fcntl
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Lines:
    """A stream of whole lines, each in one piece among those of other processes.

    A line and its end are one write. That is enough up to 4 kB; what is longer, a pipe takes in
    several pieces when it is nearly full. So each write holds a lock on the pipe or file itself,
    which ends with the process, however that ends.
    """

    def __init__(self) -> None:
        """Write to what is standard error now."""
        self._stream = sys.stderr
        self._lock = threading.Lock()

    def write(self, text: str) -> None:
        """Write lines, with their ends."""
        with self._lock, self._alone():
            self._stream.write(text)
            self._stream.flush()

    def flush(self) -> None:
        """Do nothing: ``write`` has done it."""

    @contextmanager
    def _alone(self) -> Iterator[None]:
        try:
            file = self._stream.fileno()
            fcntl.lockf(file, fcntl.LOCK_EX)
        except (OSError, ValueError):  # it has no file, or one that cannot be locked
            yield
            return
        try:
            yield
        finally:
            fcntl.lockf(file, fcntl.LOCK_UN)
