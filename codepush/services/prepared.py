"""One deployment as devices see it, made of its stored releases; what did not change is kept."""

import time
from array import array
from collections.abc import Mapping
from dataclasses import replace

from codepush.domain.ids import AppId, DeploymentId, DeploymentKey, PackageHash
from codepush.domain.models import Download, Release
from codepush.domain.update_check import Candidates
from codepush.store.releases import Texts, decode_release

_NONE: Mapping[PackageHash, Download | None] = {}


class Mark:
    """Whether what was worked out of a deployment still holds: small, and so for memos to keep.

    Attributes:
        is_valid: Cleared when something else holds.
        is_used: Set by whoever answers from it; what is unused leaves.
    """

    __slots__ = ("address", "is_used", "is_valid")

    def __init__(self, app_id: AppId, deployment_id: DeploymentId):
        self.address = app_id, deployment_id
        self.is_valid = True
        self.is_used = True


class Prepared:
    """A deployment, ready to answer; not to be kept, since it holds a whole history."""

    __slots__ = ("_digests", "candidates", "key", "mark", "releases", "used_at", "version")

    def __init__(
        self,
        key: DeploymentKey,
        app_id: AppId,
        deployment_id: DeploymentId,
        texts: Texts,
        former: "Prepared | None" = None,
    ):
        """Make it of stored ``texts``.

        Args:
            key: Leads to it.
            app_id: Owner of the deployment.
            deployment_id: Its id.
            texts: Its releases as stored.
            former: The same deployment as it was; a release that is stored as it was then is
                taken from there. To decode all of 500 releases after each new one would take
                twenty times as long, and leave holes in memory that nothing fits into.
        """
        self.key = key
        self.mark = Mark(app_id, deployment_id)
        self.version = texts.version
        self.used_at = time.monotonic()
        known = former._known() if former else {}  # noqa: SLF001
        shared: dict[str, str] = {}
        releases, digests = [], array("q")
        for number in sorted(texts.by_number):
            text = texts.by_number[number]
            digest = hash(text)
            held, release = known.get(number, (None, None))
            if release is None or held != digest:
                release = _lean(decode_release(number, text, shared))
            else:
                for said in (release.app_version, release.description, release.package_hash):
                    shared.setdefault(said, said)
            releases.append(release)
            digests.append(digest)
        self.releases = tuple(releases)
        self._digests = digests
        self.candidates = Candidates(releases)

    @property
    def weight(self) -> int:
        """What it costs, in releases."""
        return len(self.releases) + 5

    def _known(self) -> dict[int, tuple[int, Release]]:
        pairs = zip(self._digests, self.releases, strict=True)
        return {release.number: (digest, release) for digest, release in pairs}


def _lean(release: Release) -> Release:
    """Return a release without what devices are not told; that is a third of its memory.

    The smallest form of its package stands for the uploaded one.
    """
    full = release.full
    return replace(
        release,
        id="",
        blob_key=full.blob_key,
        size=full.size,
        served=None,
        released_by="",
        uploaded_at_ms=0,
        original_label=None,
        original_deployment=None,
        diffs=release.diffs or _NONE,
    )
