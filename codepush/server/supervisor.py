"""Runs a whole server: the embedded store, the web server and the worker.

Start: store, then the caller's preparations, then worker and web at once. Stop: web, worker,
store, each only when the one before has ended, so that nobody loses what they write to.
"""

import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import config
from codepush.server import metrics
from codepush.server.child import Child, await_end_of_group, describe_exit, log_end, signal_group
from codepush.server.errors import ServerError
from codepush.server.health import HealthWatch
from codepush.server.keeper import StoreKeeper
from codepush.server.lifeline import Lifeline
from codepush.server.listener import Listener, listen
from codepush.server.locks import (
    EMBEDDED,
    EXTERNAL,
    hold_data_dir,
    open_data_dir,
)
from codepush.server.secret_key import own_secret_key
from codepush.server.signals import Signals
from codepush.server.start import check_tls
from codepush.settings import Settings

log = logging.getLogger("codepush.server")

GUNICORN_CONFIG = Path(config.__file__).with_name("gunicorn.conf.py")
WEB_PATIENCE_S = 30.0
"""More than gunicorn's graceful timeout, after which it kills requests by itself."""
WORKER_PATIENCE_S = 10.0
"""Then the job at hand is cut off, and done again later: some take minutes."""
_STRAYS_S = WEB_PATIENCE_S
_IDLE_S = 60.0
_WHERE_UNSET = {"MALLOC_ARENA_MAX": "2", "PYTHONFAULTHANDLER": "1"}
"""Environment of children, where nobody says otherwise.

A process that crashes tells where it was. And with a dozen threads that take turns, glibc's arenas,
up to eight a core, are of no use, and each keeps for itself what it had at its peak.
"""


