"""A model of the native client's install, and of the disk it works on.

After react-native-code-push 9.0.1: CodePushUpdateManager.downloadPackage and
CodePushUpdateUtils on Android.
"""

import contextlib
import hashlib
import json
import shutil
import zipfile
from pathlib import Path
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


class Device:
    """A device with real folders on a disk, on which installs follow each other."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._installs = 0

    @property
    def package(self) -> Path:
        """Folder of the package that runs."""
        return self._folder / str(self._installs)

    def install(self, package: BinaryIO) -> None:
        """Install a full package, or a diff over the one that runs, as Android does.

        Raises:
            OSError: It cannot be; the device stays on its package.
        """
        unpacked = unzip(package)
        target = self._folder / str(self._installs + 1)
        try:
            if "hotcodepush.json" in unpacked:
                shutil.copytree(self.package, target)  # with empty folders
                for path in json.loads(unpacked.pop("hotcodepush.json"))["deletedFiles"]:
                    if (target / path).exists():
                        _delete(target / path)
            for path, content in unpacked.items():
                (target / path).parent.mkdir(parents=True, exist_ok=True)
                (target / path).write_bytes(content)
        except OSError:
            shutil.rmtree(target, ignore_errors=True)
            raise
        self._installs += 1

    def files(self) -> Tree:
        """Return what a device hashes: folders do not count."""
        found = self.package.rglob("*")
        return {
            each.relative_to(self.package).as_posix(): each.read_bytes()
            for each in found
            if each.is_file()
        }


def _delete(path: Path) -> None:
    """Delete a file or an empty folder, and say nothing where that cannot be; ``File.delete``."""
    with contextlib.suppress(OSError):
        if path.is_dir():
            path.rmdir()
        else:
            path.unlink()
