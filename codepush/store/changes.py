"""How processes learn that a deployment changed: from Redis, and from themselves at once.

A script that changes what devices are told publishes on a channel named like the deployment's key:
its new version, or 0 where it is gone. In a cluster, publishing reaches every node.
"""

import contextlib
import logging
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any, Protocol

import redis

from codepush.domain.ids import AppId, DeploymentId
from codepush.store import keys
from codepush.store.connection import StoreClient, impatient

log = logging.getLogger("codepush.store")

POLL_S = 1.0
"""How often a listener looks for itself, in case that a message was lost."""
_TIMEOUT_S = 2.0
_FIRST_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 0.3
_WARN_EVERY_S = 60.0

Told = Callable[[AppId, DeploymentId, int], None]


class Changes:
    """Changes that this process commits, told to this process before the commit returns."""

    def __init__(self) -> None:
        """Nobody listens yet."""
        self._listeners: list[Told] = []

    def listen(self, listener: Told) -> None:
        """Call ``listener`` with app, deployment and new version.

        That is 0 where the deployment is gone, and -1 where another version may have come to be.
        """
        self._listeners.append(listener)

    def tell(self, app_id: AppId, deployment_id: DeploymentId, version: int) -> None:
        """Tell that a deployment has a new version, or is gone."""
        for listener in self._listeners:
            listener(app_id, deployment_id, version)


class Listener(Protocol):
    """Whom a feed tells; called from the feed's thread."""

    def connected(self, client: StoreClient) -> None:
        """Messages arrive from now on; there may have been others before."""

    def lost(self) -> None:
        """Redis is away, until ``connected`` is called again."""

    def changed(self, deployment_id: DeploymentId, version: int) -> None:
        """A deployment has a new version; 0: it is gone."""

    def poll(self, client: StoreClient) -> None:
        """About once a second; Redis errors count as a loss."""


class ChangeFeed:
    """A thread of this process that follows the changes of all processes.

    It ends when its listener does, and asks over connections of its own, which do not try again
    by themselves: the listener learns of each loss.
    """

    def __init__(self, client: StoreClient, listener: Listener):
        """Follow the Redis of ``client``; nothing is started yet."""
        self._client = impatient(client, _TIMEOUT_S)
        self._listener = weakref.ref(listener)
        self._stopped = threading.Event()
        self._lost_at: float | None = None
        self._warned_at = 0.0

    def start(self) -> None:
        """Begin, in a thread that does not keep the process alive."""
        threading.Thread(target=self._run, name="changes", daemon=True).start()

    def stop(self) -> None:
        """End within about a second."""
        self._stopped.set()

    def _run(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while self._listener() is not None and not self._stopped.is_set():
            began = time.monotonic()
            try:
                self._follow()
            except redis.RedisError as exc:
                listener = self._listener()
                if listener is not None:
                    listener.lost()
                del listener
                self._warn(exc)
                if time.monotonic() - began > _LONGEST_PAUSE_S:
                    pause_s = _FIRST_PAUSE_S
                self._stopped.wait(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            except Exception:  # a fault of ours must not end the feed for good
                log.exception("the feed of changes failed; starting it again")
                self._stopped.wait(_LONGEST_PAUSE_S)
        self._client.close()

    def _warn(self, exc: Exception) -> None:
        """Log that the store is away: once, and again each minute for as long as that lasts."""
        now = time.monotonic()
        if self._lost_at is None:
            self._lost_at = now
        elif now - self._warned_at < _WARN_EVERY_S:
            return
        self._warned_at = now
        log.warning("the store is away (%s); answering from memory", exc)

    def _follow(self) -> None:
        with contextlib.closing(self._client.pubsub()) as subscription:
            subscription.psubscribe(keys.EVERY_DEPLOYMENT)
            poll_at = time.monotonic() + POLL_S
            while not self._stopped.is_set():
                left_s = max(0.0, poll_at - time.monotonic())
                message = subscription.get_message(timeout=left_s)
                listener = self._listener()
                if listener is None:
                    return
                if message is not None:
                    self._pass_on(message, listener)
                if time.monotonic() >= poll_at:
                    listener.poll(self._client)
                    poll_at = time.monotonic() + POLL_S
                del listener

    def _pass_on(self, message: dict[str, Any], listener: Listener) -> None:
        if message["type"] == "psubscribe":
            listener.connected(self._client)
            if self._lost_at is not None:
                log.warning("the store is back, after %.0f s", time.monotonic() - self._lost_at)
                self._lost_at = None
        elif message["type"] == "pmessage":
            listener.changed(keys.deployment_of(message["channel"]), int(message["data"]))
