"""Measures a real server on this machine and prints a table for RESULTS.md.

Figures are medians of several runs: machines are noisy, so compare only what one run printed.
"""

import json
import os
import platform
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

ROOT = Path(__file__).parents[1]
RUNS = 5
BOUNDARY = "benchmark"


class Server:
    """``codepush serve`` on a folder and port of its own."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        environment = os.environ | {"DATA_DIR": str(folder), "PORT": str(port)}
        environment |= {"WEB_CONCURRENCY": "1", "LOG_LEVEL": "error"}
        # Counted as usual, but never refused.
        environment |= {"QUOTA_USER_PER_HOUR": "100000000", "QUOTA_ADDRESS_PER_HOUR": "100000000"}
        began = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "codepush", "serve"],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.token = ""
        assert self.process.stdout
        for line in self.process.stdout:
            self.token = self.token or "".join(re.findall(r"--accessKey (\S+)", line))
            if line.startswith("CodePush server is ready"):
                self.start_s = time.perf_counter() - began
            if line.startswith("Press Ctrl-C"):
                break

    def call(self, method: str, path: str, body: bytes | None = None, kind: str = "") -> bytes:
        headers = {"Authorization": f"Bearer {self.token}"}
        if kind:
            headers["Content-Type"] = kind
        request = urllib.request.Request(self.url + path, body, headers, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return bytes(answer.read())

    def post(self, path: str, body: object) -> bytes:
        return self.call("POST", path, json.dumps(body).encode(), "application/json")

    def release(self, number: int) -> None:
        self.upload(package(number), f"1.0.{number}")

    def upload(self, content: bytes, app_version: str) -> None:
        part = f"--{BOUNDARY}\r\nContent-Disposition: form-data; name="
        info = json.dumps({"appVersion": app_version})
        body = b"".join(
            [
                f'{part}"package"; filename="p.zip"\r\n\r\n'.encode(),
                content,
                f'\r\n{part}"packageInfo"\r\n\r\n{info}\r\n--{BOUNDARY}--\r\n'.encode(),
            ]
        )
        path = "/apps/App/deployments/Staging/release"
        self.call("POST", path, body, f"multipart/form-data; boundary={BOUNDARY}")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)


def package(number: int) -> bytes:
    """Return a package of 100 kB."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("CodePush/index.android.bundle", str(number).encode() * 20_000)
    return buffer.getvalue()


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