class Supervisor:
    """One ``codepush serve``."""

    def __init__(
        self,
        settings: Settings,
        *,
        prepare: Callable[[str], None] = lambda _url: None,
        on_ready: Callable[[], None] = lambda: None,
        app: str = "wsgi:app",
    ) -> None:
        """Keep the parts; ``run`` starts them.

        Args:
            settings: The checked settings; children read theirs from the same environment.
            prepare: Called with the store's URL before anyone else uses the store.
            on_ready: Called once, when the web server is healthy.
            app: What gunicorn serves.
        """
        self._settings = settings
        self._prepare = prepare
        self._on_ready = on_ready
        self._app = app
        self._data_dir = Path()
        self._keeper: StoreKeeper | None = None
        self._children: list[Child] = []
        self._ready = False
        self._strays: dict[int, float] = {}

    def run(self) -> int:
        """Run until a signal asks to stop; return the exit code 0.

        To be called in the main thread, once.

        Raises:
            ServerError: The server cannot start; everything started is stopped again.
        """
        self._data_dir = open_data_dir(self._settings.data_dir)
        embedded = self._settings.embedded_store
        serve_lock = hold_data_dir(self._data_dir, store=EMBEDDED if embedded else EXTERNAL)
        try:
            with Signals() as signals:
                try:
                    self._serve(signals)
                except ServerError:
                    # What a signal interrupted may have failed for that reason.
                    if not signals.stop_wished():
                        raise
            # Text left behind would name a process that may belong to others by then.
            serve_lock.write({})
        finally:
            serve_lock.release()
        return 0

    def _serve(self, signals: Signals) -> None:
        listener = listen(self._settings, self._data_dir, give_up=signals.stop_wished)
        lifeline = Lifeline()
        try:
            url = self._start_store(signals)
            if not signals.stop_wished():
                self._prepare(url)
            if not signals.stop_wished():
                web, worker = self._make_children(url, listener, lifeline)
                self._children = [web, worker]
                self._watch(signals, web, listener)
        finally:
            listener.close()
            self._stop(signals)
            lifeline.close()

    def _watch(self, signals: Signals, web: Child, listener: Listener) -> None:
        for child in self._children:
            child.start()
        watched: int | None = None
        health: HealthWatch | None = None
        try:
            while not signals.stop_wished():
                patience_s = self._tend()
                if web.pid != watched:
                    if health is not None:
                        health.stop()
                    watched = web.pid
                    health = self._watch_health(listener, signals) if watched else None
                if health is not None and health.is_healthy():
                    # What came up well and is killed later starts again at once.
                    web.backoff.clear()
                    health = None
                    if not self._ready:
                        self._ready = True
                        self._on_ready()
                # Not while it starts: a signal would end gunicorn, which reads all anew anyway.
                if health is None and web.pid is not None and signals.take_reload():
                    self._reload(web)
                signals.wait(patience_s)
        finally:
            if health is not None:
                health.stop()

    def _watch_health(self, listener: Listener, signals: Signals) -> HealthWatch:
        return HealthWatch(listener.address, signals.wake, scheme=self._settings.scheme)

    def _reload(self, web: Child) -> None:
        """Have new web processes take over from those there are, which finish what they began."""
        try:
            check_tls(self._settings)
        except ServerError as exc:
            log.error("not reloaded: %s", exc)  # noqa: TRY400 - the sentence says it all
            return
        log.info("new web processes take over")
        web.send(signal.SIGHUP)  # gunicorn's reload

    def _start_store(self, signals: Signals) -> str:
        if not self._settings.embedded_store:
            return self._settings.redis_url
        self._keeper = StoreKeeper(self._data_dir)
        self._keeper.start(signals.stop_wished)
        return self._keeper.url

    def _make_children(
        self, url: str, listener: Listener, lifeline: Lifeline
    ) -> tuple[Child, Child]:
        environment = _WHERE_UNSET | os.environ | lifeline.environment()
        environment |= {"REDIS_URL": url, "DATA_DIR": str(self._data_dir)}
        # gunicorn reads it for itself when it is imported, and fails where it is set and empty.
        environment["WEB_CONCURRENCY"] = str(self._settings.web_concurrency)
        if self._settings.embedded_store and not self._settings.secret_keys:
            environment["SECRET_KEY"] = own_secret_key(self._data_dir)
        # -P: modules in the current folder must not be taken for ours.
        python = [sys.executable, "-P", "-m"]
        worker = Child(
            "worker",
            [*python, "codepush.server.worker"],
            environment=environment,
            fds=[lifeline.read_fd],
            patience_s=WORKER_PATIENCE_S,
            hurry_signal=signal.SIGTERM,  # RQ: the second one is a cold shutdown
        )
        web = Child(
            "web",
            [
                *python,
                "codepush.server.web",
                f"--config={GUNICORN_CONFIG}",
                f"--bind=fd://{listener.fds[0]}",
                self._app,
            ],
            environment=environment,
            fds=[lifeline.read_fd, *listener.fds],
            patience_s=WEB_PATIENCE_S,
            hurry_signal=signal.SIGQUIT,
        )
        return web, worker

    def _tend(self) -> float:
        """Start again what ended; return the seconds until this is to be called again."""
        now = time.monotonic()
        next_at = now + _IDLE_S
        for child in self._children:
            if ended := child.reap():
                self._note_end(child, *ended)
            if child.pid is None:
                if child.backoff.due_at <= now:
                    child.start()
                else:
                    next_at = min(next_at, child.backoff.due_at)
        if self._keeper is not None:
            next_at = min(next_at, self._keeper.tend())
        return min(next_at, self._tend_strays()) - now

    def _note_end(self, child: Child, pid: int, status: int) -> None:
        if child.name == "web" and not self._ready:
            signal_group(pid, signal.SIGKILL)
            raise ServerError(
                f"The web server ended at its start ({describe_exit(status)}); its messages above"
                " say why."
            )
        if signal_group(pid, signal.SIGTERM):
            # Web processes whose master was killed, or the one that delivers to webhooks: let them
            # finish, but not for ever.
            self._strays[pid] = time.monotonic() + _STRAYS_S
        log_end(child.name, status, child.backoff.ended())

    def _tend_strays(self) -> float:
        now = time.monotonic()
        for pid, deadline in list(self._strays.items()):
            # A number is not given out again while its group has members, and it is forgotten
            # as soon as it has none.
            if not signal_group(pid, signal.SIGKILL if now >= deadline else 0) or now >= deadline:
                del self._strays[pid]
        return now + 1.0 if self._strays else now + _IDLE_S

    def _stop(self, signals: Signals) -> None:
        try:
            for child in self._children:
                if child.pid is not None:
                    log.info("stopping %s", child.name)
                child.stop(signals.wait)
            for pid in self._strays:
                signal_group(pid, signal.SIGKILL)
                await_end_of_group(pid)
            metrics.clear(self._data_dir)  # of a web server that was killed
        finally:
            if self._keeper is not None:
                self._keeper.stop(signals.hurry_wished)
