"""A server to be measured, on a folder and port of its own."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import psutil

from codepush.commands import welcome

BOUNDARY = "benchmark"


class Server:
    """``codepush serve`` with one web process and one worker; calls are those of its first user."""

    def __init__(self, folder: Path, **settings: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.environment = os.environ | {"DATA_DIR": str(folder), "PORT": str(port)}
        self.environment |= {"WEB_CONCURRENCY": "1", "LOG_LEVEL": "warning"}
        # Counted as usual, but never refused.
        self.environment |= {"QUOTA_USER_PER_HOUR": "100000000"}
        self.environment |= {"QUOTA_ADDRESS_PER_HOUR": "100000000", **settings}
        began = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "codepush", "serve"],
            env=self.environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout
        for line in self.process.stdout:
            if line.startswith("CodePush server is ready"):
                self.start_s = time.perf_counter() - began
            if line.startswith("Press Ctrl-C"):
                break
        self.token = (folder / welcome.FILE).read_text("ascii").strip()

    def call(
        self, method: str, path: str, body: bytes | None = None, kind: str = "", token: str = ""
    ) -> bytes:
        headers = {"Authorization": f"Bearer {token or self.token}"}
        if kind:
            headers["Content-Type"] = kind
        request = urllib.request.Request(self.url + path, body, headers, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return bytes(answer.read())

    def post(self, path: str, body: object, token: str = "") -> Any:
        kind = "application/json"
        return json.loads(self.call("POST", path, json.dumps(body).encode(), kind, token))

    def add_user(self, organization: str) -> str:
        """Return a token of a new user who owns a new organization."""
        command = [sys.executable, "-m", "codepush", "user", "create", "--json"]
        command += ["--email", f"{organization}@example.com", "--organization", organization]
        printed = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=True
        ).stdout
        return str(json.loads(printed)["accessToken"])

    def release(self, number: int, token: str = "") -> None:
        self.upload(package(number), f"1.0.{number}", token)

    def upload(self, content: bytes, app_version: str, token: str = "") -> None:
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
        self.call("POST", path, body, f"multipart/form-data; boundary={BOUNDARY}", token)

    @contextlib.contextmanager
    def packages_left_alone(self) -> Iterator[None]:
        """Let nobody make packages smaller, which would take a core after each release."""
        workers = [
            each
            for each in psutil.Process(self.process.pid).children(recursive=True)
            if (line := each.cmdline())[-1:] != ["deliveries"] and "codepush.server.worker" in line
        ]
        for each in workers:
            each.suspend()
        try:
            yield
        finally:
            for each in workers:
                each.resume()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(60)


def package(number: int) -> bytes:
    """Return a package of 100 kB."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("CodePush/index.android.bundle", str(number).encode() * 20_000)
    return buffer.getvalue()
