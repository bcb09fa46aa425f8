"""Runs the Lua files of ``store/lua``; each states its keys, arguments and result on top."""

from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Any

from codepush.store.connection import StoreClient


@cache
def _source(name: str) -> str:
    return files("codepush.store").joinpath("lua", f"{name}.lua").read_text("utf-8")


class Scripts:
    """The Lua scripts, bound to one client."""

    def __init__(self, client: StoreClient):
        """Bind to ``client``; scripts are loaded when first run, and again if Redis forgot them."""
        self._client = client
        self._loaded: dict[str, Any] = {}

    def run(self, name: str, keys: Iterable[str], args: Iterable[str | int] = ()) -> Any:
        """Run ``lua/<name>.lua`` and return its raw reply."""
        script = self._loaded.get(name)
        if script is None:
            script = self._loaded[name] = self._client.register_script(_source(name))
        return script(keys=list(keys), args=list(args))
