"""Versions and ranges as npm's ``semver`` reads them (strict, without ``includePrerelease``).

Developers write a release's target binary range with the npm notation in mind, and the
reference server asks npm's ``semver``, so "right" here is what that package answers, quirks
included. `parse_range` rewrites a range in the same order of steps as npm's
``classes/range.js`` and turns the outcome, once, into spans of comparison keys;
`Range.matches` then only compares tuples. ``tests/domain/semver_cases.json`` holds the
answers of npm that this module must give.

Not built on the PyPI package ``node-semver`` 0.9.1, which ports an old release of npm's: of
the 1,827 ranges in that table it takes 258 that npm refuses (numbers after a wildcard,
20-digit numbers, Unicode digits), refuses 50 and reads 623 otherwise (no ``-0`` on upper
bounds, no empty set), and its ``gtr`` raises ``TypeError`` for ``1.2.3`` or ``^1.2.0``.
Correcting all that from outside would take as much code as the rewriting itself.

Where this module is narrower than npm, on purpose:

- A range is at most 256 characters long, as npm has it for versions: a longer one is refused.
- Numeric prerelease identifiers from 2^53 on are compared exactly. npm compares them as
  doubles, so that neighbours are equal there, and order stops being transitive.
"""

import re
from dataclasses import dataclass, field
from functools import lru_cache
from operator import attrgetter
from typing import NamedTuple

MAX_CHARS = 256
"""Longest version or range text, in characters, spaces around it included."""
_MAX_NUMBER = 2**53 - 1
_MAX_REMEMBERED_CHARS = 64
"""Longest range that the cache keeps. Filled on purpose with 4,096 lists of alternatives it
holds 43 MB; with texts of 256 characters it would be 135 MB. Ordinary ranges make 3 MB."""

_Identifier = tuple[int, int, str]
"""A prerelease identifier: rank, number, text. Numbers rank below words."""
_Triple = tuple[int, int, int]
_Key = tuple[_Triple, tuple[_Identifier, ...]]
"""Compares as the precedence of semver.org does: the triple, then the prerelease."""

_RELEASE: tuple[_Identifier, ...] = ((2, 0, ""),)  # above every prerelease
_NO_TRIPLES: frozenset[_Triple] = frozenset()  # one for all: an empty set takes 216 bytes
_JUST_ABOVE: _Identifier = (-1, 0, "")  # below every identifier
_LOWEST: _Key = ((0, 0, 0), ())
_HIGHEST: _Key = ((_MAX_NUMBER + 1, 0, 0), ())

