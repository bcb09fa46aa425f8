"""The process that runs background jobs: an RQ worker that outlives restarts of the store.

With the argument ``deliveries`` it is the one that only delivers to webhooks; each other one starts
such a companion.
"""

import contextlib
import faulthandler
import importlib
import logging.config
import os
import signal
import socket
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

import redis.exceptions
import rq
from rq import worker_registration
from rq.exceptions import StopRequested

from codepush.jobs import stopping
from codepush.server import lifeline
from codepush.server.companion import ARGUMENT, Companion
from codepush.server.delivery_watch import DELIVER, DeliveryWatch
from codepush.server.errors import ServerError
from codepush.server.logs import log_config, quiet_level
from codepush.server.scheduling import Scheduling
from codepush.server.start import check_own_start
from codepush.server.ticker import Ticker
from codepush.settings import Settings, SettingsError, load_settings
from codepush.store.connection import connect_queue
from codepush.store.queue import DELIVERIES, QUEUES
from codepush.store.vitals import JobVitals
from codepush.telemetry import work

log = logging.getLogger("codepush.server")

_PAUSE_S = 1.0
_MAINTENANCE_S = 60
"""How soon a job of a worker that was killed is found, once its heartbeat is too old."""

_HEARTBEAT_S = 45
"""How often an idle worker says that it is there; ``/health/ready`` looks for that."""
_WAIT_MARGIN_S = 15
"""RQ waits for a job for as long as a worker lives, less this."""


class _Worker(rq.Worker):
    """RQ's worker, which remembers that it was asked to stop.

    SIGTERM is a warm shutdown: the job at hand is finished first. A second one is a cold one.
    """

    max_connection_wait_time = 5.0
    stop_wished = False
    vitals: JobVitals | None = None
    pass_on: Callable[[], None]
    """Called with each wish to stop."""

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """Note the wish and do what RQ does: raise, or stop after the job at hand."""
        self.stop_wished = True
        self.pass_on()
        super().request_stop(signum, frame)  # type: ignore[no-untyped-call] # RQ's

    def request_force_stop(self, signum: int, frame: FrameType | None) -> None:
        """Pass the second wish on too, and do what RQ does: end the job at hand."""
        self.pass_on()
        super().request_force_stop(signum, frame)

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:
        """Say that it is there, and who it is: RQ tells the latter once, and a queue may forget."""
        super().heartbeat(timeout, pipeline)
        queue = self.connection if pipeline is None else pipeline
        worker_registration.register(self, pipeline)
        queue.hset(self.key, "queues", ",".join(self.queue_names()))

    def handle_job_success(self, *args: Any, **options: Any) -> Any:
        """Count the job, after what RQ does."""
        done = super().handle_job_success(*args, **options)
        self._count("succeeded")
        return done

    def handle_job_failure(self, *args: Any, **options: Any) -> Any:
        """Count the try, after what RQ does; it may be tried again."""
        done = super().handle_job_failure(*args, **options)
        self._count("failed")
        return done

    def _count(self, outcome: str) -> None:
        if self.vitals is not None:
            with contextlib.suppress(redis.exceptions.RedisError):  # a number is not worth a job
                self.vitals.count(outcome)
                # Each job has a process of its own, which began to count with it.
                counted = {each.name: each.values() for each in work.ALL if each.value}
                if counted:
                    self.vitals.add(counted)


