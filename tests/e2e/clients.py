"""The published clients and a real server, as tests call them. Every call has a time limit."""

import json
import os
import re
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid
import zipfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
CLI = HERE / "node_modules" / "code-push-cli" / "script" / "cli.js"
CODEPUSH = Path(sys.executable).with_name("codepush")

START_TIMEOUT_S = 30
STOP_TIMEOUT_S = 40
CALL_TIMEOUT_S = 60

_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
# By whole words: keys are random letters.
_UGLY = re.compile(r"\b(undefined|NaN|[Ii]nvalid [Dd]ate|Traceback)\b|\[object |<html|<!doctype")


def environment(**changes: str) -> dict[str, str]:
    """What a fresh shell has: no settings of the server, no proxies."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR")
    return {name: os.environ[name] for name in kept if name in os.environ} | changes


class ClientError(Exception):
    """What an SDK told its caller."""

    def __init__(self, message: str, status: int | None) -> None:
        super().__init__(f"{status}: {message}" if status else message)
        self.message = message
        self.status = status


class Node:
    """One Node process with all SDKs in it; starting one for each call takes longer than the call.

    It starts at the first call.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def ask(self, **job: object) -> Any:
        """Do a job of ``bridge.js``; return its value."""
        process = self._process = self._process or self._start()
        assert process.stdin
        assert process.stdout
        process.stdin.write(json.dumps(job) + "\n")
        process.stdin.flush()
        answered = select.poll()  # select() would refuse descriptors above 1,023
        answered.register(process.stdout, select.POLLIN | select.POLLHUP)
        if not answered.poll(CALL_TIMEOUT_S * 1_000):
            process.kill()
            raise AssertionError(f"no answer within {CALL_TIMEOUT_S} s: {job}")
        answer = json.loads(process.stdout.readline())
        if "error" in answer:
            raise ClientError(answer["error"], answer.get("status"))
        return answer["value"]

    def _start(self) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            ["node", str(HERE / "bridge.js")],
            # SDKs make their zips in the current folder.
            cwd=tempfile.gettempdir(),
            env=environment(NODE_NO_WARNINGS="1"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )

    def close(self) -> None:
        if self._process:
            process, self._process = self._process, None
            process.communicate(timeout=STOP_TIMEOUT_S)
            assert process.returncode == 0


NODE = Node()
"""Shared by all tests, and closed after the last."""


