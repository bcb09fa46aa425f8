"""Publishes the numbers of all web processes, with prometheus-client.

Each process keeps its numbers in files of a folder that all share (the library's multiprocess
mode), so any of them can tell the numbers of all. The library reads the folder's name from the
environment when it is imported; ``server/metrics.py`` sets it before that.
"""

import os
import threading
from collections.abc import Callable, Iterable

import prometheus_client as prometheus
from prometheus_client.core import Metric
from prometheus_client.multiprocess import MultiProcessCollector

from codepush.telemetry.counters import Counter, counters

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""Where prometheus-client looks for the folder."""
PREFIX = "codepush_"
CONTENT_TYPE = prometheus.CONTENT_TYPE_LATEST

_PERIOD_S = 2.0
_OWN = prometheus.CollectorRegistry()
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

REQUEST_SECONDS = prometheus.Histogram(
    f"{PREFIX}request_seconds",
    "Requests and how long each took until its answer began, by route.",
    ("method", "route", "status"),
    buckets=_SECONDS,
    registry=_OWN,
)
DEVICE_SECONDS = prometheus.Histogram(
    f"{PREFIX}device_seconds",
    "How long the event loop took for devices: for one check in 64, for each batch of reports.",
    ("what",),
    buckets=(0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, *_SECONDS),
    registry=_OWN,
)
BATCH_SIZE = prometheus.Histogram(
    f"{PREFIX}report_batch_size",
    "Reports that were written to the store together.",
    buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000),
    registry=_OWN,
)

_published: dict[Counter, tuple[prometheus.Counter, dict[tuple[str, ...], int]]] = {}
_gauges: dict[str, tuple[prometheus.Gauge, Callable[[], float]]] = {}
_lock = threading.Lock()


def gauge(name: str, meaning: str, read: Callable[[], float]) -> None:
    """Publish what ``read`` returns; of several web processes, the largest."""
    full = f"{PREFIX}{name}"
    with _lock:
        known = _gauges.get(full)
        made = known[0] if known else _gauge(full, meaning)
        _gauges[full] = made, read


def _gauge(name: str, meaning: str) -> prometheus.Gauge:
    return prometheus.Gauge(name, meaning, registry=_OWN, multiprocess_mode="livemax")


def publish() -> None:
    """Bring what is published up to what this process counted."""
    with _lock:
        for counter in counters():
            if counter not in _published:
                made = prometheus.Counter(
                    PREFIX + counter.name, counter.meaning, counter.labels, registry=_OWN
                )
                _published[counter] = made, {}
            shown, before = _published[counter]
            for labels, value in counter.values().items():
                child = shown.labels(*labels) if labels else shown
                child.inc(value - before.get(labels, 0))
                before[labels] = value
        for shown_gauge, read in _gauges.values():
            shown_gauge.set(read())


class Publisher:
    """A thread that publishes now and then, so that counting itself need not."""

    def __init__(self) -> None:
        """Begin."""
        self._stopped = threading.Event()
        threading.Thread(target=self._run, name="metrics", daemon=True).start()

    def stop(self) -> None:
        """Publish no more."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(_PERIOD_S):
            publish()


class _Also:
    """Adds metrics that are read when somebody asks."""

    def __init__(self, read: Callable[[], Iterable[Metric]]):
        self.collect = read


def exposition(read_more: Callable[[], Iterable[Metric]]) -> bytes:
    """Return all metrics in the text format of Prometheus.

    Args:
        read_more: Returns metrics that are not of any web process.
    """
    publish()
    return prometheus.generate_latest(shared(read_more))


def shared(read_more: Callable[[], Iterable[Metric]]) -> prometheus.CollectorRegistry:
    """Return what collects the numbers of all web processes, and ``read_more``."""
    registry = prometheus.CollectorRegistry()
    if os.environ.get(FOLDER):
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call] # the library's
    else:
        registry.register(_OWN)
    registry.register(_Also(read_more))
    return registry
