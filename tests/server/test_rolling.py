"""Web servers that are replaced under load, in each way there is: no request fails."""

import http.client
import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import requests

from tests.api_client import bundle
from tests.redis_servers import RedisServer, free_ports
from tests.server.processes import Processes, wait_for
from tests.server.real import RealServer, cmdline

CHECK = "/v0.1/public/codepush/update_check"
REPORT = "/v0.1/public/codepush/report_status/deploy"
APP = "/api/v1/apps/App/deployments/Staging"


class Clients:
    """Clients of each kind, all the time; whoever is not answered as asked is in ``failures``."""

    def __init__(self, port: Callable[[], int], token: str) -> None:
        """Connect to the port that holds when a connection is made, as a router would."""
        self.failures: list[str] = []
        self.counts: dict[str, int] = {}
        self._port = port
        self._headers = {"Authorization": f"Bearer {token}"}
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []
        answer = requests.get(self._url(APP), headers=self._headers, timeout=20)
        self._key = answer.json()["deployment"]["key"]
        self._check = f"{CHECK}?deployment_key={self._key}&app_version=1.0.0"
        for number in range(3):
            self._start(f"device {number} that keeps its connection", self._keep_asking)
            self._start(f"device {number} with a connection each time", self._ask_anew)
        self._start("reporter", self._report)
        self._start("manager", self._manage)
        self._start("developer", self._release)
        self._start("developer of a slow network", self._release_slowly)

    def wait_for_more(self, more: int = 5) -> None:
        """Wait until each has been answered so many times more."""
        before = dict(self.counts)

        def done() -> bool:
            return bool(self.failures) or (
                len(self.counts) == len(self._threads)
                and all(count >= before.get(name, 0) + more for name, count in self.counts.items())
            )

        wait_for(done, f"answers for all: {self.counts}", 90)

    def stop(self) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()

    def _start(self, name: str, act: Callable[[str], None]) -> None:
        def run() -> None:
            while not self._stopped.is_set():
                try:
                    act(name)
                except (OSError, http.client.HTTPException, AssertionError, KeyError) as exc:
                    self.failures.append(f"{name}: {exc!r}")
                    time.sleep(0.2)

        self._threads.append(threading.Thread(target=run, daemon=True))
        self._threads[-1].start()

    def _url(self, path: str) -> str:
        return f"http://127.0.0.1:{self._port()}{path}"

    def _count(self, name: str) -> None:
        self.counts[name] = self.counts.get(name, 0) + 1

    def _keep_asking(self, name: str) -> None:
        """Ask on one connection until the server says, in an answer, that it is the last."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port(), timeout=30)
        try:
            while not self._stopped.is_set():
                connection.request("GET", self._check)
                self._judge(name, connection.getresponse())
                if connection.sock is None:
                    return
                time.sleep(0.005)
        finally:
            connection.close()

    def _ask_anew(self, name: str) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port(), timeout=30)
        try:
            connection.request("GET", self._check, headers={"Connection": "close"})
            self._judge(name, connection.getresponse())
        finally:
            connection.close()
        time.sleep(0.005)

    def _judge(self, name: str, answer: http.client.HTTPResponse) -> None:
        body = json.loads(answer.read())
        assert answer.status == 200, (answer.status, body)
        assert body["update_info"]["label"].startswith("v")
        self._count(name)

    def _report(self, name: str) -> None:
        body = {
            "deployment_key": self._key,
            "app_version": "1.0.0",
            "client_unique_id": f"device {self.counts.get(name, 0)}",
            "label": "v1",
            "status": "DeploymentSucceeded",
        }
        answer = requests.post(self._url(REPORT), json=body, timeout=30)
        assert answer.status_code == 200, answer.text
        self._count(name)

    def _manage(self, name: str) -> None:
        with requests.Session() as session:  # which looks whether its connection was closed
            for _ in range(20):
                answer = session.get(self._url(APP), headers=self._headers, timeout=30)
                assert answer.status_code == 200, answer.text
                self._count(name)
                time.sleep(0.02)

    def _release(self, name: str) -> None:
        number = self.counts.get(name, 0)
        answer = requests.post(
            self._url(f"{APP}/release"),
            headers=self._headers,
            files={"package": ("p.zip", bundle(f"{name} {number}"))},
            data={"packageInfo": '{"appVersion": "1.0.0"}'},
            timeout=30,
        )
        assert answer.status_code == 201, answer.text
        self._count(name)
        time.sleep(0.1)

    def _release_slowly(self, name: str) -> None:
        """Take more than a second for one upload."""
        number = self.counts.get(name, 0)
        package = bundle(f"{name} {number}")
        edge = b"--x\r\nContent-Disposition: form-data; name="
        head = edge + b'"packageInfo"\r\n\r\n{"appVersion": "1.0.0"}\r\n'
        head += edge + b'"package"; filename="p.zip"\r\n\r\n'
        tail = b"\r\n--x--\r\n"

        def pieces() -> Iterator[bytes]:
            yield head
            for at in range(0, len(package), 40):
                time.sleep(0.12)
                yield package[at : at + 40]
            yield tail

        headers = {
            **self._headers,
            "Content-Type": "multipart/form-data; boundary=x",
            "Content-Length": str(len(head) + len(package) + len(tail)),
        }
        connection = http.client.HTTPConnection("127.0.0.1", self._port(), timeout=30)
        try:
            connection.request("POST", f"{APP}/release", pieces(), headers)
            answer = connection.getresponse()
            assert answer.status == 201, answer.read()
        finally:
            connection.close()
        self._count(name)


def prepare(url: str, headers: dict[str, str]) -> None:
    """Make an app with one release."""
    requests.post(
        f"{url}/api/v1/apps", json={"name": "App"}, headers=headers, timeout=30
    ).raise_for_status()
    requests.post(
        f"{url}{APP}/release",
        headers=headers,
        files={"package": ("p.zip", bundle("first"))},
        data={"packageInfo": '{"appVersion": "1.0.0"}'},
        timeout=30,
    ).raise_for_status()


UNLIMITED = {"QUOTA_USER_PER_HOUR": "0", "QUOTA_ADDRESS_PER_HOUR": "0"}


def web_processes(server: RealServer) -> set[int]:
    """Return the web processes without their master."""
    found = [p for p in server.everything() if "codepush.server.web" in " ".join(cmdline(p))]
    masters = {process.pid for process in found}
    workers = set()
    for process in found:
        try:
            if process.ppid() in masters:
                workers.add(process.pid)
        except psutil.Error:
            continue
    return workers


def test_a_reload_replaces_the_web_processes_and_fails_no_request(processes: Processes) -> None:
    server = RealServer(processes, **UNLIMITED)
    prepare(server.url, server.headers)
    clients = Clients(lambda: processes.port, server.token)
    clients.wait_for_more()
    for _ in range(2):
        before = web_processes(server)
        assert len(before) == 2
        server.process.send_signal(signal.SIGUSR1)

        def are_new(before: set[int] = before) -> bool:
            now = web_processes(server)
            return len(now) == 2 and not now & before

        wait_for(are_new, "new web processes", 60)
        clients.wait_for_more()
    clients.stop()
    assert clients.failures == []
    server.stop()


LAUNCH = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ |= {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid()), "LISTEN_FDNAMES": "codepush"}
os.execv(sys.executable, [sys.executable, "-P", "-m", "codepush", "serve"])
"""