def run(settings: Settings) -> None:
    """Work until a signal asks to stop.

    Raises:
        ServerError: No REDIS_URL is set, so there is no queue that others write to; or what it
            needs cannot be used.
    """
    # RQ's own signal handlers come with its loop; until then, and between two loops, these.
    signal.signal(signal.SIGTERM, _raise_stop)
    signal.signal(signal.SIGINT, _raise_stop)
    try:
        is_supervised = lifeline.watch()
        if not is_supervised:
            check_own_start(settings, "A worker of its own")
        # What is begun to be started is also stopped: a wish waits until all of it is there.
        wishes: list[int] = []
        signal.signal(signal.SIGTERM, lambda number, _frame: wishes.append(number))
        signal.signal(signal.SIGINT, lambda number, _frame: wishes.append(number))
    except StopRequested:
        return
    ticker = Ticker(connect_queue(settings.effective_queue_url), QUEUES[-1])
    scheduling = Scheduling(connect_queue(settings.effective_queue_url), QUEUES)
    companion = Companion(is_supervised=is_supervised)
    parts = (ticker, scheduling, companion)
    for part in parts:
        part.start()
    try:
        signal.signal(signal.SIGTERM, _raise_stop)
        signal.signal(signal.SIGINT, _raise_stop)
        if not wishes:
            _work_on(settings, QUEUES, companion.ask_to_stop)
    except StopRequested:
        log.debug("stopped before there was work")
    finally:
        # Who asks again now means the companion, which is waited for.
        signal.signal(signal.SIGTERM, lambda *_: companion.ask_to_stop())
        signal.signal(signal.SIGINT, lambda *_: companion.ask_to_stop())
        for part in reversed(parts):
            part.stop()


def run_deliveries(settings: Settings) -> None:
    """Deliver until a signal asks to stop, or until the worker that started this is gone."""
    signal.signal(signal.SIGTERM, _raise_stop)
    signal.signal(signal.SIGINT, _raise_stop)
    watch = DeliveryWatch(settings.redis_url, settings.effective_queue_url)
    try:
        lifeline.watch()
        # Jobs run in forks of this process: what it has imported, they need not.
        importlib.import_module(DELIVER.rpartition(".")[0])
        watch.start()
        _work_on(settings, [DELIVERIES], stopping.ask)
    except StopRequested:
        log.debug("stopped before there was work")
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # this is the stop that was asked for
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        watch.stop()


def _work_on(settings: Settings, queues: Sequence[str], pass_on: Callable[[], None]) -> None:
    """Run one RQ worker after the other, until a signal asks to stop."""
    try:
        while not _work(settings, queues, pass_on):
            signal.signal(signal.SIGTERM, _raise_stop)
            signal.signal(signal.SIGINT, _raise_stop)
            time.sleep(_PAUSE_S)
    except StopRequested:
        log.debug("worker stopped")


def _work(settings: Settings, queues: Sequence[str], pass_on: Callable[[], None]) -> bool:
    """Run one RQ worker to its end; return whether it was asked to end."""
    worker: _Worker | None = None
    try:
        worker = _Worker(
            queues,
            # Unique, because RQ refuses the name of a worker that was killed, for seven minutes.
            name=f"{socket.gethostname()}.{os.getpid()}.{uuid.uuid4().hex[:8]}",
            connection=connect_queue(settings.effective_queue_url),
            maintenance_interval=_MAINTENANCE_S,
            worker_ttl=_HEARTBEAT_S + _WAIT_MARGIN_S,
        )
        worker.pass_on = pass_on
        worker.vitals = JobVitals(settings.effective_queue_url)
        worker.work()
    except redis.exceptions.RedisError as exc:
        log.warning("the worker cannot reach its queue (%s)", exc)
    return worker is not None and worker.stop_wished


def _raise_stop(_number: int, _frame: FrameType | None) -> None:
    raise StopRequested


def main() -> None:
    """Run the worker with the settings of the environment, as the supervisor does."""
    faulthandler.enable()  # a crash tells where it was
    try:
        settings = load_settings()
        logging.config.dictConfig(log_config(settings, settings.log_level.upper()))
        logging.getLogger("rq.worker").setLevel(quiet_level(settings))
        if sys.argv[1:] == [ARGUMENT]:
            run_deliveries(settings)
        else:
            run(settings)
    except (SettingsError, ServerError) as exc:
        sys.stderr.write(f"codepush: {exc}\n")
        sys.exit(2)


if __name__ == "__main__":
    main()
