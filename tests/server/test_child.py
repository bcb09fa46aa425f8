import signal
import sys
import time

import pytest

from codepush.server import child
from codepush.server.child import Backoff, Child, describe_exit


def test_a_first_end_is_followed_by_a_start_at_once_then_ever_later_up_to_a_cap() -> None:
    backoff = Backoff()
    delays = []
    for _ in range(2_000):
        backoff.started()
        delays.append(backoff.ended())
    assert delays[:5] == [0.0, 0.5, 1.0, 2.0, 4.0]
    assert delays == sorted(delays)
    assert delays[-1] == child.LONGEST_DELAY_S


def test_a_long_life_clears_the_record(monkeypatch: pytest.MonkeyPatch) -> None:
    backoff = Backoff()
    for _ in range(4):
        backoff.started()
        backoff.ended()
    monkeypatch.setattr(child, "STABLE_S", 0.0)
    backoff.started()
    assert backoff.ended() == 0.0


def test_a_child_that_ignores_all_signals_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "HURRY_S", 0.2)
    stubborn = Child(
        "stubborn",
        [
            sys.executable,
            "-c",
            "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)",
        ],
        environment={},
        fds=[],
        patience_s=0.5,
        hurry_signal=signal.SIGTERM,
    )
    stubborn.start()
    time.sleep(0.3)

    def wait(seconds: float) -> bool:
        time.sleep(min(seconds, 0.05))
        return False

    began = time.monotonic()
    stubborn.stop(wait)
    assert time.monotonic() - began < 15
    assert stubborn.pid is None


def test_a_child_that_cannot_be_started_is_due_again() -> None:
    missing = Child(
        "missing",
        ["/no/such/program"],
        environment={},
        fds=[],
        patience_s=1,
        hurry_signal=signal.SIGTERM,
    )
    missing.start()
    assert missing.pid is None
    assert missing.reap() is None


def test_exit_statuses_are_told_in_words() -> None:
    assert describe_exit(3) == "exit code 3"
    assert describe_exit(-9) == "killed by SIGKILL"
    assert describe_exit(-63) == "killed by signal 63"