# What JavaScript's trim() and \s know; Python's own idea differs by U+FEFF, U+0085, U+001C-1F.
_SPACES = (
    "\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)
_SPACE_RUN = re.compile(f"[{_SPACES}]+")

# Identifiers of npm's internal/re.js. Ranges are matched after white space became single
# blanks, so a blank stands for \s. No two repeated parts that meet can match the same
# character, hence no more than quadratic time, over at most 256 characters.
_NUMBER = "0|[1-9][0-9]*"
_PRERELEASE_ID = f"(?:[0-9]*[a-zA-Z-][a-zA-Z0-9-]*|{_NUMBER})"
_PRERELEASE = rf"(?:-({_PRERELEASE_ID}(?:\.{_PRERELEASE_ID})*))?"
_BUILD = r"\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*"
_FULL = rf"v?({_NUMBER})\.({_NUMBER})\.({_NUMBER}){_PRERELEASE}"
_PART = rf"({_NUMBER}|[xX*])"
_PARTIAL = rf"[v= ]*+{_PART}(?:\.{_PART}(?:\.{_PART}{_PRERELEASE})?)?"

_VERSION_RE = re.compile(f"{_FULL}(?:{_BUILD})?")
_BUILD_RE = re.compile(_BUILD)
_HYPHEN_RE = re.compile(f" ?({_PARTIAL}) - ({_PARTIAL}) ?")
_OPERATOR_BLANK_RE = re.compile("( ?[<>]?=?) ?([v= ]*+[0-9xX*][0-9a-zA-Z.*-]*+)")
_TILDE_BLANK_RE = re.compile("~>? ")
_TERM_RE = re.compile(rf"(\^|~>?|[<>]?=?){_PARTIAL}")
_STAR_RE = re.compile(r"[<>]?=?\*")
_COMPARATOR_RE = re.compile(f"([<>]?=?){_FULL}(?:{_BUILD})?")

_APP_INTEGER_RE = re.compile("[0-9]+")
_APP_MISSING_PATCH_RE = re.compile("([0-9]+\\.[0-9]+)([+-][^\n\r\u2028\u2029]*)?")


class InvalidVersionError(ValueError):
    """The text is not a version that npm's ``new SemVer`` takes."""


class InvalidRangeError(ValueError):
    """The text is not a range that npm's ``new Range`` takes, or is over the length limit."""


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """A version; ordered and equal by precedence, so build metadata does not count.

    Attributes:
        key: Compares as the versions do. Its inside is this module's affair.
        canonical: What npm's ``valid`` prints: no ``v``, spaces or build metadata.
        prerelease: Whether it has a prerelease part, as ``1.0.0-beta`` does.
    """

    key: _Key = field(repr=False)
    canonical: str = field(compare=False)
    prerelease: bool = field(compare=False, repr=False)


class _Span(NamedTuple):
    """The versions from ``low`` up to, not including, ``high``.

    Prereleases among them count only if they are of one of the ``triples``.
    """

    low: _Key
    high: _Key
    triples: frozenset[_Triple]


@dataclass(frozen=True, slots=True)
class Range:
    """A set of versions; made by `parse_range`, equal if ``canonical`` is.

    Attributes:
        text: What was parsed; equal ranges may differ in it.
        canonical: What npm's ``validRange`` prints, e.g. ``>=1.2.0 <2.0.0-0`` for ``^1.2``.
        is_exact: Whether the text is one version (npm's ``valid`` takes it). As for npm,
            ``v1.2.3`` is, ``=1.2.3`` is not. Equal ranges may differ in it.
    """

    text: str = field(compare=False)
    canonical: str
    is_exact: bool = field(compare=False)
    _spans: tuple[_Span, ...] = field(compare=False, repr=False)
    _floor: _Key | None = field(compare=False, repr=False)

    def matches(self, version: Version) -> bool:
        """Return npm's ``satisfies(version, range)``.

        A prerelease matches only where a comparator of the same alternative has a prerelease
        of the same ``major.minor.patch``.
        """
        key = version.key
        for low, high, triples in self._spans:
            if low <= key < high and (not version.prerelease or key[0] in triples):
                return True
        return False

    def is_below(self, version: Version) -> bool:
        """Return npm's ``gtr(version, range)``: is ``version`` above all of the range?

        npm's answer is also yes for a prerelease that the range leaves out although it lies
        within an alternative without lower bound (``1.0.0-beta`` for ``<2``).
        """
        return self._floor is not None and version.key >= self._floor and not self.matches(version)


class _Comparator(NamedTuple):
    operator: str  # "" (equal), "<", "<=", ">" or ">="
    key: _Key
    text: str


_BY_VERSION = attrgetter("key")
_ANY = _Comparator(">=", _LOWEST, "")
_NOTHING = "<0.0.0-0"


def parse_version(text: str) -> Version:
    """Read ``text`` as npm's ``new SemVer(text)`` does.

    A leading ``v`` and white space around are fine; a leading ``=``, ``1.2`` or a number with
    leading zeros is not.

    Raises:
        InvalidVersionError: Not a version, over `MAX_CHARS`, or a number over 2^53 - 1.
    """
    if len(text) > MAX_CHARS:
        raise InvalidVersionError(f"A version has at most {MAX_CHARS} characters, not {len(text)}.")
    match = _VERSION_RE.fullmatch(text.strip(_SPACES))
    if match is None:
        raise InvalidVersionError(f"{text!r} is not a version like 1.2.3 or 1.2.3-beta.1.")
    return _version(*match.groups())


def normalize_app_version(text: str) -> str:
    """Complete ``1`` and ``1.2`` to three numbers, before any ``-`` or ``+`` tag.

    The reference server does this to versions that devices report, since apps in the stores
    may have fewer than three numbers. Any other text comes back unchanged.
    """
    if _APP_INTEGER_RE.fullmatch(text):
        return f"{text}.0.0"
    match = _APP_MISSING_PATCH_RE.fullmatch(text)
    if match is None:
        return text
    return f"{match[1]}.0{match[2] or ''}"


def parse_range(text: str) -> Range:
    """Read ``text`` as npm's ``new Range(text)`` does; the empty text means any version.

    The last 4,096 ranges of up to 64 characters are remembered; who needs a longer one again
    keeps it.

    Raises:
        InvalidRangeError: Not a range, over `MAX_CHARS`, or a number over 2^53 - 1.
    """
    if len(text) > MAX_CHARS:
        raise InvalidRangeError(f"A range has at most {MAX_CHARS} characters, not {len(text)}.")
    return _remembered(text) if len(text) <= _MAX_REMEMBERED_CHARS else _parse_range(text)


def _parse_range(text: str) -> Range:
    blank_separated = _SPACE_RUN.sub(" ", text.strip(_SPACES))
    try:
        alternatives = [_comparators(part.strip(" ")) for part in blank_separated.split("||")]
    except InvalidVersionError as exc:
        raise InvalidRangeError(
            f"{text!r} is not a version range like 1.2.3, ^1.2.0 or >=1.2.0 <3: {exc}"
        ) from exc
    # One alternative that allows all, or any that allow none, make the others pointless.
    alternatives = [a for a in alternatives if a[0].text != _NOTHING] or alternatives[:1]
    alternatives = [a for a in alternatives if a == [_ANY]][:1] or alternatives
    canonical = "||".join(" ".join(c.text for c in a) for a in alternatives)
    return Range(
        text=text,
        canonical=canonical or "*",
        is_exact=_is_version(text),
        _spans=tuple(dict.fromkeys(_span(a) for a in alternatives)),
        _floor=_floor(alternatives),
    )


_remembered = lru_cache(maxsize=4096)(_parse_range)


def _is_version(text: str) -> bool:
    try:
        parse_version(text)
    except InvalidVersionError:
        return False
    return True


def _version(major: str, minor: str, patch: str, prerelease: str | None) -> Version:
    text = _format(major, minor, patch, prerelease)
    triple = (int(major), int(minor), int(patch))
    if max(triple) > _MAX_NUMBER:
        raise InvalidVersionError(f"Version {text} has a number over {_MAX_NUMBER}.")
    if prerelease is None:
        return Version((triple, _RELEASE), text, prerelease=False)
    identifiers = (_identifier(part) for part in prerelease.split("."))
    return Version((triple, tuple(identifiers)), text, prerelease=True)


def _identifier(text: str) -> _Identifier:
    return (0, int(text), "") if text.isdigit() else (1, 0, text)


def _format(major: str, minor: str, patch: str, prerelease: str | None) -> str:
    tag = "" if prerelease is None else f"-{prerelease}"
    return f"{major}.{minor}.{patch}{tag}"


def _after(key: _Key) -> _Key:
    """Return a bound above ``key`` and below the next version there can be."""
    return key[0], (*key[1], _JUST_ABOVE)


def _span(comparators: list[_Comparator]) -> _Span:
    low, high = _LOWEST, _HIGHEST
    for operator, key, _ in comparators:
        if operator in {"", ">", ">="}:
            low = max(low, _after(key) if operator == ">" else key)
        if operator in {"", "<", "<="}:
            high = min(high, key if operator == "<" else _after(key))
    triples = frozenset(c.key[0] for c in comparators if c is not _ANY and c.key[1] != _RELEASE)
    return _Span(low, high, triples or _NO_TRIPLES)


def _floor(alternatives: list[list[_Comparator]]) -> _Key | None:
    """Return the bound from which on ``gtr`` may hold, or None where it never does.

    Follows npm's ``ranges/outside.js`` to the letter, also in that of two comparators of
    equal version the first one decides.
    """
    floor = _LOWEST
    for comparators in alternatives:
        if max(comparators, key=_BY_VERSION).operator in {">", ">="}:
            return None
        lowest = min(comparators, key=_BY_VERSION)
        if lowest.operator == ">=":
            floor = max(floor, lowest.key)
        elif lowest.operator in {"", ">"}:
            floor = max(floor, _after(lowest.key))
    return floor


def _comparators(text: str) -> list[_Comparator]:
    """Return one alternative, a range without ``||``, as its distinct comparators."""
    text = _BUILD_RE.sub("", text)
    hyphen = _HYPHEN_RE.fullmatch(text)
    if hyphen is not None:
        text = _desugar_hyphen(hyphen)
    text = _OPERATOR_BLANK_RE.sub(r"\1\2", text)
    text = _TILDE_BLANK_RE.sub("~", text).replace("^ ", "^")
    terms = " ".join(_desugar(term) for term in text.split(" ")).split(" ")
    found = dict.fromkeys(_comparator(term) for term in terms if term)
    nothing = next((c for c in found if c.text == _NOTHING), None)
    if nothing is not None:
        return [nothing]
    return [c for c in found if c is not _ANY] or [_ANY]


def _comparator(text: str) -> _Comparator:
    if text == ">=0.0.0":  # but not ">=v0.0.0": npm compares the text
        return _ANY
    match = _COMPARATOR_RE.fullmatch(text)
    if match is None:
        raise InvalidVersionError(f"{text!r} is not a comparator.")
    operator, *parts = match.groups()
    operator = "" if operator == "=" else operator
    version = _version(*parts)
    return _Comparator(operator, version.key, operator + version.canonical)


def _parts(match: re.Match[str], first: int) -> tuple[str, str, str]:
    """Return three parts of a `_PARTIAL`, those left out as ``x``."""
    major, minor, patch = match.group(first, first + 1, first + 2)
    return major, minor or "x", patch or "x"


def _is_x(part: str) -> bool:
    return part in {"x", "X", "*"}


def _next(number: str) -> str:
    return str(int(number) + 1)


def _desugar_hyphen(match: re.Match[str]) -> str:
    """Turn ``1.2 - 3.4`` into ``>=1.2.0 <3.5.0-0``."""
    major, minor, patch = _parts(match, 2)
    if _is_x(major):
        low = ""
    elif _is_x(minor):
        low = f">={major}.0.0"
    elif _is_x(patch):
        low = f">={major}.{minor}.0"
    else:
        low = f">={match[1]}"
    major, minor, patch = _parts(match, 7)
    if _is_x(major):
        high = ""
    elif _is_x(minor):
        high = f"<{_next(major)}.0.0-0"
    elif _is_x(patch):
        high = f"<{major}.{_next(minor)}.0-0"
    elif match[10] is not None:
        high = f"<={_format(major, minor, patch, match[10])}"
    else:
        high = f"<={match[6]}"
    return f"{low} {high}".strip(" ")


def _desugar(term: str) -> str:
    """Turn a term like ``^1.2`` or ``<3.x`` into comparators with full versions."""
    match = _TERM_RE.fullmatch(term)
    if match is None:
        return _STAR_RE.sub("", term, count=1)
    operator: str = match[1]
    major, minor, patch = _parts(match, 2)
    if operator == "^" or operator.startswith("~"):
        return _desugar_series(operator, major, minor, patch, match[5])
    if (_is_x(major) and not _is_x(minor)) or (_is_x(minor) and not _is_x(patch)):
        return term  # A number after a wildcard is no range: `_comparator` will say so.
    if _is_x(major):
        return _NOTHING if operator in {"<", ">"} else ""
    if _is_x(minor):
        first, beyond = f"{major}.0.0", f"{_next(major)}.0.0"
    elif _is_x(patch):
        first, beyond = f"{major}.{minor}.0", f"{major}.{_next(minor)}.0"
    else:
        return term
    bounds = {">": f">={beyond}", ">=": f">={first}", "<": f"<{first}-0", "<=": f"<{beyond}-0"}
    return bounds.get(operator, f">={first} <{beyond}-0")


def _desugar_series(operator: str, major: str, minor: str, patch: str, tag: str | None) -> str:
    """Turn a caret or tilde term into its two bounds.

    A caret keeps the first number that is not 0, a tilde the first two; both drop a number
    after a wildcard.
    """
    if _is_x(major):
        return ""
    if _is_x(minor):
        return f">={major}.0.0 <{_next(major)}.0.0-0"
    low = f"{major}.{minor}.0" if _is_x(patch) else _format(major, minor, patch, tag)
    if operator == "^" and major != "0":
        high = f"{_next(major)}.0.0"
    elif operator == "^" and minor == "0" and not _is_x(patch):
        high = f"0.0.{_next(patch)}"
    else:
        high = f"{major}.{_next(minor)}.0"
    return f">={low} <{high}-0"
