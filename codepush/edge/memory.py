"""Keeps what a process takes near to what it uses.

See ``docs/adr/0031-memory-of-processes.md``, also for what it gains.
"""

import ctypes
import gc
import re


def spare_the_collector() -> None:
    """Have garbage collections leave out what was made until now: modules live for ever.

    To look through them takes 50 ms, in which nobody is answered. And since Python waits with a
    full collection until there is a quarter more than that, garbage would spread in memory.
    """
    gc.freeze()
    gc.collect()  # of nearly nothing: from here on, its size is what Python compares with


def give_back() -> None:
    """Forget what nobody will need, and let the system have what is free; to be called at times."""
    # Each upload has patterns of its own, for its boundary; Python would keep 512 of them.
    re.purge()
    if _trim is not None:
        _trim(0)


_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
"""Of glibc; other allocators do it themselves."""
