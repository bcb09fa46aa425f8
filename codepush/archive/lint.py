"""What devices take, but somebody probably did not mean; said as warnings."""

from collections.abc import Callable
from typing import BinaryIO

from codepush.archive.contents import head_of
from codepush.archive.models import Inspection, PackedFile

HERMES_MAGIC = 0x1F1903C103BC1FC6
"""First 8 bytes of Hermes bytecode, little-endian; the version follows in 4."""

_HEAD_BYTES = 12


def _is_web_page(name: str) -> bool:
    return name == "index.html"


def _is_android_bundle(name: str) -> bool:
    return name.endswith(".bundle") and not name.endswith(".ios.bundle")


def _is_ios_bundle(name: str) -> bool:
    return name.endswith((".jsbundle", ".ios.bundle"))


def _is_windows_bundle(name: str) -> bool:
    return name.endswith(".bundle") and not name.endswith((".ios.bundle", ".android.bundle"))


_NATIVE: dict[str, tuple[Callable[[str], bool], str]] = {
    "android": (_is_android_bundle, "index.android.bundle"),
    "ios": (_is_ios_bundle, "main.jsbundle"),
    "windows": (_is_windows_bundle, "index.windows.bundle"),
}
_WEB = {"cordova", "capacitor", "ionic"}


def bundle_warnings(package: Inspection, os: str | None, platform: str | None) -> tuple[str, ...]:
    """Return a warning where no file looks like the bundle that devices will look for.

    Args:
        package: From the gate.
        os: Operating system of the app, in any case, e.g. ``iOS``; None where unknown.
        platform: Framework of the app, in any case, e.g. ``React-Native``; None where unknown.
    """
    if not package.is_archive or _bundles(package, os, platform):
        return ()
    if (platform or "").casefold() in _WEB:
        expected = "index.html"
    elif (os or "").casefold() in _NATIVE:
        expected = _NATIVE[(os or "").casefold()][1]
    else:
        expected = "index.android.bundle, main.jsbundle or index.html"
    kind = f" for {os}" if os else ""
    warning = (
        f"The package has no file that looks like a bundle{kind}, such as {expected}; devices"
        " would not find anything to run in it."
    )
    return (warning,)


def hermes_version(package: Inspection) -> int | None:
    """Return the version of Hermes bytecode in a package, or None where its bundle is none.

    Args:
        package: From the gate; of several bundles the largest counts.
    """
    if not package.is_archive:
        return _version_of(_head_of_single_file(package.file))
    bundles = _bundles(package, None, "react-native")
    if not bundles:
        return None
    return _version_of(head_of(package, max(bundles, key=lambda file: file.size), _HEAD_BYTES))


def hermes_warnings(previous: int | None, current: int | None) -> tuple[str, ...]:
    """Return a warning where two releases have bytecode of different versions.

    A binary runs one version only, that of its own Hermes.

    Args:
        previous: Of the release before, or None where it has no bytecode or is not known.
        current: Of this one.
    """
    if previous is None or current is None or previous == current:
        return ()
    warning = (
        f"The bundle is Hermes bytecode of version {current}, and the release before it has"
        f" version {previous}. An app runs only the version of the Hermes it was built with; if"
        " it was not rebuilt, build the bundle with the same version of React Native."
    )
    return (warning,)


def _bundles(package: Inspection, os: str | None, platform: str | None) -> list[PackedFile]:
    os, platform = (os or "").casefold(), (platform or "").casefold()
    if platform in _WEB:
        kinds: list[Callable[[str], bool]] = [_is_web_page]
    elif os in _NATIVE:
        kinds = [_NATIVE[os][0]]
    else:
        kinds = [kind for kind, _ in _NATIVE.values()]
        if platform != "react-native":
            kinds.append(_is_web_page)
    return [
        file for file in package.files if any(kind(file.path.rpartition("/")[2]) for kind in kinds)
    ]


def _version_of(head: bytes) -> int | None:
    if len(head) < _HEAD_BYTES or int.from_bytes(head[:8], "little") != HERMES_MAGIC:
        return None
    return int.from_bytes(head[8:12], "little")


def _head_of_single_file(file: BinaryIO) -> bytes:
    file.seek(0)
    return file.read(_HEAD_BYTES)
