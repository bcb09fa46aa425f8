"""What devices report of their installs."""

import hashlib
import re
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from codepush.domain.ids import DeploymentKey

_LABEL = re.compile(r"v([1-9][0-9]{0,8})")


class Outcome(IntEnum):
    """What became of a report."""

    UNKNOWN_LABEL = -1
    UNKNOWN_DEPLOYMENT = 0
    COUNTED = 1
    REPEATED = 2
    THERE_ALREADY = 3


class Happening(StrEnum):
    """What a device says has happened; spelled as counters are."""

    RUNS = "runs"
    DOWNLOADED = "downloaded"
    FAILED = "failed"
    LEAVES = "leaves"
    """It runs another deployment now."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a device reports; devices that say the same may share one.

    Attributes:
        label: Of the release it is about, or "" where the device runs its binary's own bundle.
        app_version: The device's binary version; "" in download reports, which lack it.
        previous_key: Key of the deployment that the device ran before, if it was another.
        fingerprint: Tells an identical report from a different one.
        reason: Why it failed, in the words of the device, or "".
    """

    happening: Happening
    key: DeploymentKey
    label: str = ""
    app_version: str = ""
    previous_key: DeploymentKey | None = None
    fingerprint: str = ""
    reason: str = ""

    @property
    def number(self) -> int | None:
        """The number behind the label; 0 where the label is none that was ever given."""
        return label_number(self.label) if self.label else None

    @property
    def place(self) -> str:
        """Where the device counts as active: its label or binary version."""
        return self.label or self.app_version

    def leaves(self, device: str, outcome: Outcome) -> DeploymentKey | None:
        """Return the key of the deployment that a device runs no more; None if there is none.

        Also when the report was counted before: the process may have died between the two steps.
        Only while the device is still here, since it may have gone back to the other one.

        Args:
            device: The digest of its id, or "".
            outcome: What became of the report.
        """
        if (
            self.previous_key is None
            or not device
            or self.happening is not Happening.RUNS
            or self.previous_key == self.key
            or outcome not in {Outcome.COUNTED, Outcome.THERE_ALREADY}
        ):
            return None
        return self.previous_key

    def leaving(self) -> "Report":
        """Return the report that leaves the previous deployment."""
        return Report(Happening.LEAVES, self.previous_key or self.key)


Told = tuple[Report, str]
"""What was reported, and the digest of the id of the device that did; "" from very old SDKs."""


def label_number(label: str) -> int:
    """Return 7 for ``v7``, and 0 for what is no label."""
    match = _LABEL.fullmatch(label)
    return int(match[1]) if match else 0


def device_digest(client_unique_id: str) -> str:
    """Return the digest of a device's id, "" for an unnamed one; ids themselves are not stored."""
    return digest(client_unique_id) if client_unique_id else ""


def digest(*parts: str) -> str:
    """Return 64 bits of a SHA-256 over ``parts``, in hex."""
    text = "\0".join(parts)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