class Server:
    """``codepush serve`` with its embedded store, in a folder and on a port of its own."""

    def __init__(self, folder: Path, public_path: str = "", **settings: str) -> None:
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        settings |= {"DATA_DIR": str(folder / "var"), "PORT": str(self.port)}
        if public_path:
            self.url = settings["PUBLIC_URL"] = f"http://localhost:{self.port}{public_path}"
        self._environment = environment(**settings)
        self._process: subprocess.Popen[bytes] | None = None
        self._starts = 0

    def start(self) -> str:
        """Start it; return what it printed until it was ready."""
        self._starts += 1
        output = self.folder / f"output-{self._starts}.txt"
        with output.open("wb") as out, self._log.open("ab") as errors:
            self._process = subprocess.Popen(
                [CODEPUSH, "serve"],
                cwd=self.folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=errors,
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while "Press Ctrl-C" not in (text := output.read_text("utf-8")):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.close()
                raise AssertionError(f"not ready: {text}{self._log.read_text('utf-8')}")
            time.sleep(0.02)
        return text

    def stop(self) -> None:
        """Stop it as a process manager does; it must end well, and have failed at nothing."""
        assert self._process
        self.close()
        log = self._log.read_text("utf-8")
        assert self._process.returncode == 0, log
        assert not re.search(r"Traceback|\berror\b", log, re.IGNORECASE), log

    def close(self) -> None:
        """Leave nothing behind, whatever happened."""
        if self._process is None or self._process.poll() is not None:
            return
        # SIGKILL would leave the store, which the next start would take over.
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def command(self, *arguments: str, given: str = "") -> str:
        """Run an operator command beside the running server; return its standard output."""
        done = subprocess.run(
            [CODEPUSH, *arguments],
            input=given,
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            encoding="utf-8",
            timeout=CALL_TIMEOUT_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def create_user(self, name: str = "user", organization: str = "") -> "Person":
        """Make a user with an address that nobody else has."""
        email = f"{name}-{uuid.uuid4().hex[:12]}@example.com"
        options = ["--organization", organization] if organization else []
        answer = json.loads(self.command("user", "create", "--email", email, *options, "--json"))
        assert answer.keys() == {"email", "organization", "accessToken"}
        return Person(answer["email"], answer["organization"], answer["accessToken"], self.url)

    @property
    def _log(self) -> Path:
        return self.folder / "log.txt"


@dataclass(frozen=True)
class Person:
    """A user of a server."""

    email: str
    organization: str
    token: str
    url: str

    def manager(self, sdk: str = "code-push-3") -> "Manager":
        return Manager(sdk, self.url, self.token)

    def cli(self, folder: Path) -> "Cli":
        """The command line of a machine whose home is ``folder``, logged in."""
        cli = Cli(folder)
        cli("login", "--accessKey", self.token, self.url)
        return cli


class Cli:
    """code-push-cli 2.1.9 on a machine of its own."""

    def __init__(self, home: Path) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.home = home

    def __call__(self, *arguments: str, expect: int = 0, given: str = "y\n") -> str:
        """Run a command; return what it printed, without colours.

        Whatever the command: nothing that no person should read may be in it.
        """
        path = os.pathsep.join([str(self.home / "bin"), os.environ["PATH"]])
        home = str(self.home)
        done = subprocess.run(
            ["node", str(CLI), *arguments],
            input=given,
            cwd=self.home,
            env=environment(
                PATH=path,
                HOME=home,
                LOCALAPPDATA=home,
                NO_UPDATE_NOTIFIER="1",
                NODE_NO_WARNINGS="1",
                TZ="UTC",
            ),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=CALL_TIMEOUT_S,
            check=False,
        )
        output = _ANSI.sub("", done.stdout)
        assert done.returncode == expect, (arguments, output)
        assert not _UGLY.search(output), (arguments, output)
        # It shows its usage, and is content, where it does not understand.
        assert "Usage: code-push" not in output, (arguments, output)
        return output

    def fails(self, *arguments: str) -> str:
        """Run a command that must fail; return its sentence."""
        output = self(*arguments, expect=1)
        _, mark, sentence = output.partition("[Error]  ")
        assert mark, output
        return sentence.rstrip("\n")

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, "--format", "json"))

    def table(self, *arguments: str) -> list[dict[str, str]]:
        """Run a command that prints a table; return its rows by column."""
        return parse_table(self(*arguments))

    def fake_browser(self) -> Path:
        """Put a browser in the path; it writes down the address instead of opening it."""
        opened = self.home / "opened.txt"
        for name in ("xdg-open", "open"):
            browser = self.home / "bin" / name
            browser.parent.mkdir(exist_ok=True)
            browser.write_text(f'#!/bin/sh\nprintf %s "$1" > "{opened}"\n', "utf-8")
            browser.chmod(0o700)
        return opened


def parse_table(output: str) -> list[dict[str, str]]:
    """Return the rows of a table in box characters, by column; cells keep their line breaks."""
    blocks: list[list[list[str]]] = []
    for line in output.splitlines():
        if line.startswith(("┌", "├")):
            blocks.append([])
        elif line.startswith("│"):
            blocks[-1].append([cell.strip() for cell in line.strip("│").split("│")])
    rows = [["\n".join(cell).strip() for cell in zip(*block, strict=True)] for block in blocks]
    return [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]


@dataclass(frozen=True)
class Manager:
    """The management SDK of ``code-push-2`` or ``code-push-3``."""

    sdk: str
    url: str
    token: str

    def __call__(self, *call: object) -> Any:
        """Make a call, given as method and arguments; return its value."""
        return NODE.ask(
            client="manage", sdk=self.sdk, serverUrl=self.url, accessKey=self.token, call=call
        )

    def fails(self, *call: object) -> tuple[int | None, str]:
        """Make a call that must fail; return its status and sentence."""
        try:
            value = self(*call)
        except ClientError as error:
            return error.status, error.message
        raise AssertionError(f"{call} returned {value}")

    def add_app(self, name: str = "App") -> dict[str, str]:
        """Make an app; return its deployment keys by name."""
        self("addApp", name, "Android", "React-Native", False)
        return {each["name"]: each["key"] for each in self("getDeployments", name)}

    def release(
        self,
        package: Path,
        version: str = "1.0.0",
        *,
        app: str = "App",
        deployment: str = "Staging",
        **info: object,
    ) -> dict[str, Any]:
        """Release a folder or file; return the package as the SDK does."""
        made: dict[str, Any] = self("release", app, deployment, str(package), version, info)
        return made

    def history(self, deployment: str = "Staging", app: str = "App") -> dict[str, dict[str, Any]]:
        """Return the packages of a deployment by label."""
        packages = self("getDeploymentHistory", app, deployment)
        return {package["label"]: package for package in packages}

    def metrics(self, app: str = "App", deployment: str = "Staging") -> dict[str, dict[str, int]]:
        """Return the metrics, without what is all zeros."""
        metrics = self("getDeploymentMetrics", app, deployment)
        return {place: counts for place, counts in metrics.items() if any(counts.values())}


