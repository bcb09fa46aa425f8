import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from codepush.server import lifeline
from codepush.server.lifeline import VARIABLE, Lifeline
from tests.server.processes import Processes, wait_for

CHILD = """
import os, signal, subprocess, sys, time
from codepush.server import lifeline

def stop(number, frame):
    os.write(1, b"stopped in order\\n")  # print may be in the middle of another one
    sys.exit(0)

signal.signal(signal.SIGTERM, stop)
print(lifeline.watch(), flush=True)
grandchild = subprocess.Popen(["sleep", "30"], close_fds=False) if sys.argv[1:] else None
time.sleep(30)
"""

PARENT = f"""
import os, subprocess, sys, time
from codepush.server.lifeline import Lifeline

lifeline = Lifeline()
subprocess.Popen(
    [sys.executable, "-c", {CHILD!r}],
    env=os.environ | lifeline.environment(),
    pass_fds=[lifeline.read_fd],
    start_new_session=True,
)
time.sleep(30)
"""


def start_child(processes: Processes, line: Lifeline, *arguments: str) -> "subprocess.Popen[str]":
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, *arguments],
        env=processes.environment(**line.environment()),
        pass_fds=[line.read_fd],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout
    assert child.stdout.readline() == "True\n"
    return child


def test_a_child_stops_in_order_when_the_other_end_is_closed(processes: Processes) -> None:
    line = Lifeline()
    child = start_child(processes, line)
    time.sleep(0.1)
    assert child.poll() is None
    line.close()
    output, _ = child.communicate(timeout=5)
    assert output == "stopped in order\n"
    assert child.returncode == 0


def test_a_child_stops_in_order_when_its_parent_is_killed(processes: Processes) -> None:
    parent = processes.python("-c", PARENT)
    assert parent.stdout
    assert parent.stdout.readline() == "True\n"
    parent.send_signal(signal.SIGKILL)
    assert parent.stdout.readline() == "stopped in order\n"
    wait_for(lambda: not processes.alive(), "the child is gone", 5)


def test_programs_that_a_child_starts_do_not_keep_the_line_open(processes: Processes) -> None:
    line = Lifeline()
    child = start_child(processes, line, "grandchild")
    wait_for(lambda: any(p.name() == "sleep" for p in processes.alive()), "grandchild")
    line.close()
    child.wait(5)
    assert child.stdout
    child.stdout.close()
    for process in processes.alive():
        assert process.name() == "sleep"
        process.kill()
        process.wait(5)


@pytest.mark.parametrize("value", ["", "x", "-1", "987654"])
def test_without_a_line_a_process_runs_on_its_own(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, value)
    assert lifeline.watch() is False
    assert VARIABLE not in os.environ


def test_a_number_that_is_no_pipe_is_not_taken_for_the_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Path(os.devnull).open() as file:
        monkeypatch.setenv(VARIABLE, str(file.fileno()))
        assert lifeline.watch() is False
