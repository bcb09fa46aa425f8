"""Waits for the web server to answer that it is healthy."""

import contextlib
import http.client
import logging
import ssl
import threading
import time
from collections.abc import Callable

log = logging.getLogger("codepush.server")

_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 0.5
_ANSWER_S = 5.0
_MENTION_S = 15.0


class HealthWatch:
    """Asks ``GET /health`` in a thread until the answer is 200."""

    def __init__(
        self, address: tuple[str, int], wake: Callable[[], None], *, scheme: str = "http"
    ) -> None:
        """Begin to ask.

        Args:
            address: Host and port to connect to.
            wake: Called once, from the thread, when the answer came.
            scheme: ``http`` or ``https``.
        """
        self._address = address
        self._wake = wake
        self._scheme = scheme
        self._healthy = threading.Event()
        self._stopped = threading.Event()
        threading.Thread(target=self._run, name="health", daemon=True).start()

    def is_healthy(self) -> bool:
        """Tell whether the answer came."""
        return self._healthy.is_set()

    def stop(self) -> None:
        """Ask no more."""
        self._stopped.set()

    def _run(self) -> None:
        mention = time.monotonic() + _MENTION_S
        pause_s = _PAUSE_S
        while not self._stopped.is_set():
            answer = self._ask()
            if answer == http.client.OK:
                self._healthy.set()
                self._wake()
                return
            if time.monotonic() > mention:
                log.warning("still not ready: GET /health gives %s", answer or "no answer")
                mention += _MENTION_S
            self._stopped.wait(pause_s)
            pause_s = min(pause_s * 1.5, _LONGEST_PAUSE_S)

    def _ask(self) -> int:
        connection = self._connect()
        try:
            connection.request("GET", "/health", headers={"Connection": "close"})
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            with contextlib.suppress(OSError):
                connection.close()

    def _connect(self) -> http.client.HTTPConnection:
        if self._scheme == "http":
            return http.client.HTTPConnection(*self._address, timeout=_ANSWER_S)
        # To ourselves, by an address that is not in the certificate: whose it is, is no question.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return http.client.HTTPSConnection(*self._address, timeout=_ANSWER_S, context=context)
