"""The real server, for tests that need all of it."""

import random
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
import requests

from codepush.commands import welcome
from tests.server.processes import Processes, wait_for


class RealServer:
    """``codepush serve`` itself."""

    def __init__(
        self,
        processes: Processes,
        *,
        command: Sequence[str] = ("-P", "-m", "codepush", "serve"),
        fds: Sequence[int] = (),
        authority: Path | None = None,
        **settings: str,
    ) -> None:
        """Start it and wait until it is healthy; with ``authority``, it speaks HTTPS."""
        self._processes = processes
        self.authority = authority
        scheme = "https" if authority else "http"
        self.url = f"{scheme}://127.0.0.1:{processes.port}"
        self.data_dir = processes.data_dir
        settings = {"WEB_CONCURRENCY": "2", "LOG_LEVEL": "error"} | settings
        self.process = processes.python(*command, fds=fds, **settings)
        self.output: list[str] = []
        for stream in (self.process.stdout, self.process.stderr):
            threading.Thread(target=self._read, args=(stream,), daemon=True).start()
        wait_for(self._is_healthy, "start", 30)

    def _read(self, stream: Any) -> None:
        self.output.extend(stream)

    def _is_healthy(self) -> bool:
        try:
            return self.get("/health").text == "Healthy"
        except requests.RequestException:
            return False

    def get(self, path: str, **options: Any) -> requests.Response:
        trusted = str(self.authority) if self.authority else True
        return requests.get(f"{self.url}{path}", timeout=5, verify=trusted, **options)

    @property
    def token(self) -> str:
        wait_for(self.token_file.exists, "a token")
        return self.token_file.read_text("ascii").strip()

    @property
    def token_file(self) -> Path:
        return self.data_dir / welcome.FILE

    def everything(self) -> list[psutil.Process]:
        return self._processes.alive()

    def one_of(self, word: str) -> psutil.Process | None:
        found = [p for p in self.everything() if word in " ".join(cmdline(p))]
        return random.choice(found) if found else None

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def add_app(self, name: str) -> None:
        answer = requests.post(
            f"{self.url}/apps", json={"name": name}, headers=self.headers, timeout=30
        )
        answer.raise_for_status()

    def stop(self) -> None:
        self.process.terminate()
        assert self.process.wait(30) == 0


def cmdline(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []
