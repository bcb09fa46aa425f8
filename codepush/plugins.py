"""Finds storage plugins by entry point and picks one by the scheme of ``STORAGE_URL``."""

from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import cast

from codepush.domain.cdn import Cdn
from codepush.domain.storage import BlobStorage
from codepush.settings import SettingsError

GROUP = "codepush.storage"
_CDN_GROUP = "codepush.cdn"
_NONE: Mapping[str, str] = {}


def open_storage(
    url: str, secrets: Mapping[str, str] = _NONE, *, name: str = "STORAGE_URL"
) -> BlobStorage:
    """Return the storage that a URL names.

    Args:
        url: Begins with the scheme of a plugin.
        secrets: Settings that hold secrets of plugins, by name: ``Settings.storage_secrets``.
        name: What errors call the URL.

    Raises:
        SettingsError: No plugin has its scheme, the plugin lacks a package, or the plugin refuses
            the URL. The message does not repeat the URL, which may hold a key.
    """
    scheme = url.partition(":")[0]
    found = {point.name: point for point in entry_points(group=GROUP)}
    if scheme not in found:
        raise SettingsError(
            f"{name} begins with {scheme!r}, which no installed storage plugin knows;"
            f" installed are: {', '.join(sorted(found)) or 'none'}."
        )
    try:
        plugin = found[scheme].load()
    except ImportError as exc:
        raise SettingsError(
            f"{name} begins with {scheme!r}, but its plugin lacks a package ({exc})."
            f" {how_to_install(scheme)}"
        ) from exc
    try:
        return cast(BlobStorage, plugin.from_url(url, secrets))
    except ValueError as exc:
        raise SettingsError(f"{name} cannot be used: {exc}.") from exc


def how_to_install(extra: str) -> str:
    """Return a sentence on how to install what an extra of this package needs.

    This package is in no registry, so its name alone would not do.
    """
    return (
        f"Install the extra {extra!r} of this server into its environment, from the folder of its"
        f" source: pip install '.[{extra}]'."
    )


def open_cdn(url: str, token: str) -> Cdn:
    """Return the CDN that ``CDN_PURGE_URL`` names.

    Raises:
        SettingsError: No plugin has its scheme, or the plugin refuses the URL.
    """
    scheme = url.partition(":")[0]
    found = {point.name: point for point in entry_points(group=_CDN_GROUP)}
    if scheme not in found:
        raise SettingsError(
            f"CDN_PURGE_URL begins with {scheme!r}, which no installed plugin knows; installed are:"
            f" {', '.join(sorted(found)) or 'none'}."
        )
    try:
        return cast(Cdn, found[scheme].load().from_url(url, token))
    except ValueError as exc:
        raise SettingsError(f"CDN_PURGE_URL cannot be used: {exc}.") from exc
