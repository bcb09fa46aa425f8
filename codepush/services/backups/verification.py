"""Looks whether all data is sound, and says what is not."""

from collections.abc import Callable, Iterable

from codepush.domain.storage import BlobStorage
from codepush.services.backups.app_look import AppLook
from codepush.services.backups.blobs import BlobLook, WantedBlobs
from codepush.services.backups.organization_look import OrganizationLook
from codepush.services.backups.references import UNREAD
from codepush.services.backups.remedies import Finding, remedy
from codepush.services.backups.soundness import sift
from codepush.services.backups.survey import OnGroup, Survey
from codepush.services.clock import Clock
from codepush.services.vault import Vault
from codepush.store.connection import StoreClient
from codepush.store.entries import Entry
from codepush.store.groups import GroupReader

OnBlob = Callable[[int, int], None]


class Verification:
    """One look at everything; collects findings."""

    def __init__(self, client: StoreClient, storage: BlobStorage, clock: Clock, vault: Vault):
        """Look at the store of ``client``, which takes any bytes for text, and at ``storage``.

        Args:
            client: Its commands take any bytes for text.
            storage: Of the packages.
            clock: Tells what has expired.
            vault: That the server would read secrets with.
        """
        self._vault = vault
        self._survey = Survey(GroupReader(client), clock)
        self._storage = storage
        self._findings: dict[str, list[Finding]] = {}
        self._apps: dict[str, tuple[WantedBlobs, set[str]]] = {}
        self.releases = 0
        self.blobs = 0
        self.untried_diffs = 0
        self._releases_of: dict[str, int] = {}

    def run(
        self, on_group: OnGroup = lambda _a, _b: None, on_blob: OnBlob = lambda _a, _b: None
    ) -> list[Finding]:
        """Look at all records, then read every blob that a release names.

        Raises:
            StorageError: The storage refuses.
        """
        unmet = self._survey.run(self, on_group)
        unread = {need.key for need in unmet if need.field == UNREAD}
        findings = [each for some in self._findings.values() for each in some]
        findings += [
            Finding(need.what, remedy(need))
            for need in unmet
            # What else is missing in a key that cannot be read follows from that.
            if need.field == UNREAD or need.key not in unread
        ]
        self.releases = sum(self._releases_of.values())
        return list(dict.fromkeys(findings)) + self._look_at_blobs(on_blob)

    def group(self, tag: str, entries: Iterable[Entry]) -> None:
        """Look at one group; see ``Survey``, which tells what in it cannot be read."""
        kind = tag.partition(":")[0]
        look: AppLook | OrganizationLook | None = None
        if kind == "a":
            look = AppLook(tag)
        elif kind == "o":
            look = OrganizationLook(tag, self._vault)
        for entry in entries:
            if look:
                readable, wrong = sift(entry)
                if wrong:
                    look.damaged(entry.key)
                if readable:
                    look.entry(readable)
        if look:
            self._findings[tag] = look.finish()
        if isinstance(look, AppLook):
            self._apps[tag] = look.wanted, look.listings
            self._releases_of[tag] = look.releases

    def _look_at_blobs(self, on_blob: OnBlob) -> list[Finding]:
        self.blobs = sum(len(wanted) for wanted, _ in self._apps.values())
        read = 0

        def note() -> None:
            nonlocal read
            read += 1
            on_blob(read, self.blobs)

        look = BlobLook(self._storage, note)
        remedy = (
            "Put it back with codepush restore FILE --blobs-only, from a backup with blobs, or"
            " release the package again."
        )
        found = [
            Finding(f"The blob {download.blob_key} of {why.who} {fault}.", remedy)
            for wanted, listings in self._apps.values()
            for download, why, fault in look.faults(wanted, sorted(listings))
        ]
        self.untried_diffs = look.untried
        return found
