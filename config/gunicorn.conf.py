"""Settings of gunicorn: for ``codepush serve`` and for ``gunicorn -c config/gunicorn.conf.py``.

Everything a person sets comes from the server's own settings.
"""

import os
import sys
from typing import Any

from codepush.server import lifeline, metrics
from codepush.server.errors import ServerError
from codepush.server.logs import log_config, quiet_level
from codepush.server.start import check_own_start, check_tls, check_web
from codepush.settings import SettingsError, load_settings

try:
    _settings = load_settings()
except SettingsError as exc:
    sys.stderr.write(f"codepush: {exc}\n")
    sys.exit(2)

# Here, because gunicorn imports the class of its workers next, and that prometheus-client.
metrics.prepare(_settings.data_dir)

_host = f"[{_settings.host}]" if ":" in _settings.host else _settings.host

# Under a supervisor this gives way to --bind=fd://..., a socket that outlives the web server.
bind = [f"{_host}:{_settings.port}"]
backlog = 2048
proc_name = "codepush"

# Each process loads the application after the fork: its Redis connections and threads are its own.
preload_app = False
worker_class = "codepush.edge.worker.EdgeWorker"
workers = _settings.web_concurrency
threads = _settings.web_threads

# Seconds without a heartbeat until a process is taken for hung. The heartbeat is the event loop's
# and does not depend on requests: an upload of 190 MB over a mobile uplink may take an hour.
timeout = 60
# Seconds that requests get to end at a stop; a PaaS kills after 30.
graceful_timeout = 25
# Seconds an idle connection is kept. Behind a proxy longer than the proxy keeps its end (60 s is
# common), else it sends a request into a closed connection. Devices that connect directly ask once
# an hour, and each idle connection takes some 20 kB.
keepalive = 75 if _settings.trusted_proxies else 5

# The application believes the proxies it is told of (TRUSTED_PROXIES). Here nobody is: no header
# changes the scheme, the path or the address of a client.
forwarded_allow_ips = ""
secure_scheme_headers: dict[str, str] = {}
forwarder_headers = ""
proxy_protocol = "off"

# HTTPS, where no proxy ends TLS. The contents are read anew by each process that starts.
certfile = str(_settings.tls_certificate) if _settings.tls_certificate else None
keyfile = str(_settings.tls_key) if _settings.tls_key else None

# The heartbeat file: not on a disk, whose stalls would look like a hung process.
if os.access("/dev/shm", os.W_OK):  # noqa: S108 - memory, and the file is unlinked at once
    worker_tmp_dir = "/dev/shm"  # noqa: S108

# New in gunicorn 25.1: a control socket in the user's home folder. Nobody here uses it.
control_socket_disable = True

errorlog = "-"
accesslog = None
loglevel = quiet_level(_settings).lower()
logconfig_dict = log_config(_settings, quiet_level(_settings)) | {
    "loggers": {"gunicorn.error": {"level": quiet_level(_settings), "propagate": True}}
}


def on_starting(_server: Any) -> None:
    """End with a sentence if this server cannot work, unless a supervisor has looked already.

    Once, in the master: processes that start later live through a store that is away.
    """
    if lifeline.is_supervised():
        return
    try:
        check_tls(_settings)
        check_web(_settings)
        check_own_start(_settings, "A web server of its own")
    except (SettingsError, ServerError) as exc:
        sys.stderr.write(f"codepush: {exc}\n")
        sys.exit(2)


def post_worker_init(_worker: Any) -> None:
    """Begin to publish what a web process counts, when it is there."""
    metrics.keep_publishing()


def worker_exit(_server: Any, _worker: Any) -> None:
    """Publish the last of what a web process counted."""
    metrics.publish()


def child_exit(_server: Any, worker: Any) -> None:
    """Forget what is true of a process only while it lives."""
    metrics.forget(worker.pid)


def when_ready(_server: Any) -> None:
    """Tie the master to its supervisor, if it has one.

    Before the first fork, and after the master has its signal handlers. The thread stays in the
    master: the processes it forks end with it.
    """
    lifeline.watch()
    metrics.serve(_settings)
