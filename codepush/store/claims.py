"""Names that must be unique across slots: e-mails, deployment keys, app and organization names.

A script sees one slot, so a name and the record that bears it cannot be written in one step. The
name is *claimed* first, by the id of a record yet to come; then the record is committed, which is
when the thing comes to be. The commit is refused when the claim is older than ``COMMIT_WITHIN_MS``.
A claim whose record does not bear the name after ``TAKEOVER_AFTER_MS`` was left by a crash, and the
next claimant takes it over. So a crash at any instant leaves either the whole thing or a name that
frees itself, with nobody having to sweep.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from codepush.domain.errors import CodePushError, StoreUnavailableError
from codepush.store import written
from codepush.store.connection import StoreClient, is_full
from codepush.store.scripts import Scripts

COMMIT_WITHIN_MS = 15_000
TAKEOVER_AFTER_MS = 60_000
"""Far beyond the former, for servers of a cluster whose clocks disagree."""
NO_DEADLINE_MS = 2**53
"""For records that rest on no claim."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A name held for a record to come.

    As a context, it frees the name where the record is refused within it: by a rule, or by a store
    that is full. Only for owners that nobody else makes at the same time, which are new ones.

    Attributes:
        deadline_ms: Server time until which the record may be committed.
        free: Gives the name back, unless the owner's record bears it.
    """

    deadline_ms: int
    free: Callable[[], None] = field(repr=False, compare=False)

    def __enter__(self) -> "Claim":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> None:
        # Of other errors, it is not known whether the record was written.
        if isinstance(error, CodePushError) or is_full(error):
            self.free()


class Claims:
    """Takes and gives back names."""

    def __init__(self, client: StoreClient, scripts: Scripts):
        """Use ``client`` for reads and ``scripts`` for the rest."""
        self._client = client
        self._scripts = scripts

    def take(
        self, key: str, field: str, owner: str, *, bears: Callable[[str], bool]
    ) -> Claim | None:
        """Claim ``field`` of ``key`` for ``owner``.

        Args:
            key: Hash of claims.
            field: The name.
            owner: Id of the record to come. Claiming twice for one owner is harmless.
            bears: Tells whether the record of an id exists and bears the name.

        Returns:
            The claim, or None where another record bears the name or is about to.
        """
        stale = ""
        for _ in range(3):
            with written.aside():
                reply = self._scripts.run("claim", [key], [field, owner, stale, TAKEOVER_AFTER_MS])
            if reply[0] == 1:
                return Claim(
                    int(reply[1]) + COMMIT_WITHIN_MS, partial(self._free, key, field, owner, bears)
                )
            holder, age_ms = str(reply[1]), int(reply[2])
            if age_ms < TAKEOVER_AFTER_MS or bears(holder):
                return None
            stale = holder
        return None

    def holder(self, key: str, field: str) -> str | None:
        """Return who claims a name. The record of that id need not exist, or bear the name."""
        held = self._client.hget(key, field)
        return owner_in(str(held)) if held is not None else None

    def held(self, key: str, field: str, owner: str) -> str:
        """Return the claim of an owner as it stands, for ``give_back``; "" if it has none."""
        claim = self._client.hget(key, field) or ""
        return claim if owner_in(claim) == owner else ""

    def give_back(self, key: str, field: str, claim: str) -> None:
        """Free a name, unless it was claimed again since ``claim`` was read, by whomever."""
        if claim:
            with written.aside():
                self._scripts.run("release_claim", [key], [field, claim])

    def _free(self, key: str, field: str, owner: str, bears: Callable[[str], bool]) -> None:
        claim = self.held(key, field, owner)
        if not bears(owner):
            self.give_back(key, field, claim)


def owner_in(claim: str) -> str:
    """Return the owner named in a stored claim."""
    return claim.rpartition("|")[0]


def too_late(what: str) -> StoreUnavailableError:
    """Return the error for a commit that came after its claim's deadline."""
    return StoreUnavailableError(
        f"The server was too slow to create the {what}, and has not created it. Please try again."
    )
