import json
import signal

import pytest

from tests.server.processes import Processes

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
