"""Measures what the packaging room makes of three releases of one app.

``python -m benchmarks.packages FOLDER``, where FOLDER has v1.zip, v2.zip and v3.zip as a CLI
uploads them. Times are medians of several runs, in CPU but for diffs, refusals and the server.
"""

import io
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.__main__ import running
from codepush.archive.diffs import build_diff
from codepush.archive.gate import inspect
from codepush.archive.models import Archive
from codepush.archive.recompression import recompress
from codepush.domain.errors import InvalidParameterError
from tests.archive.hostile import HOSTILE

RUNS = 7
MEGABYTE = 1_000_000

# In a process of its own, which has loaded nothing else.
PEAK = """
import sys
from codepush.archive.gate import inspect
with open(sys.argv[1], "rb") as file:
    inspect(file)
with open("/proc/self/status") as status:
    print(next(line for line in status if line.startswith("VmHWM")).split()[1])
"""

Row = tuple[str, str, str]


def table(folder: Path) -> list[Row]:
    """Return what was measured, the figure and its bound."""
    uploads = {name: (folder / f"{name}.zip").read_bytes() for name in ("v1", "v2", "v3")}
    packages = {name: inspect(io.BytesIO(each)) for name, each in uploads.items()}
    unpacked_mb = sum(file.size for file in packages["v2"].files) / MEGABYTE
    full = {name: recompress(each) for name, each in packages.items()}
    recompression_ms = median_ms(lambda: recompress(packages["v2"]).close(), time.process_time, 3)
    gate_ms = median_ms(lambda: inspect(io.BytesIO(uploads["v2"])), time.process_time)
    peaks = [peak_mb(folder / f"{name}.zip") for name in uploads]
    small = diff(packages["v1"], full["v2"])
    large = diff(packages["v2"], full["v3"])
    diff_ms = max(
        median_ms(lambda: diff(packages["v1"], full["v2"]).close(), time.perf_counter),
        median_ms(lambda: diff(packages["v2"], full["v3"]).close(), time.perf_counter),
    )
    smaller_s, diffs_s = delays_s(list(uploads.values()))
    return [
        ("full v2, served / uploaded", ratio(full["v2"], uploads["v2"]), "0.975"),
        ("diff v1->v2 / uploaded full v2", ratio(small, uploads["v2"]), "0.32"),
        ("diff v2->v3 / uploaded full v3", ratio(large, uploads["v3"]), "0.40"),
        ("gate and hash, ms of CPU a MB unpacked", f"{gate_ms / unpacked_mb:.1f}", "8"),
        ("gate, peak memory of its process, MB", f"{max(peaks):.0f}", "64"),
        ("recompression, ms of CPU a MB", f"{recompression_ms / unpacked_mb:.0f}", "200"),
        ("building a diff, ms", f"{diff_ms:.1f}", "20"),
        (
            f"refusing the slowest of {len(HOSTILE)} hostile packages, ms",
            f"{slowest_refusal_ms():.1f}",
            "100",
        ),
        ("from releasing v3 to serving it smaller, s", f"{smaller_s:.1f}", "30"),
        ("from releasing v3 to its diffs from v1 and v2, s", f"{diffs_s:.1f}", "30"),
    ]


def slowest_refusal_ms() -> float:
    slowest = 0.0
    for make, _ in HOSTILE.values():
        content = make()

        def refuse(content: bytes = content) -> None:
            try:
                inspect(io.BytesIO(content))
            except InvalidParameterError:
                return
            raise AssertionError("a hostile package passed")

        slowest = max(slowest, median_ms(refuse, time.perf_counter, 3))
    return slowest


def delays_s(uploads: list[bytes]) -> tuple[float, float]:
    """Return how long a real server takes to serve the last upload smaller, and to have diffs."""
    with running() as server:
        path = "/apps/App/deployments/Staging"

        def newest() -> dict[str, Any]:
            package: dict[str, Any] = json.loads(server.call("GET", path))["deployment"]["package"]
            return package

        def wait(until: Callable[[dict[str, Any]], bool]) -> float:
            while not until(newest()):
                time.sleep(0.02)
            return time.perf_counter()

        for count, (size, each) in enumerate((len(each), each) for each in uploads):
            server.upload(each, "1.0.0")
            began = time.perf_counter()
            smaller = wait(lambda package, size=size: package["size"] < size)
            diffs = wait(lambda package, n=count: len(package.get("diffPackageMap", {})) == n)
        return smaller - began, diffs - began


def ratio(made: Archive, upload: bytes) -> str:
    return f"{made.size / len(upload):.4f}"


def diff(base: Archive, new: Archive) -> Archive:
    made = build_diff(base.digests(), new)
    assert made
    return made


def median_ms(act: Callable[[], object], clock: Callable[[], float], runs: int = RUNS) -> float:
    took = []
    for _ in range(runs):
        began = clock()
        act()
        took.append(clock() - began)
    return statistics.median(took) * 1_000


def peak_mb(path: Path) -> float:
    command = [sys.executable, "-c", PEAK, str(path)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return int(printed) * 1_024 / MEGABYTE


def main() -> None:
    """Print the table; fail where a figure is over its bound."""
    if len(sys.argv) != 2:
        sys.exit("Say where the packages are: python -m benchmarks.packages FOLDER")
    rows = table(Path(sys.argv[1]))
    print("| packages | measured | at most |\n| --- | --- | --- |")
    for what, figure, bound in rows:
        print(f"| {what} | {figure} | {bound} |")
    if over := [what for what, figure, bound in rows if float(figure) > float(bound)]:
        sys.exit(f"Over the bound: {'; '.join(over)}")


if __name__ == "__main__":
    main()
