"""Metrics in gunicorn's master: the folder its processes share, and a port of their own."""

import contextlib
import hashlib
import logging
import os
import stat
from pathlib import Path

from codepush.server.errors import ListenError
from codepush.server.listener import bind, sentence
from codepush.settings import Settings

log = logging.getLogger("codepush.server")

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""Where prometheus-client looks for the folder, once, when it is imported."""


_MEMORY = Path("/dev/shm")  # noqa: S108 # whose folder it is, is checked


def place(data_dir: Path) -> Path:
    """Return the folder for a server's metrics: in memory, where there is such a place.

    The library writes through memory maps. On a disk that is full, such a write ends the process.

    Args:
        data_dir: The server's; each has a folder of its own, which the next start finds again.
    """
    name = hashlib.sha256(str(data_dir.resolve()).encode()).hexdigest()[:16]
    folder = _MEMORY / f"codepush-{os.getuid()}-{name}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return data_dir / "metrics"
    is_ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
    return folder if is_ours else data_dir / "metrics"


def prepare(folder: Path) -> None:
    """Make the folder, without what an earlier server left in it.

    To be called before anything imports prometheus-client, and before the first fork; later calls,
    of a reload, do nothing.
    """
    if os.environ.get(FOLDER) == str(folder):
        return
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob("*.db"):
        left.unlink(missing_ok=True)
    os.environ[FOLDER] = str(folder)


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
    from prometheus_client import start_http_server

    from codepush.api.metrics import job_metrics
    from codepush.store.vitals import JobVitals
    from codepush.telemetry.metrics import shared

    vitals = JobVitals(settings.effective_queue_url)
    registry = shared(lambda: job_metrics(vitals))
    try:
        start_http_server(settings.metrics_port, settings.host, registry)
    except OSError as exc:
        # It was free at the start; devices must not go without for that.
        log.error(  # noqa: TRY400 - the sentence says it all
            "no metrics: %s",
            sentence("METRICS_PORT", settings.metrics_port, settings.host, exc),
        )


def publish() -> None:
    """Publish what this process has counted."""
    from codepush.telemetry.metrics import publish as publish_all

    publish_all()


def keep_publishing() -> None:
    """Publish now and then, from a thread of this process."""
    from codepush.telemetry.metrics import Publisher

    Publisher()
