"""Measures deliveries of one worker, and what webhooks cost a release.

``python -m benchmarks.webhooks``. The receiver is a process of its own on loopback that answers at
once. Latencies of releases to an organization with 100 webhooks and to one without take turns on
one server, each after the deliveries of the one before are over.
"""

import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
import zipfile
from io import BytesIO
from typing import Any

RECEIVER = """
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
seen = 0
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    def do_POST(self):
        global seen
        self.rfile.read(int(self.headers["Content-Length"]))
        seen += 1
        self.wfile.write(b"HTTP/1.1 204 X\\r\\n\\r\\n")
    def do_GET(self):
        body = str(seen).encode()
        self.wfile.write(b"HTTP/1.1 200 X\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(body) + body)
    def log_message(self, *_):
        pass
server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
"""
BOUNDARY = "benchmark"
HOOKS = 100
PAIRS = 15


class Server:
    """``codepush serve`` with one worker, and two organizations."""

    def __init__(self, folder: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.environment = os.environ | {"DATA_DIR": folder, "PORT": str(port)}
        self.environment |= {"WEB_CONCURRENCY": "1", "LOG_LEVEL": "error"}
        self.environment |= {"QUOTA_USER_PER_HOUR": "0", "QUOTA_ADDRESS_PER_HOUR": "0"}
        self.environment |= {"WEBHOOK_ALLOW_HTTP": "1", "WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "codepush", "serve"],
            env=self.environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.token = ""
        assert self.process.stdout
        for line in self.process.stdout:
            self.token = self.token or "".join(re.findall(r"--accessKey (\S+)", line))
            if line.startswith("Press Ctrl-C"):
                break

    def user(self, organization: str) -> str:
        command = [sys.executable, "-m", "codepush", "user", "create", "--json"]
        command += ["--email", f"{organization}@example.com", "--organization", organization]
        printed = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=True
        ).stdout
        return next(v for v in re.findall(r'"([^"]{30,})"', printed) if "@" not in v)

    def call(self, token: str, method: str, path: str, body: Any = None, kind: str = "") -> Any:
        headers = {"Authorization": f"Bearer {token}"}
        if body is not None and not kind:
            body, kind = json.dumps(body).encode(), "application/json"
        if kind:
            headers["Content-Type"] = kind
        request = urllib.request.Request(self.url + "/api/v1" + path, body, headers, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def release(self, token: str, number: int) -> float:
        """Return the seconds that a release of 100 kB takes."""
        part = f"--{BOUNDARY}\r\nContent-Disposition: form-data; name="
        info = json.dumps({"appVersion": f"1.0.{number}"})
        body = b"".join(
            [
                f'{part}"package"; filename="p.zip"\r\n\r\n'.encode(),
                package(number),
                f'\r\n{part}"packageInfo"\r\n\r\n{info}\r\n--{BOUNDARY}--\r\n'.encode(),
            ]
        )
        began = time.perf_counter()
        path = "/apps/App/deployments/Staging/release"
        self.call(token, "POST", path, body, f"multipart/form-data; boundary={BOUNDARY}")
        return time.perf_counter() - began


def package(number: int) -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("CodePush/index.android.bundle", str(number).encode() * 20_000)
    return buffer.getvalue()


def seen(port: int) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=30) as answer:
        return int(answer.read())


def wait_for(port: int, count: int, patience_s: float = 120) -> None:
    deadline = time.monotonic() + patience_s
    while seen(port) < count and time.monotonic() < deadline:
        time.sleep(0.02)
    assert seen(port) >= count, f"{seen(port)} of {count} arrived"


def main() -> None:
    """Measure, and print a table."""
    receiver = subprocess.Popen([sys.executable, "-c", RECEIVER], stdout=subprocess.PIPE, text=True)
    assert receiver.stdout
    port = int(receiver.stdout.readline())
    rows = []
    with tempfile.TemporaryDirectory(prefix="cp-bench-") as folder:
        server = Server(folder)
        try:
            busy, idle = server.user("busy"), server.user("idle")
            for token in (busy, idle):
                server.call(token, "POST", "/apps", {"name": "App"})
            for number in range(HOOKS):
                server.call(busy, "POST", "/webhooks", {"url": f"http://127.0.0.1:{port}/{number}"})
            told, quiet, total = [], [], 0
            for number in range(PAIRS):
                quiet.append(server.release(idle, number))
                told.append(server.release(busy, number))
                total += HOOKS
                wait_for(port, total)
            medians = [statistics.median(each) * 1_000 for each in (quiet, told)]
            rows.append(("release without webhooks, ms", f"{medians[0]:.2f}"))
            rows.append((f"release with {HOOKS} webhooks, ms", f"{medians[1]:.2f}"))
            rows.append(("ratio", f"{medians[1] / medians[0]:.3f}"))
            began = time.perf_counter()
            for number in range(PAIRS, PAIRS + 20):
                server.release(busy, number)
                total += HOOKS
            wait_for(port, total)
            rate = 20 * HOOKS / (time.perf_counter() - began)
            rows.append((f"events/s to {HOOKS} endpoints, 20 releases", f"{rate:.0f}"))
            [first, *_] = server.call(busy, "GET", "/webhooks")["webhooks"]
            began = time.perf_counter()
            span = {"since": stamp(-3_600), "until": stamp(3_600)}
            for _ in range(10):
                queued = server.call(busy, "POST", f"/webhooks/{first['id']}/replay", span)
                total += queued["queued"]
                wait_for(port, total)
            took = time.perf_counter() - began
            rows.append(
                ("events/s to one endpoint, one deployment", f"{10 * queued['queued'] / took:.0f}")
            )
        finally:
            server.process.terminate()
            server.process.wait(60)
            receiver.terminate()
            receiver.wait(30)
    print("| what | median |\n| --- | --- |")
    for what, figure in rows:
        print(f"| {what} | {figure} |")


def stamp(offset_s: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + offset_s))


if __name__ == "__main__":
    main()
