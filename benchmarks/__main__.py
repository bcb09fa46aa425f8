"""Measures a real server on this machine and prints a table for RESULTS.md.

Figures are medians of several runs: machines are noisy, so compare only what one run printed.
"""

import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from benchmarks.server import Server

ROOT = Path(__file__).parents[1]
RUNS = 5


@contextmanager
def running() -> Iterator[Server]:
    """Start a server with one app; stop it at the end."""
    with tempfile.TemporaryDirectory(prefix="cp-bench-") as folder:
        server = Server(Path(folder))
        try:
            server.post("/apps", {"name": "App"})
            yield server
        finally:
            server.stop()


def timed(act: Callable[[], object]) -> float:
    """Return the seconds that ``act`` takes."""
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def checks_per_second(server: Server, path: str) -> float:
    """Return answered update checks per second, over 32 connections, with wrk."""
    command = ["wrk", "-t1", "-c32", "-d3s", server.url + path]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in printed, printed
    return float(re.findall(r"Requests/sec:\s+([0-9.]+)", printed)[0])


def main() -> None:
    """Measure, and print a table."""
    rows: list[tuple[str, str]] = []
    starts = []
    for _ in range(RUNS):
        with running() as server:
            starts.append(server.start_s)
    rows.append(("cold start of `codepush serve`, s", f"{statistics.median(starts):.2f}"))
    with running() as server:
        releases = [timed(lambda n=n: server.release(n)) for n in range(50)]
        rows.append(("release of 100 kB, ms", f"{statistics.median(releases) * 1_000:.1f}"))
        with ThreadPoolExecutor(8) as pool:
            took = timed(lambda: list(pool.map(server.release, range(100, 300))))
        rows.append(("releases/s from 8 senders, one deployment", f"{200 / took:.0f}"))
        found = json.loads(server.call("GET", "/apps/App/deployments/Staging"))
        key = found["deployment"]["key"]
        path = f"/v0.1/public/codepush/update_check?deployment_key={key}&app_version=1.0.7"
        once = [timed(lambda: server.call("GET", path)) for _ in range(200)]
        rows.append(
            ("update check, one connection each, ms", f"{statistics.median(once) * 1e3:.1f}")
        )
        if shutil.which("wrk"):
            rates = [checks_per_second(server, path) for _ in range(RUNS)]
            rows.append(("update checks/s, one web process", f"{statistics.median(rates):.0f}"))
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    print("| what | median |\n| --- | --- |")
    for what, figure in rows:
        print(f"| {what} | {figure} |")


if __name__ == "__main__":
    main()
