"""What is in a package, as bytes to keep, so that a diff needs no look into its base."""

import json
import zlib
from collections.abc import Iterable
from dataclasses import astuple

from codepush.archive.models import PackedFile

_VERSION = 1


def dump_listing(files: Iterable[PackedFile]) -> bytes:
    """Return the list of an archive's files; about 50 bytes a file."""
    text = json.dumps([_VERSION, *map(astuple, files)], separators=(",", ":"), ensure_ascii=False)
    return zlib.compress(text.encode())


def load_listing(data: bytes) -> tuple[PackedFile, ...]:
    """Return the files that ``dump_listing`` listed.

    Args:
        data: From this server's own storage.

    Raises:
        ValueError: It is something else.
    """
    try:
        version, *rows = json.loads(zlib.decompress(data))
        if version != _VERSION:
            raise ValueError(f"A listing of version {version} cannot be read.")
        return tuple(PackedFile(*row) for row in rows)
    except (zlib.error, TypeError) as exc:
        raise ValueError("The listing of a package is damaged.") from exc