@dataclass(frozen=True)
class Device:
    """An app in the field: the acquisition SDK in it, and its configuration."""

    sdk: str
    url: str
    key: str
    id: str | None = None
    binary: str = "1.0.0"
    companion: bool | None = None
    running: dict[str, Any] = field(default_factory=dict)

    def on(self, package: dict[str, Any]) -> "Device":
        """Return this device, running ``package``."""
        return replace(self, running=package)

    def check(self) -> Any:
        """Return what the SDK tells its app: a remote package, or None."""
        current = {"appVersion": self.binary} | {
            name: self.running[name] for name in ("label", "packageHash") if name in self.running
        }
        return self._do("queryUpdateWithCurrentPackage", current)

    def download(self, package: dict[str, Any], file: Path) -> dict[str, Any]:
        """Fetch a package as native code does."""
        answer: dict[str, Any] = self._do("download", package["downloadUrl"], str(file))
        return answer

    def report_download(self, package: dict[str, Any]) -> None:
        self._do("reportStatusDownload", package)

    def report_deploy(
        self,
        package: dict[str, Any] | None = None,
        status: str | None = None,
        previous: str | None = None,
        previous_key: str | None = None,
    ) -> None:
        self._do("reportStatusDeploy", package, status, previous, previous_key)

    def _do(self, *call: object) -> Any:
        configuration = {
            "serverUrl": self.url,
            "appVersion": self.binary,
            "deploymentKey": self.key,
            "clientUniqueId": self.id,
            "ignoreAppVersion": self.companion,
        }
        return NODE.ask(client="acquire", sdk=self.sdk, configuration=configuration, call=call)


def write_bundle(folder: Path, text: str) -> Path:
    """Write a folder ``CodePush`` as a bundler does; its contents follow from ``text``."""
    root = folder / "CodePush"
    files = {
        "index.android.bundle": f"var app = {text!r};\n".encode() * 500,
        "assets/logo.png": b"\x89PNG" + text.encode() * 20_000,
        "assets/empty": b"",
        "assets/fonts/Schöne Schrift 字体.ttf": b"font" * 100,
        "assets/deep/er/still/data.json": b"{}",
        # JavaScript sorts by UTF-16 units: the second of these comes before the first.
        "assets/～.txt": b"U+FF5E",
        "assets/🚀.txt": b"U+1F680",
        "assets/50% off & more+.txt": b"%",
        # Left behind by macOS; no part of the package hash.
        "assets/.DS_Store": text.encode(),
    }
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


def unzip(package: Path, folder: Path) -> Path:
    """Unpack a package; return the folder."""
    with zipfile.ZipFile(package) as archive:
        assert archive.testzip() is None
        archive.extractall(folder)
    return folder


def install(package: Path, folder: Path, running: Path | None = None) -> Path:
    """Install a full package or a diff as native code does; return the folder to run from.

    After CodePushUpdateManager.java and CodePushUpdateUtils.java of react-native-code-push 9.0.1.

    Args:
        package: As downloaded.
        folder: To be made.
        running: Folder of the package that the device runs.
    """
    manifest = unzip(package, folder) / "hotcodepush.json"
    if not manifest.exists():
        return folder
    assert running, "a diff for a device that has nothing to merge it with"
    diff = folder.rename(folder.with_name(f"{folder.name}-diff"))
    shutil.copytree(running, folder)
    for name in json.loads((diff / "hotcodepush.json").read_text("utf-8"))["deletedFiles"]:
        (folder / name).unlink(missing_ok=True)
    (diff / "hotcodepush.json").unlink()
    shutil.copytree(diff, folder, dirs_exist_ok=True)
    return folder


def is_diff(package: Path) -> bool:
    """Tell whether a package is a diff."""
    with zipfile.ZipFile(package) as archive:
        return archive.namelist()[0] == "hotcodepush.json"


def hash_folder(folder: Path) -> str:
    """Return the package hash of an unpacked package, by code that is not ours."""
    return str(NODE.ask(client="hash", folder=str(folder)))
