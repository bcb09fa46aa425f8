"""Log lines of several processes that write to one place."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from codepush.telemetry.lines import Lines
from tests.server.processes import ROOT

LINES = 3_000
WRITER = f"""
import logging.config
from types import SimpleNamespace

import structlog

from codepush.server.logs import log_config
from codepush.telemetry.logging import configure_logging

configure_logging("info", "json")
logging.config.dictConfig(log_config(SimpleNamespace(log_format="json"), "INFO"))
ours, others = structlog.get_logger(), logging.getLogger("another")
for number in range({LINES}):
    size = 9_000 if number % 50 == 0 else number % 300
    ours.info("request", number=number, exception="x" * size)
    others.info("y" * (number % 5_000))
"""


def written(*streams: int, **environment: str) -> None:
    """Let a process write to each of these."""
    command = [sys.executable, "-c", WRITER]
    own = {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]} | environment
    writers = [subprocess.Popen(command, stderr=each, env=own) for each in streams]
    for each in set(streams):
        os.close(each)
    for writer in writers:
        assert writer.wait(60) == 0


def check(text: bytes) -> None:
    lines = [json.loads(line) for line in text.splitlines()]
    assert len(lines) == 2 * 2 * LINES
    assert {line["level"] for line in lines} == {"info"}


@pytest.mark.parametrize(
    "environment", [{}, {"PYTHONUNBUFFERED": "1"}], ids=["usual", "unbuffered"]
)
def test_lines_of_two_processes_in_one_pipe_are_whole(
    environment: dict[str, str], tmp_path: Path
) -> None:
    taken = tmp_path / "taken"
    with taken.open("wb") as target:
        reader = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=target)
        assert reader.stdin
        end = os.dup(reader.stdin.fileno())
        reader.stdin.close()
        written(end, end, **environment)
        assert reader.wait(60) == 0
    check(taken.read_bytes())


def test_lines_of_two_processes_in_one_file_are_whole(tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    end = os.open(taken, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    written(end, end)
    check(taken.read_bytes())


def test_what_has_no_file_is_written_to_without_a_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    lines = Lines()
    lines.write("one\n")
    lines.flush()
    assert stream.getvalue() == "one\n"
