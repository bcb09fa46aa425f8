"""Measures what 100 webhooks cost a release, and how fast a whole server delivers to them.

``python -m benchmarks.webhooks``. Releases to an organization with 100 webhooks and to one without
take turns on one server, each when all deliveries are over; the last rows are those of releases one
right after the other, while the same machine delivers what the ones before caused. Packages are not
made smaller meanwhile.
"""

import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.receiver import ALLOWED, Receiver, receiving
from benchmarks.server import Server

HOOKS = 100
PAIRS = 150
REST_S = 0.1
RELEASES = 20
RUNS = 3
TOLD, UNTOLD = "told", "untold"


def timed_release(server: Server, number: int, token: str) -> float:
    """Return the milliseconds that a release of 100 kB takes."""
    began = time.perf_counter()
    server.release(number, token)
    return (time.perf_counter() - began) * 1_000


def latencies(server: Server, receiver: Receiver, tokens: dict[str, str]) -> dict[str, float]:
    """Return the median of each organization."""
    took: dict[str, list[float]] = {name: [] for name in tokens}
    for number in range(PAIRS):
        for name in sorted(tokens, reverse=bool(number % 2)):
            time.sleep(REST_S)
            took[name].append(timed_release(server, number, tokens[name]))
            receiver.wait_for(len(took[TOLD]) * HOOKS)
    return {name: statistics.median(each) for name, each in took.items()}


def in_a_row(
    server: Server, receiver: Receiver, token: str, first: int, hooks: int
) -> tuple[float, float]:
    """Return the median of some releases, and events a second until the last delivery."""
    time.sleep(REST_S)
    before = receiver.seen()
    began = time.perf_counter()
    took = [timed_release(server, number, token) for number in range(first, first + RELEASES)]
    receiver.wait_for(before + RELEASES * hooks)
    return statistics.median(took), RELEASES * hooks / (time.perf_counter() - began)


def main() -> None:
    """Measure, and print a table."""
    with receiving() as receiver, tempfile.TemporaryDirectory(prefix="cp-bench-") as folder:
        server = Server(Path(folder), **ALLOWED)
        try:
            tokens = {name: server.add_user(name) for name in (TOLD, UNTOLD)}
            for token in tokens.values():
                server.post("/apps", {"name": "App"}, token)
            for number in range(HOOKS):
                url = f"{receiver.url}/{number}"
                server.post("/api/v1/webhooks", {"url": url}, tokens[TOLD])
            with server.packages_left_alone():
                medians = latencies(server, receiver, tokens)
                rows: dict[str, list[tuple[float, float]]] = {TOLD: [], UNTOLD: []}
                for run in range(RUNS):
                    for name, hooks in ((UNTOLD, 0), (TOLD, HOOKS)):
                        first = PAIRS + run * RELEASES
                        rows[name].append(in_a_row(server, receiver, tokens[name], first, hooks))
        finally:
            server.stop()
    busy = {name: statistics.median(ms for ms, _ in each) for name, each in rows.items()}
    rate = statistics.median(rate for _, rate in rows[TOLD])
    print("| what | without webhooks | with 100 | ratio |\n| --- | --- | --- | --- |")
    for what, ms in (("release, ms", medians), (f"{RELEASES} releases in a row, ms each", busy)):
        row = f"{ms[UNTOLD]:.2f} | {ms[TOLD]:.2f} | {ms[TOLD] / ms[UNTOLD]:.3f}"
        print(f"| {what} | {row} |")
    print(f"| events/s of those | | {rate:.0f} | |")


if __name__ == "__main__":
    main()
