"""Looks whether all data is sound, and says what is not."""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from codepush.domain.storage import BlobStorage
from codepush.services.backups.blobs import BlobLook, Wanted, WantedBlobs, listings_in
from codepush.services.backups.locked import is_locked, webhook_id
from codepush.services.backups.survey import OnGroup, Survey
from codepush.services.clock import Clock
from codepush.services.vault import Vault
from codepush.store import keys
from codepush.store.audit import chain_hash
from codepush.store.connection import StoreClient
from codepush.store.groups import Entry, GroupReader
from codepush.store.releases import decode_release

OnBlob = Callable[[int, int], None]

_LABEL = re.compile(r"v[0-9]+")


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not sound.

    Attributes:
        what: What is wrong, as a sentence.
        remedy: What would mend it, as a sentence.
    """

    what: str
    remedy: str


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
        findings = [each for some in self._findings.values() for each in some]
        findings += [
            Finding(
                need.what,
                "codepush repair enters it, unless another record holds it."
                if need.field not in {"", "unreadable"}
                else "Restore it from a backup.",
            )
            for need in unmet
        ]
        self.releases = sum(self._releases_of.values())
        return findings + self._look_at_blobs(on_blob)

    def group(self, tag: str, entries: Iterable[Entry]) -> None:
        """Look at one group; see ``Survey``."""
        kind = tag.partition(":")[0]
        look: _AppLook | _OrganizationLook | None = None
        if kind == "a":
            look = _AppLook(tag)
        elif kind == "o":
            look = _OrganizationLook(tag, self._vault)
        for entry in entries:
            if look:
                look.entry(entry)
        if look:
            self._findings[tag] = look.finish()
        if isinstance(look, _AppLook):
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


class _AppLook:
    """Looks at one app."""

    def __init__(self, tag: str):
        self.tag = tag
        self.wanted: WantedBlobs = {}
        self.listings: set[str] = set()
        self.releases = 0
        self._findings: list[Finding] = []
        self._has_app = False
        self._named: dict[str, str] = {}
        self._records: dict[str, dict[str, str]] = {}
        self._numbers: dict[str, set[int]] = {}
        self._counted: dict[str, Counter[str]] = {}
        self._active: dict[str, Counter[str]] = {}

    def entry(self, entry: Entry) -> None:
        """Look at one key, or a part of it."""
        place = keys.place(entry.key)
        if place is None:
            return
        pairs = zip(entry.items[::2], entry.items[1::2], strict=True)
        match place.name.split(":"):
            case ["app"]:
                self._has_app = True
            case ["packages" | "binaries" as kind]:
                for field, text in pairs:
                    if "|" not in field:  # else a diff
                        self.listings.update(listings_in(kind, text))
            case ["deployments"]:
                self._named |= {held: name for name, held in pairs}
            case ["d", deployment]:
                self._records[deployment] = dict(pairs)
            case ["d", deployment, "releases"]:
                for number, text in pairs:
                    self._release(deployment, number, text)
            case ["d", deployment, "counts"]:
                counted = self._counted.setdefault(deployment, Counter())
                for field, value in pairs:
                    at, _, counter = field.rpartition("|")
                    # Those of rare binary versions are given up where there are too many.
                    if counter == "active" and _LABEL.fullmatch(at):
                        counted[at] += max(0, int(value))
            case ["d", deployment, "devices"]:
                active = self._active.setdefault(deployment, Counter())
                active.update(text.partition("|")[0] for _, text in pairs)

    def finish(self) -> list[Finding]:
        """Return what is not sound."""
        if not self._has_app:
            # Its log stays for a while.
            if self._records or self._named:
                self._find("has deployments, but no record", "Restore the app from a backup.")
            return self._findings
        for deployment in self._named.keys() - self._records.keys():
            self._find(
                f"names a deployment {self._named[deployment]!r} that has no record",
                "Restore the app from a backup, or remove the deployment.",
            )
        for deployment, record in self._records.items():
            self._deployment(deployment, record)
        for deployment in self._numbers.keys() - self._records.keys():
            self._find(
                f"has releases of a deployment {deployment} that is gone", "They do no harm."
            )
        return self._findings

    def _deployment(self, deployment: str, record: dict[str, str]) -> None:
        name = record["name"]
        numbers = self._numbers.get(deployment, set())
        if self._named.get(deployment) != name:
            self._find(f"does not list its deployment {name!r}", "Restore the app from a backup.")
        latest = record["latest"]
        if (int(latest) if latest else None) != max(numbers, default=None):
            self._find(
                f"takes {latest or 'nothing'} for the newest release of {name!r}",
                "The next release there sets it right.",
            )
        if max(numbers, default=0) > int(record["label_seq"]):
            self._find(f"would give labels of {name!r} twice", "Restore the app from a backup.")
        found = self._active.get(deployment, Counter())
        active = Counter({at: count for at, count in found.items() if _LABEL.fullmatch(at)})
        if +self._counted.get(deployment, Counter()) != +active:
            self._find(
                f"counts other active devices of {name!r} than there are",
                "Clear the metrics of the deployment; devices report again.",
            )

    def _release(self, deployment: str, number: str, text: str) -> None:
        try:
            release = decode_release(int(number), text)
        except (ValueError, KeyError, TypeError) as exc:
            self._find(f"has a release v{number} that cannot be read ({exc!r})", "Restore it.")
            return
        self._numbers.setdefault(deployment, set()).add(release.number)
        self.releases += 1
        who = f"{release.label} of deployment {deployment} of app {self.tag[2:]}"
        self.wanted[release.full] = Wanted(who, release.package_hash)
        for base, diff in release.diffs.items():
            if diff:
                known = self.wanted.get(diff)
                pairs = {*(known.diffs if known else ()), (base, release.package_hash)}
                self.wanted[diff] = Wanted(who, "", tuple(sorted(pairs)))

    def _find(self, what: str, remedy: str) -> None:
        self._findings.append(Finding(f"The app {self.tag[2:]} {what}.", remedy))


class _OrganizationLook:
    """Looks at the audit chain and the webhooks of one organization."""

    def __init__(self, tag: str, vault: Vault):
        self.tag = tag
        self._vault = vault
        self._last: tuple[int, str] | None = None
        self._head: dict[str, str] = {}
        self._findings: list[Finding] = []

    def entry(self, entry: Entry) -> None:
        """Look at one key, or a part of it."""
        place = keys.place(entry.key)
        if place and (identity := webhook_id(place.name)):
            record = dict(zip(entry.items[::2], entry.items[1::2], strict=True))
            if is_locked(record, self._vault):
                self._locked(identity)
        elif place and place.name == "audit-head":
            self._head = dict(zip(entry.items[::2], entry.items[1::2], strict=True))
        elif place and place.name == "audit":
            for row_id, row in zip(entry.items[::2], entry.items[1::2], strict=True):
                self._row(
                    int(row_id.partition("-")[0]), dict(zip(row[::2], row[1::2], strict=True))
                )

    def finish(self) -> list[Finding]:
        """Return what is not sound."""
        if self._last and self._last != (int(self._head.get("seq", 0)), self._head.get("hash", "")):
            self._find("does not end where its head says")
        return self._findings

    def _row(self, number: int, row: dict[str, str]) -> None:
        if self._last:
            before, last_hash = self._last
            if number != before + 1:
                self._find(f"lacks entries after number {before}")
            elif row["h"] != chain_hash(last_hash, row["e"]):
                self._find(f"was changed at number {number}")
        self._last = number, row["h"]

    def _locked(self, identity: str) -> None:
        self._findings.append(
            Finding(
                f"The webhook {identity} of organization {self.tag[2:]} cannot be called: it was"
                " encrypted under another SECRET_KEY than is set here.",
                "Set the one that the server had, alone or behind a new one (new,old).",
            )
        )

    def _find(self, what: str) -> None:
        self._findings.append(
            Finding(
                f"The audit chain of organization {self.tag[2:]} {what}.",
                "Nothing mends it; compare it with a backup.",
            )
        )
