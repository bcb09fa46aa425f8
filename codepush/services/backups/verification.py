"""Looks whether all data is sound, and says what is not."""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import BinaryIO

from codepush.domain.errors import InvalidParameterError, NotFoundError
from codepush.domain.ids import BlobKey
from codepush.domain.models import Download
from codepush.domain.storage import BlobStorage, content_sha256
from codepush.services.backups.survey import OnGroup, Survey
from codepush.services.clock import Clock
from codepush.services.packages import examine
from codepush.store import keys
from codepush.store.audit import chain_hash
from codepush.store.connection import StoreClient
from codepush.store.groups import Entry, GroupReader
from codepush.store.releases import decode_release

OnBlob = Callable[[int, int], None]

_CHUNK_BYTES = 1 << 20
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


@dataclass(frozen=True, slots=True)
class Wanted:
    """Why a blob must be there.

    Attributes:
        who: The release, for people.
        package_hash: Of what must be in it; "" for a diff.
    """

    who: str
    package_hash: str


class Verification:
    """One look at everything; collects findings."""

    def __init__(self, client: StoreClient, storage: BlobStorage, clock: Clock):
        """Look at the store of ``client``, which takes any bytes for text, and at ``storage``."""
        self._survey = Survey(GroupReader(client), clock)
        self._storage = storage
        self._findings: dict[str, list[Finding]] = {}
        self._wanted: dict[str, dict[Download, Wanted]] = {}
        self.releases = 0
        self.blobs = 0
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
        look = _AppLook(tag) if kind == "a" else _ChainLook(tag) if kind == "o" else None
        for entry in entries:
            if look:
                look.entry(entry)
        if look:
            self._findings[tag] = look.finish()
        if isinstance(look, _AppLook):
            self._wanted[tag] = look.wanted
            self._releases_of[tag] = look.releases

    def _look_at_blobs(self, on_blob: OnBlob) -> list[Finding]:
        wanted = {blob: who for some in self._wanted.values() for blob, who in some.items()}
        self.blobs = len(wanted)
        found: list[Finding] = []
        for done, (download, by) in enumerate(sorted(wanted.items(), key=_by_key), 1):
            fault = self._fault(download, by.package_hash)
            if fault:
                remedy = "Restore it from a backup with blobs, or release the package again."
                found.append(Finding(f"The blob {download.blob_key} of {by.who} {fault}.", remedy))
            on_blob(done, len(wanted))
        return found

    def _fault(self, download: Download, package_hash: str) -> str:
        digest, size = hashlib.sha256(), 0
        with TemporaryFile() as copy:
            try:
                with self._storage.open(BlobKey(download.blob_key)) as file:
                    while chunk := file.read(_CHUNK_BYTES):
                        digest.update(chunk)
                        size += len(chunk)
                        copy.write(chunk)
            except NotFoundError:
                return "is missing"
            if size != download.size:
                return f"has {size} bytes in place of {download.size}"
            if content_sha256(download.blob_key) not in {None, digest.hexdigest()}:
                return "has another SHA-256 than its name says"
            copy.seek(0)
            if package_hash and _hash_of(copy) != package_hash:
                return "has another package hash than the release says"
        return ""


def _hash_of(package: BinaryIO) -> str:
    try:
        return examine(package).hash
    except InvalidParameterError:
        return ""


def _by_key(item: tuple[Download, Wanted]) -> str:
    return item[0].blob_key


class _AppLook:
    """Looks at one app."""

    def __init__(self, tag: str):
        self.tag = tag
        self.wanted: dict[Download, Wanted] = {}
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
        for diff in release.diffs.values():
            if diff:
                self.wanted.setdefault(diff, Wanted(who, ""))

    def _find(self, what: str, remedy: str) -> None:
        self._findings.append(Finding(f"The app {self.tag[2:]} {what}.", remedy))


class _ChainLook:
    """Looks at the audit chain of one organization."""

    def __init__(self, tag: str):
        self.tag = tag
        self._last: tuple[int, str] | None = None
        self._head: dict[str, str] = {}
        self._findings: list[Finding] = []

    def entry(self, entry: Entry) -> None:
        """Look at one key, or a part of it."""
        place = keys.place(entry.key)
        if place and place.name == "audit-head":
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

    def _find(self, what: str) -> None:
        self._findings.append(
            Finding(
                f"The audit chain of organization {self.tag[2:]} {what}.",
                "Nothing mends it; compare it with a backup.",
            )
        )
