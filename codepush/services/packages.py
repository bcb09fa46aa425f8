"""Looks into an uploaded package, without ever holding it in memory."""

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from codepush.archive.gate import inspect
from codepush.archive.lint import bundle_warnings, hermes_version, hermes_warnings
from codepush.archive.models import Inspection, PackedFile
from codepush.domain.ids import PackageHash
from codepush.domain.models import App, Release


@dataclass(frozen=True, slots=True)
class Package:
    """An upload that was looked into, in the form in which devices may have it.

    Attributes:
        inspection: The gate's answer, which holds the file open.
    """

    inspection: Inspection

    @property
    def source(self) -> BinaryIO:
        """The package, rewound: the upload itself, or what it was rewritten to."""
        self.inspection.file.seek(0)
        return self.inspection.file

    @property
    def size(self) -> int:
        """In bytes."""
        return self.inspection.size

    @property
    def sha256(self) -> str:
        """Of the bytes of ``source``; names the blob."""
        return self.inspection.sha256

    @property
    def hash(self) -> PackageHash:
        """By which devices know the contents."""
        return self.inspection.hash

    @property
    def files(self) -> tuple[PackedFile, ...]:
        """What is in it; nothing, if it is no archive."""
        return self.inspection.files

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences for the person who released it."""
        return self.inspection.warnings

    @property
    def bytecode_version(self) -> int | None:
        """Of the Hermes bytecode in it, where that is what it holds."""
        return hermes_version(self.inspection)

    @property
    def is_archive(self) -> bool:
        """A zip; else a single file that devices take for the bundle itself."""
        return self.inspection.is_archive

    @property
    def content_type(self) -> str:
        """Media type for the storage."""
        return "application/zip" if self.is_archive else "application/octet-stream"


def lint(package: Package, app: App, newest: Release | None) -> tuple[str, ...]:
    """Return warnings about what is allowed, but probably a mistake.

    Args:
        package: Uploaded.
        app: That it is for.
        newest: The release that it will follow.
    """
    previous = newest.bytecode_version if newest else None
    return (
        *package.warnings,
        *bundle_warnings(package.inspection, app.os, app.platform),
        *hermes_warnings(previous, package.bytecode_version),
    )


def examine(source: BinaryIO, spool: Path | None = None) -> Package:
    """Check and hash an upload.

    Args:
        source: Seekable.
        spool: Folder for a rewritten package while it is in use; the system's own if None. Its
            file has no name there, and goes with the package.

    Raises:
        InvalidParameterError: It is empty, or a zip that devices could not unpack.
    """
    return Package(inspect(source, spool))
