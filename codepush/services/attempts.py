"""Bounds how often passwords can be guessed, without handing anybody a way to lock others out.

See docs/adr/0008-quotas.md.
"""

import math
from datetime import timedelta

from codepush.domain.addresses import UNKNOWN, client_network
from codepush.domain.errors import QuotaExceededError
from codepush.domain.ids import new_id
from codepush.store.attempts import Attempt
from codepush.store.stores import Stores

PER_ACCOUNT = 10
"""Failed attempts on one e-mail address within the window."""

PER_NETWORK = 30
"""Failed attempts from one client address within the window."""

WINDOW = timedelta(minutes=15)


class Attempts:
    """Counts failed attempts to prove oneself with a password."""

    def __init__(self, stores: Stores):
        """Use ``stores``."""
        self._stores = stores

    def begin(self, email: str, address: str) -> Attempt:
        """Count an attempt as failed until ``succeed`` is called with it.

        Whether the e-mail address is registered makes no difference.

        Args:
            email: Whom it is about.
            address: Where the request came from.

        Raises:
            QuotaExceededError: Too many failed lately; the password is not to be looked at.
        """
        network = client_network(address)
        attempts = self._stores.attempts
        known = network != UNKNOWN and attempts.is_known(email, network)
        attempt = Attempt(new_id(), email, network, known)
        wait = attempts.reserve(
            attempt, per_account=PER_ACCOUNT, per_network=PER_NETWORK, window=WINDOW
        )
        if wait is not None:
            raise QuotaExceededError(
                "Too many attempts to log in have failed. Please try again in"
                f" {math.ceil(wait / timedelta(minutes=1))} min. Access keys go on working"
                " meanwhile.",
                retry_after_s=math.ceil(wait.total_seconds()),
            )
        return attempt

    def succeed(self, attempt: Attempt) -> None:
        """Count an attempt no longer, and remember where it came from."""
        self._stores.attempts.take_back(attempt)
        self._stores.attempts.note_network(attempt.email, attempt.network)
