"""Whether the request at hand wrote anything, which a refusal in its middle must admit.

An operation may take several steps, in several slots of a cluster, and each may be refused by
itself: by a master that is full, while the others are not.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import redis
from redis.client import Pipeline

_WRITES = frozenset(
    {"set", "hset", "sadd", "zadd", "xadd", "delete", "del", "hdel", "srem", "zrem", "evalsha"}
)
"""Commands that ``StoreClient`` has for writing. A script is one, whatever it does."""

FULL = "The server's store is full and takes no changes; what you asked for was not done."
FULL_MIDWAY = (
    "The server's store is full and refused in the middle of what you asked for; check whether it"
    " happened before you try again."
)

_written: ContextVar[bool] = ContextVar("written", default=False)
_is_aside: ContextVar[bool] = ContextVar("is_aside", default=False)


def begin() -> None:
    """Begin a request, which wrote nothing yet."""
    _written.set(False)


def anything() -> bool:
    """Return whether something was written since ``begin``, in this thread."""
    return _written.get()


@contextmanager
def aside() -> Iterator[None]:
    """Within it, writes are none: nobody believes them without the record that they are for.

    Claims of names, indices, and attempts to log in.
    """
    token = _is_aside.set(True)
    try:
        yield
    finally:
        _is_aside.reset(token)


def note(commands: Iterable[str]) -> None:
    """Note commands that succeeded, by their names."""
    if not _is_aside.get() and any(name.lower() in _WRITES for name in commands):
        _written.set(True)


class NotingClient(redis.Redis):
    """redis-py's client of a server, which notes what it wrote."""

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Run a command, as redis-py does."""
        reply = super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
        note([str(args[0])])
        return reply

    def pipeline(self, transaction: bool = True, shard_hint: Any = None) -> Pipeline:
        """Return a batch of commands, as redis-py does."""
        return _NotingPipeline(
            self.connection_pool, self.response_callbacks, transaction, shard_hint
        )


class _NotingPipeline(Pipeline):
    def execute(self, raise_on_error: bool = True) -> list[Any]:
        names = [str(args[0]) for args, _ in self.command_stack]
        replies = super().execute(raise_on_error)
        note(names)
        return replies
