import json
import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from codepush.commands import welcome
from codepush.store.written import FULL
from tests.redis_servers import RedisServer
from tests.server.processes import Processes, wait_for

CODEPUSH = ("-c", "from codepush.cli import main; main()")


@pytest.mark.parametrize(
    ("command", "setting", "value", "words"),
    [
        ("serve", "PORT", "http", "PORT is 'http'; it must be a whole number"),
        ("serve", "DATA_DIR", "/dev/null", "DATA_DIR is '/dev/null', which is not a folder"),
        ("serve", "DATA_DIR", "/proc/var", "DATA_DIR /proc/var cannot be used"),
        ("serve", "HOST", "192.0.2.1", "HOST 192.0.2.1 is not an address of this machine"),
        ("worker", "REDIS_URL", "", "A worker of its own needs REDIS_URL"),
        ("worker", "REDIS_URL", "http://x", "REDIS_URL is not a Redis URL"),
    ],
)
def test_what_an_operator_can_mend_is_one_sentence(
    processes: Processes, command: str, setting: str, value: str, words: str
) -> None:
    process = processes.python(*CODEPUSH, command, **{setting: value})
    output, errors = process.communicate(timeout=20)
    assert process.returncode == 2
    assert output == ""
    assert f"codepush: {words}" in errors
    assert "Traceback" not in errors


def test_a_command_that_a_full_store_refuses_says_so(processes: Processes, tmp_path: Path) -> None:
    store = RedisServer(tmp_path / "redis", "--maxmemory-policy", "noeviction")
    try:
        url = store.start().url

        def create(email: str) -> tuple[str, int]:
            command = (*CODEPUSH, "user", "create", "--email", email)
            process = processes.python(*command, REDIS_URL=url)
            return process.communicate(timeout=60)[1], process.returncode

        store.ask("CONFIG", "SET", "maxmemory", "1mb")
        empty = "The store of REDIS_URL cannot be used: it is full and takes no changes."
        assert create("ann@example.com") == (f"codepush: {empty} Check REDIS_URL.\n", 2)
        store.ask("CONFIG", "SET", "maxmemory", "0")
        assert create("ann@example.com") == ("", 0)
        store.ask("CONFIG", "SET", "maxmemory", "1mb")
        advice = "Give it more memory (maxmemory), or delete what nobody needs."
        assert create("bob@example.com") == (f"codepush: {FULL} {advice}\n", 2)
    finally:
        store.kill()


def test_a_damaged_record_is_named_by_commands_and_stops_no_repair(
    processes: Processes, tmp_path: Path
) -> None:
    store = RedisServer(tmp_path / "redis")
    try:
        url = store.start().url

        def run(*words: str) -> tuple[int, str]:
            process = processes.python(*CODEPUSH, *words, REDIS_URL=url, LOG_LEVEL="error")
            errors = process.communicate(timeout=60)[1]
            return process.returncode, errors

        assert run("user", "create", "--email", "ann@example.com") == (0, "")
        with store.client() as client:
            (user,) = client.scan_iter("*:user")
        store.ask("HDEL", user, "email")
        said = f"codepush: The record {user} cannot be read: it lacks 'email'."
        for words in (["user", "list"], ["organization", "list"]):
            assert run(*words) == (2, f"{said} codepush verify tells what would mend it.\n")
        assert run("repair")[0] == 0
    finally:
        store.kill()


def test_gunicorn_of_its_own_refuses_a_wrong_setting_with_a_sentence(
    processes: Processes,
) -> None:
    process = processes.python(
        "-m", "gunicorn", "-c", "config/gunicorn.conf.py", "tests.fakes.tiny_app:app", PORT="0"
    )
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 2
    assert errors.startswith("codepush: PORT is '0'")


def test_serve_says_where_it_is_and_stops_at_ctrl_c(processes: Processes) -> None:
    process = processes.python(*CODEPUSH, "serve", LOG_FORMAT="json", LOG_LEVEL="debug")
    assert process.stdout
    lines: list[str] = []
    while "CodePush server is ready at" not in "".join(lines):
        lines.append(process.stdout.readline())
        assert lines[-1], process.communicate()
    assert f"CodePush server is ready at http://127.0.0.1:{processes.port}" in "".join(lines)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 0
    events = [json.loads(line)["event"] for line in errors.splitlines()]
    assert "stopping the store" in events


def test_the_first_token_is_shown_on_a_terminal_and_else_kept_in_a_file(
    processes: Processes,
) -> None:
    ours, theirs = pty.openpty()
    started = subprocess.Popen(
        [sys.executable, *CODEPUSH, "serve"],
        env=processes.environment(),
        stdout=theirs,
        stderr=subprocess.DEVNULL,
    )
    os.close(theirs)
    shown = b""
    while b"Press Ctrl-C" not in shown:
        shown += os.read(ours, 4096)
    assert re.search(rb"--accessKey [\w-]{30,} http", shown), shown
    assert not (processes.data_dir / welcome.FILE).exists()
    started.terminate()
    assert started.wait(20) == 0
    os.close(ours)


def test_collectors_of_logs_are_told_where_the_first_token_is_and_not_what(
    processes: Processes,
) -> None:
    process = processes.python(*CODEPUSH, "serve", LOG_FORMAT="json", LOG_LEVEL="warning")
    kept = processes.data_dir / welcome.FILE
    wait_for(kept.exists, "the first token")
    assert process.stdout
    while process.stdout.readline() != "Press Ctrl-C to stop it.\n":
        pass
    process.terminate()
    output, errors = process.communicate(timeout=20)
    events = [json.loads(line)["event"] for line in errors.splitlines()]
    assert [event for event in events if f"in the file {kept.resolve()}, which" in event]
    assert kept.read_text("ascii").strip() not in output + errors
    assert kept.stat().st_mode & 0o777 == 0o600
