"""Looks through all data while the server works, and sees every group as of one moment.

Groups are read one after the other, so what one needs of another may have come or gone in between.
After all are read, those that do not fit each other are read again until they do.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from codepush.services.backups.ledger import Ledger
from codepush.services.backups.needs import needs_of
from codepush.services.backups.references import UNREAD, Held, Need, held_in
from codepush.services.backups.soundness import sift
from codepush.services.clock import Clock
from codepush.store import keys
from codepush.store.damage import UNREADABLE
from codepush.store.entries import Entry
from codepush.store.groups import GroupReader
from codepush.store.large_groups import GroupChangedError
from codepush.store.scanning import StoreMovedError

_ROUNDS = 300
_FAULT_ROUNDS = 12
"""Needs that stay unmet for so many rounds are faults of the data, not changes under way."""
_HASTY_ROUNDS = 6
"""Read at once, to be faster than the next change; later ones wait for a change to end."""
_PAUSE_S = 0.1
_READS = 20
"""Of one group, if the store is restarted, or the group changes, during each."""

OnGroup = Callable[[int, int], None]
"""Told how many groups are read, and how many there are."""


class Reader(Protocol):
    """Whom a survey shows the groups."""

    def group(self, tag: str, entries: Iterable[Entry]) -> None:
        """Take a group, whole; it takes the place of what was shown of it before."""


class Survey:
    """One look through all data."""

    def __init__(self, groups: GroupReader, clock: Clock):
        """Read with ``groups``."""
        self._groups = groups
        self._clock = clock
        self._ledger = Ledger()

    def run(self, reader: Reader, on_group: OnGroup = lambda _done, _all: None) -> list[Need]:
        """Show ``reader`` every group, some of them again.

        Raises:
            StoreMovedError: The store was restarted again and again.
            GroupChangedError: A group that the store has no room to copy kept changing.

        Returns:
            What groups need that is not there, though nobody is changing it.
        """
        try:
            for key in self._groups.find():
                self._note(key)
            tags = self._ledger.tags()
            for done, tag in enumerate(tags, 1):
                self._read(tag, reader)
                on_group(done, len(tags))
            return self._settle(reader)
        finally:
            self._ledger.close()

    def _settle(self, reader: Reader) -> list[Need]:
        lasting: dict[Need, int] = {}
        for _ in range(_ROUNDS):
            unmet = list(self._ledger.unmet())
            lasting = {need: lasting.get(need, 0) + 1 for need in unmet}
            doubtful = [need for need in unmet if lasting[need] <= _FAULT_ROUNDS]
            if not doubtful:
                break
            if max(lasting.values()) > _HASTY_ROUNDS:
                time.sleep(_PAUSE_S)
            others = [self._note(need.key) for need in doubtful]
            # First who needs, then what is needed: as at first, and for the same reason.
            for tag in dict.fromkeys([*(need.tag for need in doubtful), *others]):
                self._read(tag, reader)
        return list(lasting)

    def _note(self, key: str) -> str:
        """Note that there may be a key; return the tag of its group."""
        place = keys.place(key)
        assert place is not None  # noqa: S101 - counters of quotas are never asked for
        self._ledger.note_key(place.kind, place.tag, key)
        return place.tag

    def _read(self, tag: str, reader: Reader) -> None:
        failed: Exception = StoreMovedError()
        for _ in range(_READS):
            entries = self._groups.read(tag, self._ledger.keys_of(tag))
            self._ledger.forget(tag)
            try:
                reader.group(tag, self._noted(tag, entries))
            except (StoreMovedError, GroupChangedError) as exc:
                failed = exc
            else:
                return
        raise failed

    def _noted(self, tag: str, entries: Iterator[Entry]) -> Iterator[Entry]:
        now_ms = self._clock()
        for entry in entries:
            readable, wrong = sift(entry)
            held: list[Held] = []
            needs: list[Need] = []
            if readable:
                try:
                    needs = list(needs_of(readable, now_ms))
                    held = list(held_in(readable))
                except UNREADABLE as exc:
                    wrong = [*wrong, f"The record {entry.key} cannot be read: {exc}."]
            # Nothing ever meets these, so they are told as faults; the entry is kept.
            needs += [Need(tag, entry.key, UNREAD, "", "", what) for what in wrong]
            self._ledger.note(tag, needs, held)
            yield entry
