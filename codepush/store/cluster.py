"""A client of a cluster, as patient as that of a single server.

redis-py's own connects when it is made, tries again without a pause, and raises errors outside of
its own family. This one connects when it is first used, waits between its tries, and raises
``redis.RedisError`` only.
"""

from collections.abc import Callable
from threading import Lock
from typing import Any, TypeVar

import redis
from redis._parsers import Encoder
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.commands.core import Script
from redis.exceptions import (
    ClusterDownError,
    CrossSlotTransactionError,
    RedisClusterException,
)
from redis.retry import Retry

from codepush.domain.store_urls import StoreUrl
from codepush.store import written

T = TypeVar("T")

PASSING = (redis.ConnectionError, ClusterDownError)
"""Errors after which another try may help: a node restarts, or another takes its place."""


class ClusterClient:
    """All commands of redis-py's client, by their names."""

    def __init__(self, url: StoreUrl, patience: Retry, options: dict[str, Any]):
        """Name the cluster; nothing is connected yet.

        Args:
            url: Of the cluster.
            patience: How often a command is tried, and with which pauses.
            options: For each connection, as redis-py has them.
        """
        self._url = url
        self._patience = patience
        self._options = options
        self._made: RedisCluster | None = None
        self._lock = Lock()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_"):
            raise AttributeError(name)

        def command(*args: Any, **kwargs: Any) -> Any:
            reply = self.patiently(lambda client: getattr(client, name)(*args, **kwargs))
            written.note([name])
            return reply

        return command

    def sibling(self, patience: Retry, options: dict[str, Any]) -> "ClusterClient":
        """Return another client of the same cluster, with some options changed."""
        return ClusterClient(self._url, patience, self._options | options)

    def pipeline(self, transaction: bool = True) -> "Batch":
        """Return a batch of commands; those of a transaction must be in one slot."""
        return Batch(self, transaction=transaction)

    def register_script(self, script: str) -> Script:
        """Return a script to run; it is sent to the nodes when they turn out not to have it."""
        return Script(self, script)  # type: ignore[arg-type] # it wants the commands only

    def get_encoder(self) -> Any:
        """Return what turns text into bytes; scripts ask for it before anything is connected."""
        return Encoder("utf-8", "strict", decode_responses=True)  # type: ignore[no-untyped-call]

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            made, self._made = self._made, None
        if made is not None:
            made.close()

    def patiently(self, use: Callable[[RedisCluster], T]) -> T:
        """Return what ``use`` returns for redis-py's client, trying again where that may help.

        Raises:
            redis.RedisError: It does not help.
        """
        return self._patience.call_with_retry(lambda: self._try(use), lambda _error: None)

    def _try(self, use: Callable[[RedisCluster], T]) -> T:
        try:
            return use(self._connected())
        except CrossSlotTransactionError:
            raise
        except RedisClusterException as exc:
            # It knows no node that answers: begin anew with those of the URL.
            self.close()
            raise redis.ConnectionError(f"the cluster does not answer: {exc}") from exc

    def _connected(self) -> RedisCluster:
        with self._lock:
            if self._made is None:
                others = [
                    ClusterNode(host, port)  # type: ignore[no-untyped-call]
                    for host, port in self._url.hosts[1:]
                ]
                self._made = RedisCluster(
                    url=self._url.server,
                    startup_nodes=others,
                    # Pauses between tries are ours; it shall only look at the nodes anew.
                    retry=Retry(NoBackoff(), 1),
                    **self._options,
                )
            return self._made


class Batch:
    """Commands that are sent together; each gives its reply in ``execute``."""

    def __init__(self, client: ClusterClient, *, transaction: bool):
        """Begin an empty batch."""
        self._client = client
        self._transaction = transaction
        self._commands: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Callable[..., "Batch"]:
        if name.startswith("_"):
            raise AttributeError(name)

        def add(*args: Any, **kwargs: Any) -> "Batch":
            self._commands.append((name, args, kwargs))
            return self

        return add

    def execute(self) -> list[Any]:
        """Send the commands, and begin anew with none; return their replies in order."""
        commands, self._commands = self._commands, []

        def send(client: RedisCluster) -> list[Any]:
            pipe: Any = client.pipeline(  # type: ignore[no-untyped-call]
                transaction=self._transaction
            )
            for name, args, kwargs in commands:
                getattr(pipe, name)(*args, **kwargs)
            try:
                return list(pipe.execute())
            except PASSING:
                # A transaction goes on asking the node that it knows, even when that is dead.
                self._client.close()
                raise

        replies = self._client.patiently(send)
        written.note(name for name, _, _ in commands)
        return replies
