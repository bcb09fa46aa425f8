"""What the clients of a soak share: where the server is, what was killed when, what went wrong."""

import threading
import time
from dataclasses import dataclass, field

STORE_S = 15.0
"""How long after a kill of the store a request may fail that needs it."""
WEB_S = 3.0
"""How long after a kill of a web process its connections may break."""


@dataclass(frozen=True)
class Failure:
    """A request that was not answered as asked; its sender sends it again."""

    kind: str
    what: str
    is_broken: bool
    at: float


@dataclass
class Ground:
    """One server, and the marks that a soak leaves on it."""

    url: str
    port: int
    headers: dict[str, str]
    is_over: threading.Event = field(default_factory=threading.Event)
    store_kills: list[float] = field(default_factory=list)
    web_kills: list[float] = field(default_factory=list)
    began_at: float = field(default_factory=time.monotonic)
    failures: list[Failure] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    pace: float = 1.0
    """Of the rates at the peak, what is sent."""

    def fail(self, kind: str, what: str, *, is_broken: bool) -> None:
        """Note a request that is sent again, and let the server breathe."""
        self.failures.append(Failure(kind, what, is_broken, time.monotonic()))
        time.sleep(0.05)

    def unexcused(self) -> list[Failure]:
        """Return failures that no kill explains.

        Checks are answered from memory: to them, a store that is away is no excuse.
        """
        return [each for each in self.failures if not self._is_excused(each)]

    def _is_excused(self, failure: Failure) -> bool:
        def soon_after(kills: list[float], patience_s: float) -> bool:
            return any(0 <= failure.at - kill <= patience_s for kill in kills)

        if failure.is_broken and soon_after(self.web_kills, WEB_S):
            return True
        return failure.kind != "check" and soon_after(self.store_kills, STORE_S)


class Sender(threading.Thread):
    """Does something again and again at a rate, until the soak is over."""

    def __init__(self, ground: Ground, name: str, rate: float) -> None:
        """Send ``rate`` times a second at the peak."""
        super().__init__(name=name, daemon=True)
        self.ground = ground
        self.sent = 0
        self.error: BaseException | None = None
        self._rate = rate

    def run(self) -> None:
        """Send; what was missed while the server was away is not made up for."""
        due = time.monotonic()
        try:
            while not self.ground.is_over.is_set():
                self.send()
                self.sent += 1
                due = max(due + 1 / (self._rate * self.ground.pace), time.monotonic() - 0.5)
                self.ground.is_over.wait(max(0.0, due - time.monotonic()))
        except BaseException as exc:  # noqa: BLE001 - told by ``finish``
            self.error = exc
        finally:
            self.close()

    def send(self) -> None:
        """Do it once, until the server has acknowledged it."""
        raise NotImplementedError

    def close(self) -> None:
        """Close what is open."""

    def finish(self) -> None:
        """Wait for the end; raise what went wrong."""
        self.join(60)
        assert not self.is_alive(), f"{self.name} hangs"
        if self.error is not None:
            raise self.error
