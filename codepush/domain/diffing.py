"""Which earlier packages a release gets diffs against, and which download a device gets.

A *diff* holds what a device that has one package needs in order to have another. Its base is known
by its package hash, as devices say which package they have.
"""

from codepush.domain.ids import PackageHash
from codepush.domain.models import Download, History, Release
from codepush.domain.semver import Range, parse_range, parse_version

MAX_SHARE = 0.9
"""Of the full package's size, from which on a diff is not worth its steps."""

EAGER_BASES = 5
"""Newest compatible earlier releases for whose devices diffs are made unasked."""

MAX_DIFFS = 100
"""Bases for which a release may have a diff or a refusal: they are read with every history."""


def best_download(release: Release, package_hash: str) -> Download:
    """Return what a device should download for ``release``.

    Args:
        release: What it is to install.
        package_hash: Hash of the package it runs, or "".
    """
    full = release.full
    diff = release.diffs.get(PackageHash(package_hash)) if package_hash else None
    return diff if diff and diff.size < MAX_SHARE * full.size else full


def misses_diff(release: Release, package_hash: str) -> bool:
    """Tell whether it is unknown what a device with this package could have instead of all."""
    return bool(
        package_hash
        and package_hash != release.package_hash
        and package_hash not in release.diffs
        and len(release.diffs) < MAX_DIFFS
    )


def eager_bases(history: History, release: Release) -> tuple[PackageHash, ...]:
    """Return the packages of the newest earlier releases that fit the same binaries, newest first.

    Disabled ones too, since devices may run them.
    """
    binaries = parse_range(release.app_version)
    found: dict[PackageHash, None] = {}
    for earlier in reversed(history.releases):
        if (
            earlier.number < release.number
            and earlier.package_hash != release.package_hash
            and _are_compatible(binaries, parse_range(earlier.app_version))
        ):
            found[earlier.package_hash] = None
            if len(found) == EAGER_BASES:
                break
    return tuple(found)


def _are_compatible(new: Range, old: Range) -> bool:
    """Tell whether devices of one binary may have had both; as on the reference server."""
    if new.is_exact:
        return old.matches(parse_version(new.text))
    if old.is_exact:
        return new.matches(parse_version(old.text))
    return new.canonical == old.canonical
