"""The hash by which devices know the contents of a package.

SHA-256 over the JSON array of ``path:sha256`` strings, one for each file, sorted by UTF-16 code
units as JavaScript and Java sort. Devices compute it over files only, so directory entries do not
count; nor do the signature and what macOS leaves behind.
"""

import hashlib
import json
from collections.abc import Iterable

from codepush.domain.ids import PackageHash

SIGNATURE_NAME = ".codepushrelease"


def is_hashed(path: str) -> bool:
    """Return whether a file counts towards the package hash.

    Args:
        path: Relative to the package's root, with forward slashes.
    """
    name = path.rpartition("/")[2]
    return not path.startswith("__MACOSX/") and name not in {".DS_Store", SIGNATURE_NAME}


def package_hash(files: Iterable[tuple[str, str]]) -> PackageHash:
    """Return the hash of a package.

    Args:
        files: Path and hex SHA-256 of each file; those that do not count are passed over.
    """
    # Held in UTF-16, by which they are sorted, since an archive may have many long names.
    lines = sorted(
        f"{path}:{digest}".encode("utf-16-be", "surrogatepass")
        for path, digest in files
        if is_hashed(path)
    )
    hasher = hashlib.sha256(b"[")
    for number, line in enumerate(lines):
        text = json.dumps(line.decode("utf-16-be", "surrogatepass"), ensure_ascii=False)
        hasher.update((f",{text}" if number else text).encode())
    hasher.update(b"]")
    return PackageHash(hasher.hexdigest())
