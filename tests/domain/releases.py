"""Releases for tests of the rules about them."""

from collections.abc import Mapping

from codepush.domain.ids import BlobKey, PackageHash
from codepush.domain.models import Download, Release, ReleaseMethod


def rel(
    number: int,
    app_version: str = "1.0.0",
    *,
    content: str | None = None,
    disabled: bool = False,
    mandatory: bool = False,
    rollout: int = 100,
    description: str = "",
    size: int = 2_000,
    served: Download | None = None,
    diffs: Mapping[PackageHash, Download | None] | None = None,
) -> Release:
    """An uploaded release; equal ``content`` means equal packages."""
    content = content or f"h{number}"
    return Release(
        id=f"id{number}",
        number=number,
        app_version=app_version,
        package_hash=PackageHash(content),
        blob_key=BlobKey(f"app/{content}"),
        size=size,
        uploaded_at_ms=number,
        released_by="alice@example.com",
        method=ReleaseMethod.UPLOAD,
        description=description,
        is_disabled=disabled,
        is_mandatory=mandatory,
        rollout=rollout,
        served=served,
        diffs=diffs or {},
    )
