"""Ends the web server and the worker when their supervisor is gone.

The supervisor alone holds the write end of a pipe. However it ends, the kernel closes that end,
and the read ends in its children see the end of the file.
"""

import logging
import os
import signal
import stat
import threading

log = logging.getLogger("codepush.server")

VARIABLE = "CODEPUSH_LIFELINE_FD"
"""Number of the read end in a child. Not a setting: only a supervisor sets it."""


class Lifeline:
    """The supervisor's side: keep it open for as long as the children shall live."""

    def __init__(self) -> None:
        """Make the pipe; neither end is inherited unless passed on."""
        self.read_fd, self._write_fd = os.pipe()

    def environment(self) -> dict[str, str]:
        """Return what tells a child, which gets ``read_fd`` passed on, where to listen."""
        return {VARIABLE: str(self.read_fd)}

    def close(self) -> None:
        """Close both ends, which ends children that still listen."""
        os.close(self.read_fd)
        os.close(self._write_fd)


def is_supervised() -> bool:
    """Return whether a supervisor started this process; to be asked before ``watch``."""
    return _passed_on() is not None


def watch() -> bool:
    """Send SIGTERM to this process once its supervisor is gone; to be called in a child.

    In a process that forks, the thread stays in the parent: the forked children end with it.

    Returns:
        Whether a supervisor passed a lifeline on; False in a process that runs on its own.
    """
    fd = _passed_on()
    os.environ.pop(VARIABLE, None)
    if fd is None:
        return False
    os.set_inheritable(fd, False)
    threading.Thread(target=_await_end, args=(fd,), name="lifeline", daemon=True).start()
    return True


def _passed_on() -> int | None:
    """Return the read end; None too where the variable outlived the process it was meant for."""
    try:
        fd = int(os.environ.get(VARIABLE, ""))
        return fd if stat.S_ISFIFO(os.fstat(fd).st_mode) else None
    except (ValueError, OSError):
        return None


def _await_end(fd: int) -> None:
    while os.read(fd, 64):
        pass
    log.warning("the supervisor is gone; stopping")
    # To the main thread, so that a blocking call there is interrupted on every system.
    main = threading.main_thread().ident
    if main is None:
        os.kill(os.getpid(), signal.SIGTERM)
    else:
        signal.pthread_kill(main, signal.SIGTERM)
