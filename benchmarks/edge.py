"""Measures what devices get from one web process on one core, beside Express and nginx.

``make bench-edge`` prints a table for RESULTS.md. Rounds are interleaved, figures and ratios are
medians. On a machine that does other things too, look at the processor time a request takes (of the
web process, or of the other server), and at ratios.
Needs wrk; Express (``npm install express`` in the folder that EXPRESS names) and nginx are measured
where they are installed.
"""

import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import requests

from benchmarks.server import Server, package

ROUNDS = int(os.environ.get("ROUNDS", "5"))
SECONDS = int(os.environ.get("SECONDS_EACH", "4"))
DEPLOYMENTS = int(os.environ.get("DEPLOYMENTS", "20"))
RELEASES = 50
CHECK = "/v0.1/public/codepush/update_check"
REPORT = "/v0.1/public/codepush/report_status/deploy"
EXPRESS = (
    "require('express')().get('/',(q,s)=>s.send('Hello World')).listen(process.argv[1],'127.0.0.1')"
)
GTHREAD = ["--worker-class=gthread", "--threads=8", "--workers=1", "wsgi:app"]
NGINX = """worker_processes 1; pid {folder}/pid; error_log {folder}/error.log; daemon off;
events {{ worker_connections 2048; }}
http {{ access_log off; keepalive_requests 1000000000;
server {{ listen 127.0.0.1:{port}; root {folder}; }} }}"""

CHECKS = """
local n = 0
math.randomseed(os.time())
request = function()
  n = n + 1
  return wrk.format('GET', '{path}?deployment_key={key}&app_version=1.0.0&package_hash='
    .. '&is_companion=&label=v3&client_unique_id='
    .. string.format('%08x-0000-4000-8000-%012x', math.random(0, 2147483647), n))
end
"""
REPORTS = """
local n = 0
local salt = os.time()
wrk.headers['Content-Type'] = 'application/json'
request = function()
  n = n + 1
  return wrk.format('POST', '{path}', nil, '{{"deployment_key":"{key}","app_version":"1.0.0",'
    .. '"client_unique_id":"' .. salt .. string.format('-%012x', n)
    .. '","label":"v49","status":"DeploymentSucceeded"}}')
end
"""


class Target:
    """Something that wrk can ask, and the processes that answer it."""

    def __init__(self, name: str, url: str, processes: list[psutil.Process], script: str = ""):
        self.name = name
        self.url = url
        self.processes = processes
        self.script = script

    def run(self, folder: Path) -> dict[str, float]:
        """Return requests a second, the 99th percentile in ms, and CPU time of a request in us."""
        command = ["taskset", "-c", "1", "wrk", "-t1", "-c64", f"-d{SECONDS}s", "--latency"]
        if self.script:
            script = folder / "script.lua"
            script.write_text(self.script)
            command += ["-s", str(script)]
        before = self._cpu_s()
        printed = subprocess.run(
            [*command, self.url], capture_output=True, text=True, check=True
        ).stdout
        used_s = self._cpu_s() - before
        assert "Non-2xx" not in printed, printed
        count = int(re.findall(r"(\d+) requests in", printed)[0])
        number, unit = re.findall(r"99%\s+([\d.]+)(us|ms|s)", printed)[0]
        rate = float(re.findall(r"Requests/sec:\s+([\d.]+)", printed)[0])
        p99 = float(number) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[unit]
        return {"rate": rate, "p99": p99, "cpu": used_s / count * 1e6}

    def _cpu_s(self) -> float:
        return sum(sum(process.cpu_times()[:2]) for process in self.processes)


@contextmanager
def started(
    command: list[str], port: int, folder: str | None = None, **environment: str
) -> Iterator[psutil.Process]:
    """Run a program on the first core until the end of the block."""
    process = subprocess.Popen(
        ["taskset", "-c", "0", *command], cwd=folder, env=os.environ | environment
    )
    try:
        for _ in range(100):
            try:
                requests.get(f"http://127.0.0.1:{port}/", timeout=5)
                break
            except requests.RequestException:
                time.sleep(0.1)
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(10)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def fill(server: Server) -> list[str]:
    """Make the deployments with their releases; return their keys."""
    headers = {"Authorization": f"Bearer {server.token}"}
    keys = []
    session = requests.Session()
    for number in range(DEPLOYMENTS):
        app = f"App{number}"
        session.post(f"{server.url}/apps", json={"name": app}, headers=headers).raise_for_status()
        path = f"{server.url}/apps/{app}/deployments/Staging"
        for release in range(RELEASES):
            rollout = ', "rollout": 50' if release == RELEASES - 1 and not number else ""
            session.post(
                f"{path}/release",
                headers=headers,
                files={"package": ("p.zip", package(release))},
                data={"packageInfo": f'{{"appVersion": "1.0.0"{rollout}}}'},
            ).raise_for_status()
        keys.append(session.get(path, headers=headers).json()["deployment"]["key"])
    return keys


