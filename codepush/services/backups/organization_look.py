"""Looks whether the audit chain of an organization is whole, and its webhooks can be called."""

from codepush.services.backups.locked import is_locked, webhook_id
from codepush.services.backups.references import pairs
from codepush.services.backups.remedies import Finding
from codepush.services.vault import Vault
from codepush.store import keys
from codepush.store.audit import chain_hash
from codepush.store.entries import Entry


class OrganizationLook:
    """Looks at the audit chain and the webhooks of one organization."""

    def __init__(self, tag: str, vault: Vault):
        """Look at the organization of a tag, with the keys of ``vault``; nothing is seen yet."""
        self.tag = tag
        self._vault = vault
        self._first: tuple[int, dict[str, str]] | None = None
        self._last: tuple[int, str] | None = None
        self._head: dict[str, str] = {}
        self._is_damaged = False
        self._findings: list[Finding] = []

    def damaged(self, key: str) -> None:
        """Note that not all of a key could be read: nothing is concluded from what is left."""
        place = keys.place(key)
        if place and place.name in {"audit", "audit-head"}:
            self._is_damaged = True

    def entry(self, entry: Entry) -> None:
        """Look at one key that can be read, or a part of it."""
        place = keys.place(entry.key)
        if place and (identity := webhook_id(place.name)):
            if is_locked(dict(pairs(entry)), self._vault):
                self._locked(identity)
        elif place and place.name == "audit-head":
            self._head |= dict(pairs(entry))
        elif place and place.name == "audit":
            for row_id, row in pairs(entry):
                number = int(row_id.partition("-")[0])
                self._row(number, dict(zip(row[::2], row[1::2], strict=True)))

    def finish(self) -> list[Finding]:
        """Return what is not sound."""
        if self._is_damaged:
            return self._findings
        base, base_hash = int(self._head.get("base") or 0), self._head.get("base_hash") or ""
        if self._first:
            number, row = self._first
            if number != base + 1:
                self._find(f"lacks entries after number {base}")
            elif row["h"] != chain_hash(base_hash, row["e"]):
                self._find(f"was changed at number {number}")
        head = int(self._head.get("seq") or 0), self._head.get("hash") or ""
        if (self._last or (base, base_hash)) != head:
            self._find("does not end where its head says")
        return self._findings

    def _row(self, number: int, row: dict[str, str]) -> None:
        if self._last:
            before, last_hash = self._last
            if number != before + 1:
                self._find(f"lacks entries after number {before}")
            elif row["h"] != chain_hash(last_hash, row["e"]):
                self._find(f"was changed at number {number}")
        else:
            self._first = number, row
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
