"""Runs the Lua files of ``store/lua``; each states its keys, arguments and result on top."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import redis

from codepush.store.connection import StoreClient


@cache
def _sources() -> dict[str, str]:
    folder = files("codepush.store").joinpath("lua")
    return {
        file.name.removesuffix(".lua"): file.read_text("utf-8")
        for file in folder.iterdir()
        if file.name.endswith(".lua")
    }


@dataclass(frozen=True, slots=True)
class Call:
    """A script by its name, and what it is run with.

    Attributes:
        keys: Of one slot.
    """

    name: str
    keys: Sequence[str]
    args: Sequence[str | int | bytes]


class Scripts:
    """The Lua scripts, bound to one client."""

    def __init__(self, client: StoreClient):
        """Bind to ``client``.

        All files are read now, so that a server whose files are replaced goes on with its own.
        """
        self._scripts = {
            name: client.register_script(source) for name, source in _sources().items()
        }

    def run(self, name: str, keys: Iterable[str], args: Iterable[str | int | bytes] = ()) -> Any:
        """Run ``lua/<name>.lua`` and return its raw reply.

        Raises:
            redis.ConnectionError: Also if the store was replaced between being told the script and
                being asked to run it, as one does that ends and starts again on a full disk.
        """
        try:
            return self._scripts[name](keys=list(keys), args=list(args))
        except redis.exceptions.NoScriptError as exc:
            raise redis.ConnectionError("the store was restarted while it was asked") from exc

    def call(self, call: Call) -> Any:
        """Run a script and return its raw reply."""
        return self.run(call.name, call.keys, call.args)

    def command(self, call: Call) -> tuple[str | int | bytes, ...]:
        """Return the command that runs a script, should Redis remember it."""
        digest = self._scripts[call.name].sha
        return "EVALSHA", digest, len(call.keys), *call.keys, *call.args