def main() -> None:
    """Measure, and print a table."""
    with tempfile.TemporaryDirectory(prefix="cp-bench-") as name:
        folder = Path(name)
        server = Server(folder / "var")
        try:
            measure(server, folder)
        finally:
            server.stop()


def web_process(server: Server) -> psutil.Process:
    """Return the process that answers."""
    for child in psutil.Process(server.process.pid).children(recursive=True):
        try:
            if "codepush.server.web" in " ".join(child.cmdline()) and not child.children():
                return child
        except psutil.Error:  # a job of the worker that has ended
            continue
    raise SystemExit("there is no web process")


def measure(server: Server, folder: Path) -> None:
    """Fill the server, start the others, and run the rounds."""
    keys = fill(server)
    with server.packages_left_alone():
        compare(server, folder, keys)


def compare(server: Server, folder: Path, keys: list[str]) -> None:
    """Start the others, run the rounds, and print a table."""
    web = web_process(server)
    web.cpu_affinity([0])
    for thread in web.threads():
        os.sched_setaffinity(thread.id, {0})
    query = "app_version=1.0.0&client_unique_id=d"
    for key in keys:
        found = requests.get(f"{server.url}{CHECK}?deployment_key={key}&{query}", timeout=10)
        found.raise_for_status()
    targets = [
        Target(
            "update_check, rollout open", server.url, [web], CHECKS.format(path=CHECK, key=keys[0])
        ),
        Target("report_status/deploy", server.url, [web], REPORTS.format(path=REPORT, key=keys[0])),
        Target("a Flask route (/health/live)", f"{server.url}/health/live", [web]),
    ]
    folder.chmod(0o755)  # nginx changes its user
    (folder / "index.html").write_text("Hello World")
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=4802))
    with (
        started(["node", "-e", EXPRESS, "4801"], 4801, os.environ.get("EXPRESS")) as express,
        started([shutil.which("nginx") or "", "-c", f"{folder}/nginx.conf"], 4802) as nginx,
        started(
            [sys.executable, "-m", "gunicorn", "--bind=127.0.0.1:4803", *GTHREAD],
            4803,
            REDIS_URL=f"unix://{folder}/var/valkey.sock",
            DATA_DIR=f"{folder}/var",
        ) as plain,
    ):
        targets.append(Target("Express hello", "http://127.0.0.1:4801/", [express]))
        targets.insert(
            3,
            Target("the same under gthread", "http://127.0.0.1:4803/health/live", plain.children()),
        )
        targets.append(Target("nginx static", "http://127.0.0.1:4802/", nginx.children()))
        figures: defaultdict[str, list[dict[str, float]]] = defaultdict(list)
        for _ in range(ROUNDS):
            for target in targets:
                figures[target.name].append(target.run(folder))
    print_table(figures)


def print_table(figures: dict[str, list[dict[str, float]]]) -> None:
    """Print medians, and the ratios to Express and nginx of the same rounds, by either measure."""

    def median(name: str, what: str) -> float:
        return statistics.median(each[what] for each in figures[name])

    def ratio(name: str, other: str, what: str) -> str:
        pairs = zip(figures[name], figures[other], strict=True)
        found = statistics.median(one[what] / two[what] for one, two in pairs)
        return f"{found if what == 'rate' else 1 / found:.2f}"

    print("| what | requests/s | p99, ms | CPU, us | x Express | by CPU | x nginx | by CPU |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for name in figures:
        row: list[Any] = [f"{median(name, 'rate'):.0f}", f"{median(name, 'p99'):.1f}"]
        row.append(f"{median(name, 'cpu'):.1f}")
        for other in ("Express hello", "nginx static"):
            row += [ratio(name, other, "rate"), ratio(name, other, "cpu")]
        print(f"| {name} | {' | '.join(row)} |")


if __name__ == "__main__":
    main()
