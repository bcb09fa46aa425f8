"""Looks whether what an app holds fits together: its releases, labels and counts."""

import re
from collections import Counter

from codepush.services.backups.blobs import Wanted, WantedBlobs, listings_in
from codepush.services.backups.references import pairs
from codepush.services.backups.remedies import Finding
from codepush.store import keys
from codepush.store.entries import Entry
from codepush.store.releases import decode_release

_LABEL = re.compile(r"v[0-9]+")


class AppLook:
    """Looks at one app."""

    def __init__(self, tag: str):
        """Look at the app of a tag; nothing is seen of it yet."""
        self.tag = tag
        self.wanted: WantedBlobs = {}
        self.listings: set[str] = set()
        self.releases = 0
        self._findings: list[Finding] = []
        self._damaged: set[str] = set()
        self._records: dict[str, dict[str, str]] = {}
        self._numbers: dict[str, set[int]] = {}
        self._counted: dict[str, Counter[str]] = {}
        self._active: dict[str, Counter[str]] = {}

    def damaged(self, key: str) -> None:
        """Note that not all of a key could be read: nothing is concluded from what is left."""
        place = keys.place(key)
        self._damaged.add(place.name if place else "")

    def entry(self, entry: Entry) -> None:
        """Look at one key that can be read, or a part of it."""
        place = keys.place(entry.key)
        match place.name.split(":") if place else []:
            case ["packages" | "binaries" as kind]:
                for field, text in pairs(entry):
                    if "|" not in field:  # else a diff
                        self.listings.update(listings_in(kind, text))
            case ["d", deployment]:
                self._records[deployment] = dict(pairs(entry))
            case ["d", deployment, "releases"]:
                for number, text in pairs(entry):
                    self._release(deployment, number, text)
            case ["d", deployment, "counts"]:
                counted = self._counted.setdefault(deployment, Counter())
                for field, value in pairs(entry):
                    at, _, counter = field.rpartition("|")
                    # Those of rare binary versions are given up where there are too many.
                    if counter == "active" and _LABEL.fullmatch(at):
                        counted[at] += max(0, int(value))
            case ["d", deployment, "devices"]:
                active = self._active.setdefault(deployment, Counter())
                active.update(text.partition("|")[0] for _, text in pairs(entry))

    def finish(self) -> list[Finding]:
        """Return what is not sound."""
        for deployment, record in self._records.items():
            self._deployment(deployment, record)
        for deployment in self._numbers.keys() - self._records.keys():
            if f"d:{deployment}" not in self._damaged:
                self._find(
                    f"has releases of a deployment {deployment} that is gone", "They do no harm."
                )
        return self._findings

    def _deployment(self, deployment: str, record: dict[str, str]) -> None:
        name = record["name"]
        numbers = self._numbers.get(deployment, set())
        latest = record["latest"]
        if not self._is_damaged(deployment, "releases"):
            if (int(latest) if latest else None) != max(numbers, default=None):
                self._find(
                    f"takes {latest or 'nothing'} for the newest release of {name!r}",
                    "The next release there sets it right. If releases are gone, restore the app"
                    " from a backup.",
                )
            if max(numbers, default=0) > int(record["label_seq"]):
                self._find(f"would give labels of {name!r} twice", "Restore the app from a backup.")
        if self._is_damaged(deployment, "counts", "devices"):
            return
        found = self._active.get(deployment, Counter())
        active = Counter({at: count for at, count in found.items() if _LABEL.fullmatch(at)})
        if +self._counted.get(deployment, Counter()) != +active:
            self._find(
                f"counts other active devices of {name!r} than there are",
                "Clear the metrics of the deployment; devices report again.",
            )

    def _is_damaged(self, deployment: str, *names: str) -> bool:
        return any(f"d:{deployment}:{name}" in self._damaged for name in names)

    def _release(self, deployment: str, number: str, text: str) -> None:
        release = decode_release(int(number), text)
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
