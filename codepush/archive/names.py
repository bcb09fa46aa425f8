"""Which paths a package may have.

The issue is where a file ends up on a device: Android joins a name to a folder as it is, iOS
normalizes some, and Windows and file systems without case hold others than were meant.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from codepush.archive.refusals import refused, refused_entry, show
from codepush.domain.names import fold

MAX_PATH_BYTES = 1_024
MAX_SEGMENT_BYTES = 255
MAX_DEPTH = 32
MACOS_FOLDER = "__MACOSX/"

ROOT_NAMES = {
    "hotcodepush.json": "clients would take the package for a diff and obey it",
    "app.json": "clients keep notes of their own in a file of this name and delete it",
}
"""Names that may not be in the root, neither of a file nor of a folder, and why."""

_MAX_WARNINGS = 5
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_DOTS = frozenset({".", ".."})
_NOT_ON_WINDOWS = re.compile(
    r"(?:^|/)(?:con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³]) *(?:[.][^/]*)?(?:/|$)"
    r'|[<>:"|?*]|[. ](?:/|$)',
    re.IGNORECASE,
)


def path_of(raw: bytes) -> str:
    """Return the path of an entry, with forward slashes; a folder's ends with one.

    Args:
        raw: The name as it is in the zip.

    Raises:
        InvalidParameterError: Devices could not, or must not, have a file there.
    """
    if not raw:
        raise refused_entry(raw, "without a name.")
    try:
        path = raw.decode().replace("\\", "/")
    except UnicodeDecodeError as exc:
        raise refused_entry(raw, "whose name is not valid UTF-8.") from exc
    if not path.isprintable() and _CONTROL.search(path):  # the former is the faster
        raise refused_entry(raw, "with a control character in its name.")
    if len(raw) > MAX_PATH_BYTES:
        raise refused_entry(
            raw, f"whose name has {len(raw)} bytes; at most {MAX_PATH_BYTES} are allowed."
        )
    if path.startswith("//"):
        raise refused_entry(raw, "whose name is a network (UNC) path; it must be a relative one.")
    if path.startswith("/"):
        raise refused_entry(raw, "whose name is an absolute path; it must be a relative one.")
    if path[1:2] == ":" and path[0].isascii() and path[0].isalpha():
        raise refused_entry(raw, "whose name begins with a drive; it must be a relative path.")
    segments = path.removesuffix("/").split("/")
    if not _DOTS.isdisjoint(segments):
        raise refused_entry(raw, "that leads out of its folder: it has . or .. in its path.")
    if "" in segments:
        raise refused_entry(raw, "with an empty segment in its path.")
    if len(segments) > MAX_DEPTH:
        raise refused_entry(raw, f"that is {len(segments)} deep; at most {MAX_DEPTH} are allowed.")
    if len(raw) > MAX_SEGMENT_BYTES:
        _check_segments(raw, segments)
    if segments[0] in ROOT_NAMES:
        raise refused_entry(raw, f"in its root: {ROOT_NAMES[segments[0]]}. Leave it out.")
    return path


def _check_segments(raw: bytes, segments: Sequence[str]) -> None:
    longest = max(len(segment.encode()) for segment in segments)
    if longest > MAX_SEGMENT_BYTES:
        raise refused_entry(
            raw,
            f"with {longest} bytes between two slashes of its name; at most {MAX_SEGMENT_BYTES}"
            " are allowed.",
        )


def check_distinct(paths: Sequence[str]) -> None:
    """Refuse two files of one name, also where only Unicode's forms differ, and a file in a file.

    Args:
        paths: From ``path_of``, of all files and folders.

    Raises:
        InvalidParameterError: There are such.
    """
    for first, second in _neighbours(map(_composed, paths)):
        if first == second and not first.endswith("/"):
            one, other, *_ = (path for path in paths if _composed(path) == first)
            if one == other:
                raise refused_entry(one, "twice; devices would keep only one of them.")
            raise refused(
                f"has the entries {show(one)} and {show(other)}, whose names are the same but for"
                f" the way Unicode composes them ({one[:100]!a} and {other[:100]!a});"
                " devices would keep only one of them."
            )
        if second.startswith(f"{first}/"):
            raise refused_entry(first, "that is a file and also a folder with entries in it.")


def _neighbours(paths: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield each path that the next one begins with, and that one.

    They are sorted as if a slash came before everything else, so that what is in a folder
    follows it at once. They are held in UTF-8, which sorts alike: one rare character makes
    Python take four bytes for all others.
    """
    ordered = sorted(path.replace("/", "\0").encode() for path in paths)
    for first, second in pairwise(ordered):
        if second.startswith(first):
            yield first.decode().replace("\0", "/"), second.decode().replace("\0", "/")


def _composed(path: str) -> str:
    return path if path.isascii() else unicodedata.normalize("NFC", path)


def _folded(path: str) -> str:
    return path.lower() if path.isascii() else fold(path)


def warnings_about(paths: Sequence[str]) -> tuple[str, ...]:
    """Return a sentence for each name that some systems hold otherwise; at most a few a kind.

    Args:
        paths: Of files that may be released.
    """
    return (
        *_some(_case_warnings(paths), "names that differ only in case"),
        *_some(_windows_warnings(paths), "names that Windows cannot hold"),
        *_some(_decomposed_warnings(paths), "names in a decomposed form of Unicode"),
    )


def _case_warnings(paths: Sequence[str]) -> Iterator[str]:
    clashes = {one for one, other in _neighbours(map(_folded, paths)) if one == other}
    named: dict[str, str] = {}
    for path in paths if clashes else ():
        if (folded := _folded(path)) not in clashes:
            continue
        other = named.setdefault(folded, path)
        if other != path:
            yield (
                f"The names {show(other)} and {show(path)} differ only in case; where names are"
                " compared without it, one file replaces the other."
            )


def _windows_warnings(paths: Sequence[str]) -> Iterator[str]:
    for path in paths:
        if _NOT_ON_WINDOWS.search(path):
            yield f"The name {show(path)} is reserved on Windows and cannot be a file there."


def _decomposed_warnings(paths: Sequence[str]) -> Iterator[str]:
    for path in paths:
        if _composed(path) != path:
            yield (
                f"The name {show(path)} is not in Unicode's composed form (NFC); a system that"
                " composes names would change the hash of the package."
            )


def _some(sentences: Iterable[str], what: str) -> Iterator[str]:
    more = 0
    for number, sentence in enumerate(sentences):
        if number < _MAX_WARNINGS:
            yield sentence
        else:
            more += 1
    if more:
        yield f"There are {more} more {what}."
