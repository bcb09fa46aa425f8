"""How much memory each process of a server takes, over time."""

import contextlib
import statistics
import threading
import time
from collections import defaultdict

import psutil

from codepush.store import keys
from codepush.store.connection import connect
from tests.server.processes import Processes
from tests.server.real import cmdline

EVERY_S = 2.0
WORDS = {
    "codepush.server.web": "web",
    "codepush.server.worker deliveries": "deliveries",
    "codepush.server.worker": "worker",
    "codepush serve": "supervisor",
    "valkey-server": "store",
}
LEAST_MB = 1.0
"""What is less than this is no growth: a page here and there, at some tens of MB."""


def role(process: psutil.Process) -> str:
    """Return what a process is there for; "" where it has just ended."""
    words = " ".join(cmdline(process))
    return next((each for word, each in WORDS.items() if word in words), "")


class Memory(threading.Thread):
    """Looks every two seconds at what each process has for itself, in bytes."""

    def __init__(self, processes: Processes) -> None:
        """Look at the processes of one test."""
        super().__init__(name="memory", daemon=True)
        self._processes = processes
        self._stopped = threading.Event()
        self.samples: dict[tuple[str, int], list[tuple[float, int]]] = defaultdict(list)

    def run(self) -> None:
        """Look until ``stop``."""
        while not self._stopped.wait(EVERY_S):
            for process in self._processes.alive():
                with contextlib.suppress(psutil.Error):
                    # Of its own: what a fork shares with its parent is counted there.
                    size = process.memory_full_info().uss
                    self.samples[role(process), process.pid].append((time.monotonic(), size))

    def stop(self) -> None:
        """End."""
        self._stopped.set()
        self.join()

    def growth(self, since: float, until: float) -> list[tuple[str, float, float]]:
        """Return role, MB at the beginning and MB at the end, of all that lived all the time.

        Each is the median of a sixth of the time between ``since`` and ``until``.
        """
        part_s = (until - since) / 6
        found = []
        for (name, _), samples in self.samples.items():
            first = [size for at, size in samples if since <= at <= since + part_s]
            last = [size for at, size in samples if until - part_s <= at <= until]
            if first and last and name != "store":
                mb = [statistics.median(each) / 1e6 for each in (first, last)]
                found.append((name, mb[0], mb[1]))
        return found

    def of_short_lived(self, name: str, since: float) -> list[tuple[float, float]]:
        """Return, for each process of a role that began later, its begin and its largest MB."""
        return [
            (samples[0][0], max(size for _, size in samples) / 1e6)
            for (each, _), samples in self.samples.items()
            if each == name and samples[0][0] > since and len(samples) >= 3
        ]


def of_store(url: str) -> tuple[float, float]:
    """Return the MB that an embedded store takes, and those of them that a backup would hold."""
    client = connect(url)
    try:
        names = [name for name in client.scan_iter(count=1_000) if keys.is_lasting(name)]
        pipe = client.pipeline(transaction=False)
        for name in names:
            pipe.memory_usage(name, samples=0)
        held = sum(size or 0 for size in pipe.execute())
        return client.info("memory")["used_memory"] / 1e6, held / 1e6
    finally:
        client.close()
