"""Metrics in gunicorn's master: the folder its processes share, and a port of their own."""

import atexit
import contextlib
import logging
import os
import shutil
import socket
import stat
import tempfile
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from codepush.server.errors import ListenError, ServerError
from codepush.server.listener import bind, sentence
from codepush.server.locks import FileLock
from codepush.settings import Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

log = logging.getLogger("codepush.server")

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""Where prometheus-client looks for the folder, once, when it is imported."""

_MEMORY = Path("/dev/shm")  # noqa: S108 # the folder's name is made up, and nobody else may read
_PREFIX = f"codepush-metrics-{os.getuid()}-"
_LOCK = "lock"
_held: FileLock | None = None
"""Of this master's folder: held by the master and by each process it forks, so as long as any of
them lives. A number of a process would not tell that, as containers may share memory, but not
numbers."""


def prepare(data_dir: Path) -> None:
    """Make a folder for this master, and remove those whose master is gone.

    In memory, where there is such a place: the library writes through memory maps, and on a disk
    that is full such a write ends the process.

    To be called before anything imports prometheus-client, and before the first fork; later calls,
    of a reload, do nothing.
    """
    global _held
    if _held is not None:
        return
    clear(data_dir)
    try:
        folder, _held = _make(_MEMORY)
    except (OSError, ServerError):
        (data_dir / "metrics").mkdir(parents=True, exist_ok=True)
        folder, _held = _make(data_dir / "metrics")
    os.environ[FOLDER] = str(folder)
    atexit.register(_remove, folder, os.getpid())


def clear(data_dir: Path) -> None:
    """Remove the folders of masters that were killed, and whose web processes are gone, too."""
    for parent in (_MEMORY, data_dir / "metrics"):
        for folder in parent.glob(f"{_PREFIX}*"):
            with contextlib.suppress(OSError, ServerError):  # another has just removed it
                found = folder.lstat()
                lock = FileLock(folder / _LOCK)
                if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and lock.acquire():
                    shutil.rmtree(folder, ignore_errors=True)
                    lock.release()


def _make(parent: Path) -> tuple[Path, FileLock]:
    # Under its name only when it is locked: whoever clears away meanwhile would take it for left.
    hidden = Path(tempfile.mkdtemp(prefix=f".{_PREFIX}", dir=parent))
    lock = FileLock(hidden / _LOCK)
    lock.acquire()
    return hidden.rename(hidden.with_name(hidden.name.removeprefix("."))), lock


def _remove(folder: Path, master: int) -> None:
    if os.getpid() == master:  # a web process ends with what its master registered
        shutil.rmtree(folder, ignore_errors=True)


def forget(pid: int) -> None:
    """Drop the gauges of a web process that has ended; what it counted stays."""
    from prometheus_client.multiprocess import mark_process_dead

    with contextlib.suppress(OSError):
        mark_process_dead(pid)  # type: ignore[no-untyped-call] # no types


def check_port(settings: Settings) -> None:
    """Return if metrics can be served at their own port, or have none.

    Raises:
        ListenError: They cannot.
    """
    if settings.metrics_port:
        try:
            bind(settings.host, settings.metrics_port).close()
        except OSError as exc:
            raise ListenError(
                sentence("METRICS_PORT", settings.metrics_port, settings.host, exc)
            ) from exc


def serve(settings: Settings) -> None:
    """Serve metrics at their own port, if there is one, from a thread of this process."""
    if not settings.metrics_port:
        return
    # Here, because few need it, and it takes a tenth of a second.
    from wsgiref.simple_server import make_server

    from prometheus_client.exposition import ThreadingWSGIServer, _SilentHandler, make_wsgi_app

    from codepush.api.metrics import TOKEN_WANTED, is_collector, job_metrics
    from codepush.store.vitals import JobVitals
    from codepush.telemetry.metrics import shared

    vitals = JobVitals(settings.effective_queue_url)
    tell = make_wsgi_app(shared(lambda: job_metrics(vitals)))

    def app(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        token, given = settings.metrics_token, environ.get("HTTP_AUTHORIZATION", "")
        if token and not is_collector(given, token):
            plain = [("Content-Type", "text/plain; charset=utf-8"), ("WWW-Authenticate", "Bearer")]
            start_response("401 Unauthorized", plain)
            return [TOKEN_WANTED.encode()]
        told: Iterable[bytes] = tell(environ, start_response)
        return told

    class Server(ThreadingWSGIServer):
        address_family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET

    try:
        server = make_server(settings.host, settings.metrics_port, app, Server, _SilentHandler)
    except OSError as exc:
        # It was free at the start; devices must not go without for that.
        log.error(  # noqa: TRY400 - the sentence says it all
            "no metrics: %s",
            sentence("METRICS_PORT", settings.metrics_port, settings.host, exc),
        )
        return
    threading.Thread(target=server.serve_forever, name="metrics port", daemon=True).start()


def publish() -> None:
    """Publish what this process has counted."""
    from codepush.telemetry.metrics import publish as publish_all

    publish_all()


def keep_publishing() -> None:
    """Publish now and then, from a thread of this process."""
    from codepush.telemetry.metrics import Publisher

    Publisher()
