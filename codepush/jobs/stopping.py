"""Tells a job that its worker was asked to stop, across the fork that does the job."""

import mmap

_asked = mmap.mmap(-1, 1)


def ask() -> None:
    """Ask the job at hand, and each one after it, to come to an end; to be called in a worker."""
    _asked[0] = 1


def is_asked() -> bool:
    """Return whether the worker was asked to stop; to be called in a job."""
    return _asked[0] == 1
