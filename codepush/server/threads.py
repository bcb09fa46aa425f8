"""gunicorn's threaded worker, which does not wait for ever for a client.

gunicorn reads from blocking sockets without a timeout, so a client that sends half a request and
then nothing would hold a thread for as long as it likes; a few dozen of them, all threads.
"""

from typing import Any

from gunicorn.workers.gthread import ThreadWorker  # type: ignore[import-untyped] # no stubs

SILENCE_S = 30.0
"""How long a client may send or take nothing in the middle of a request."""


class PatientWorker(ThreadWorker):  # type: ignore[misc] # no stubs
    """Gives up on a client that is silent in the middle of a request."""

    def handle(self, conn: Any) -> Any:
        """Serve a connection, with a bound on each wait for its client."""
        if not hasattr(conn, "unbounded_init"):
            conn.unbounded_init = conn.init
            conn.init = lambda: self._init(conn)
        return super().handle(conn)

    def _init(self, conn: Any) -> None:
        # gunicorn has just made the socket blocking; this comes right after, for each request.
        conn.unbounded_init()
        conn.sock.settimeout(SILENCE_S)
