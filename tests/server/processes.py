"""Real processes for the tests of ``codepush.server``: started, watched, never left behind."""

import os
import re
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from codepush.server.embedded import EmbeddedStore

ROOT = Path(__file__).parents[2]
MARK = "CODEPUSH_TEST_MARK"


def wait_for(condition: Callable[[], object], what: str, seconds: float = 45.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)


def connect(url: str) -> redis.Redis:
    """A client that tells at once when a connection broke, and never sends anything twice."""
    return redis.Redis.from_url(url, retry=Retry(NoBackoff(), 0), socket_timeout=5)


def started_with(mark: str, data_dir: Path) -> list[psutil.Process]:
    """Every process that was started, at whatever remove, with this mark.

    Valkey writes its title over its environment; it is known by its current folder.
    """
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and (
                process.environ().get(MARK) == mark or data_dir in Path(process.cwd()).parents
            ):
                found.append(process)
        except psutil.Error:
            continue
    return found


def handles(process: "subprocess.Popen[str]", number: int) -> bool:
    """Whether a process would not just die of a signal; where that cannot be seen, it is waited."""
    status = Path(f"/proc/{process.pid}/status")
    if not status.exists():
        time.sleep(5)
        return True
    caught = re.search(r"SigCgt:\s*(\w+)", status.read_text())
    return bool(caught and int(caught[1], 16) >> (number - 1) & 1)


def is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


class Processes:
    """Starts processes of one test and knows them, their children and their orphans."""

    def __init__(self, mark: str, data_dir: Path, port: int) -> None:
        self.mark = mark
        self.data_dir = data_dir
        self.port = port
        self._started: list[subprocess.Popen[str]] = []

    def environment(self, **changes: str) -> dict[str, str]:
        own = {
            "DATA_DIR": str(self.data_dir),
            "PORT": str(self.port),
            "HOST": "127.0.0.1",
            "WEB_CONCURRENCY": "1",
            "WEB_THREADS": "4",
            "LOG_LEVEL": "info",
            "PYTHONPATH": str(ROOT),
            MARK: self.mark,
        }
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return kept | own | changes

    def python(
        self, *arguments: str, fds: Sequence[int] = (), **changes: str
    ) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            env=self.environment(**changes),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            pass_fds=fds,
            start_new_session=True,
        )
        self._started.append(process)
        return process

    def serve(self, app: str = "tests.fakes.tiny_app:app", **changes: str) -> "Server":
        process = self.python("-P", "-m", "tests.fakes.tiny_serve", app, **changes)
        return Server(process, self)

    def alive(self) -> list[psutil.Process]:
        found = started_with(self.mark, self.data_dir.resolve())
        return [process for process in found if is_alive(process)]

    def close(self) -> list[str]:
        """Kill what is left; return what that was."""
        left = []
        while alive := self.alive():
            for process in alive:
                try:
                    left.append(" ".join(process.cmdline()))
                    process.kill()
                except psutil.Error:
                    continue
            time.sleep(0.02)
        for started in self._started:
            started.communicate()
        return left


class Server:
    """One ``codepush serve`` with the tiny application."""

    def __init__(self, process: subprocess.Popen[str], processes: Processes) -> None:
        self.process = process
        self.processes = processes
        self.errors: list[str] = []
        self.ready = threading.Event()
        self.store = EmbeddedStore(processes.data_dir)
        for read in (self._read_output, self._read_errors):
            threading.Thread(target=read, daemon=True).start()

    def _read_output(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            if line.startswith("ready"):
                self.ready.set()

    def _read_errors(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            self.errors.append(line.rstrip())

    def wait_until_ready(self) -> "Server":
        wait_for(lambda: self.ready.is_set() or self.process.poll() is not None, "start")
        assert self.ready.is_set(), self.errors
        return self

    def wait(self, seconds: float = 15.0) -> int:
        return self.process.wait(seconds)

    def stop(self) -> int:
        self.process.terminate()
        return self.wait()

    def get(self, path: str, timeout_s: float = 10.0) -> tuple[int, str]:
        url = f"http://127.0.0.1:{self.processes.port}{path}"
        try:
            with urllib.request.urlopen(url, timeout=timeout_s) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, ""

    def child(self, word: str) -> psutil.Process:
        """The one direct child whose command line has this word."""
        found: list[psutil.Process] = []

        def look() -> bool:
            found[:] = [
                process
                for process in psutil.Process(self.process.pid).children()
                if word in " ".join(_cmdline(process))
            ]
            return len(found) == 1

        wait_for(look, f"one child with {word!r}")
        return found[0]

    def said(self, words: str) -> bool:
        return any(words in line for line in list(self.errors))


def _cmdline(process: psutil.Process) -> Sequence[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return ()


class Counter:
    """Counts up in the store from a thread, noting the last value that was acknowledged."""

    def __init__(self, url: str, name: str = "count") -> None:
        self.acknowledged = 0
        self._url = url
        self._name = name
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        client = connect(self._url)
        while not self._stopped.is_set():
            try:
                self.acknowledged = int(client.incr(self._name))
            except redis.RedisError:
                time.sleep(0.002)
        client.close()

    def wait_for_more(self, more: int = 50) -> None:
        least = self.acknowledged + more
        wait_for(lambda: self.acknowledged >= least, "writes go on")

    def stop(self) -> int:
        self._stopped.set()
        self._thread.join()
        return self.acknowledged
