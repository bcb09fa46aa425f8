"""Jobs for tests of the worker; each leaves a trace in the store it came from."""

import time

from rq import get_current_job


def note(text: str) -> None:
    job = get_current_job()
    assert job
    job.connection.rpush("notes", text)


def failing_note(text: str) -> None:
    note(text)
    raise ValueError("on purpose")


def slow_note(text: str, seconds: float) -> None:
    note(f"{text} began")
    time.sleep(seconds)
    note(f"{text} ended")


def note_after(text: str, other: str) -> None:
    """End when somebody else has noted ``other``, or fail."""
    note(f"{text} began")
    job = get_current_job()
    assert job
    deadline = time.monotonic() + 30
    while other.encode() not in job.connection.lrange("notes", 0, -1):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    note(f"{text} ended")
