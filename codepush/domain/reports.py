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


@dataclass(frozen=True, slots=True)
class Report:
    """One report of one device.

    Attributes:
        label: Of the release it is about, or "" where the device runs its binary's own bundle.
        app_version: The device's binary version; "" in download reports, which lack it.
        client_unique_id: Who says so, or "" from very old SDKs.
        previous_key: Key of the deployment that the device ran before, if it was another.
        fingerprint: Tells an identical report from a different one.
        reason: Why it failed, in the words of the device, or "".
    """

    happening: Happening
    key: DeploymentKey
    label: str = ""
    app_version: str = ""
    client_unique_id: str = ""
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

    @property
    def device(self) -> str:
        """A digest of the device's id, "" for an unnamed one; ids themselves are not stored."""
        return digest(self.client_unique_id) if self.client_unique_id else ""

    def leaves(self, outcome: Outcome) -> DeploymentKey | None:
        """Return the key of the deployment that the device runs no more; None if there is none.

        Also when the report was counted before: the process may have died between the two steps.
        Only while the device is still here, since it may have gone back to the other one.
        """
        if (
            outcome not in {Outcome.COUNTED, Outcome.THERE_ALREADY}
            or self.happening is not Happening.RUNS
            or not self.client_unique_id
            or self.previous_key == self.key
        ):
            return None
        return self.previous_key


def label_number(label: str) -> int:
    """Return 7 for ``v7``, and 0 for what is no label."""
    match = _LABEL.fullmatch(label)
    return int(match[1]) if match else 0


def digest(*parts: str) -> str:
    """Return 64 bits of a SHA-256 over ``parts``, in hex."""
    text = "\0".join(parts)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