def test_a_restart_behind_a_socket_of_systemd_fails_no_request(
    processes: Processes, port: int, tmp_path: Path
) -> None:
    script = tmp_path / "launch.py"
    script.write_text(LAUNCH)
    with socket.create_server(("127.0.0.1", port), backlog=2_048) as listening:
        # As systemd passes it on: already open, and kept open by somebody else.
        os.set_inheritable(listening.fileno(), True)
        command = ("-P", str(script), str(listening.fileno()))

        def start() -> RealServer:
            return RealServer(processes, command=command, fds=(listening.fileno(),), **UNLIMITED)

        server = start()
        prepare(server.url, server.headers)
        clients = Clients(lambda: port, server.token)
        clients.wait_for_more()
        for _ in range(2):
            server.stop()
            server = start()
            clients.wait_for_more()
        clients.stop()
        assert clients.failures == []
        server.stop()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path / "redis")
    try:
        yield server.start()
    finally:
        server.kill()


def test_a_web_server_that_a_platform_replaces_fails_no_request(
    processes: Processes, store: RedisServer
) -> None:
    """As a PaaS does: start the new one, send new connections to it, then end the old one."""
    ports = free_ports(3)
    settings = {
        "REDIS_URL": store.url,
        "CODEPUSH_ENV": "production",
        "SECRET_KEY": "a key that only this test knows and uses",
        "LOG_LEVEL": "error",
        **UNLIMITED,
    }

    def start(port: int) -> subprocess.Popen[str]:
        process = processes.python(
            *("-m", "gunicorn", "-c", "config/gunicorn.conf.py", "wsgi:app"),
            **{**settings, "PORT": str(port)},
        )

        def is_healthy() -> bool:
            try:
                return requests.get(f"http://127.0.0.1:{port}/health", timeout=5).ok
            except requests.RequestException:
                return False

        wait_for(is_healthy, "a web server", 30)
        return process

    made = processes.python(
        *("-P", "-m", "codepush", "user", "create", "--email", "ann@example.com", "--json"),
        **settings,
    )
    token = json.loads(made.communicate(timeout=60)[0])["accessToken"]
    old = start(ports[0])
    prepare(f"http://127.0.0.1:{ports[0]}", {"Authorization": f"Bearer {token}"})
    place = [ports[0]]
    clients = Clients(lambda: place[0], token)
    clients.wait_for_more()
    for port in ports[1:]:
        new = start(port)
        place[0] = port
        old.terminate()
        assert old.wait(40) == 0
        clients.wait_for_more()
        old = new
    clients.stop()
    assert clients.failures == []
    old.terminate()
    assert old.wait(40) == 0
