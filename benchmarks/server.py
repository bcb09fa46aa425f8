"""A server to be measured, on a folder and port of its own."""

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
import zipfile
from io import BytesIO
from pathlib import Path

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
