"""A receiver of webhooks in a process of its own on loopback, that answers at once."""

import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

PROGRAM = """
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
ALLOWED = {"WEBHOOK_ALLOW_HTTP": "1", "WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8"}
"""Settings that let it be called."""


class Receiver:
    """Counts what arrives."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def seen(self) -> int:
        with urllib.request.urlopen(self.url, timeout=30) as answer:
            return int(answer.read())

    def wait_for(self, count: int, patience_s: float = 120) -> None:
        deadline = time.monotonic() + patience_s
        while (seen := self.seen()) < count:
            assert time.monotonic() < deadline, f"{seen} of {count} arrived"
            time.sleep(0.02)


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Start a receiver; stop it at the end."""
    process = subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        yield Receiver(int(process.stdout.readline()))
    finally:
        process.terminate()
        process.wait(30)
