"""A model of the native client's install, and of the disk it works on.

After react-native-code-push 9.0.1: CodePushUpdateManager.downloadPackage and
CodePushUpdateUtils on Android.
"""

import hashlib
import json
import zipfile
from typing import BinaryIO

from codepush.domain.ids import PackageHash
from codepush.domain.package_hash import package_hash

Tree = dict[str, bytes]


class InstallError(Exception):
    """The client would fail, and the device stay on its package."""


def unzip(file: BinaryIO) -> Tree:
    """Unpack; by Python's implementation, which is not ours."""
    file.seek(0)
    with zipfile.ZipFile(file) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def install(package: BinaryIO, base: Tree) -> Tree:
    """Return what a device has after it installed a full package or a diff over ``base``."""
    unpacked = unzip(package)
    if "hotcodepush.json" not in unpacked:
        return unpacked
    files = dict(base)
    folders = {folder for path in base for folder in folders_of(path)}
    for path in json.loads(unpacked.pop("hotcodepush.json"))["deletedFiles"]:
        if path in folders:
            raise InstallError(f"{path} is a folder")
        files.pop(path, None)  # its folder stays, even if it is empty now
    files.pop("app.json", None)
    for path, content in unpacked.items():
        if path in folders:
            raise InstallError(f"{path} would replace a folder")
        if not files.keys().isdisjoint(folders_of(path)):
            raise InstallError(f"{path} would be in a file")
        files[path] = content
    return files


def folders_of(path: str) -> list[str]:
    """Return all folders above a path."""
    segments = path.split("/")[:-1]
    return ["/".join(segments[: count + 1]) for count in range(len(segments))]


def hash_of(files: Tree) -> PackageHash:
    """Return the hash that a device computes over its folder."""
    return package_hash((path, hashlib.sha256(files[path]).hexdigest()) for path in files)
