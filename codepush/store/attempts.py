"""Attempts to log in, counted over the last minutes.

An attempt is counted before the password is checked, so that many at once cannot slip through, and
taken back where it succeeds. Its id makes both steps safe to run twice.
"""

from dataclasses import dataclass
from datetime import timedelta

from codepush.store import keys, written
from codepush.store.connection import StoreClient
from codepush.store.scripts import Scripts

KNOWN_FOR = timedelta(days=30)
"""How long a network is known after a login from it."""

_KNOWN_NETWORKS = 20


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to log in.

    Attributes:
        email: Whom it is about, registered or not.
        network: Where it comes from.
        is_known: Whether somebody logged in with this e-mail address from there lately.
    """

    id: str
    email: str
    network: str
    is_known: bool = False

    @property
    def account_key(self) -> str:
        """Where it counts for the e-mail address: those of known networks count apart."""
        return keys.attempts(self.email, self.network if self.is_known else "")

    @property
    def network_key(self) -> str:
        """Where it counts for the network."""
        return keys.attempts_from(self.network)


class AttemptStore:
    """Attempts on e-mail addresses and from networks."""

    def __init__(self, client: StoreClient, scripts: Scripts):
        """Use ``client`` for plain commands and ``scripts`` for the rest."""
        self._client = client
        self._scripts = scripts

    def reserve(
        self, attempt: Attempt, *, per_account: int, per_network: int, window: timedelta
    ) -> timedelta | None:
        """Count an attempt, unless too many are counted already.

        Args:
            attempt: The attempt.
            per_account: How many there may be on an e-mail address within the window.
            per_network: How many there may be from a network within the window.
            window: How long each is counted.

        Returns:
            None where it is counted, else how long to wait.
        """
        wait = self._reserve(attempt.account_key, attempt.id, per_account, window)
        if wait is None:
            wait = self._reserve(attempt.network_key, attempt.id, per_network, window)
            if wait is not None:
                self.take_back(attempt)
        return wait

    def take_back(self, attempt: Attempt) -> None:
        """Count an attempt no longer."""
        with written.aside():
            self._client.zrem(attempt.account_key, attempt.id)
            self._client.zrem(attempt.network_key, attempt.id)

    def is_known(self, email: str, network: str) -> bool:
        """Return whether somebody logged in with this e-mail address from there lately."""
        return self._client.zscore(keys.known_networks(email), network) is not None

    def note_network(self, email: str, network: str) -> None:
        """Remember that somebody did."""
        with written.aside():
            self._scripts.run(
                "note_network",
                [keys.known_networks(email)],
                [network, _milliseconds(KNOWN_FOR), _KNOWN_NETWORKS],
            )

    def _reserve(self, key: str, attempt: str, most: int, window: timedelta) -> timedelta | None:
        with written.aside():
            left_ms = self._scripts.run("attempt", [key], [attempt, most, _milliseconds(window)])
        return timedelta(milliseconds=left_ms) if left_ms else None


def _milliseconds(duration: timedelta) -> int:
    return duration // timedelta(milliseconds=1)
