"""The answers of npm's semver, as make_semver_cases.js wrote them down, and what npm cannot say."""

import json
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codepush.domain import semver
from codepush.domain.semver import (
    InvalidRangeError,
    InvalidVersionError,
    Range,
    Version,
    normalize_app_version,
    parse_range,
    parse_version,
)

CASES: dict[str, Any] = json.loads(
    Path(__file__).with_name("semver_cases.json").read_text(encoding="utf-8")
)
PROBES = [parse_version(text) for text in CASES["probes"]]


def valid(text: str) -> str | None:
    try:
        return parse_version(text).canonical
    except InvalidVersionError:
        return None


def valid_range(text: str) -> str | None:
    try:
        return parse_range(text).canonical
    except InvalidRangeError:
        return None


def verdict(version: Version, range_: Range) -> str:
    """``y`` for a match, ``g`` for a version greater than all of the range, or ``n``."""
    if range_.matches(version):
        return "n" if range_.is_below(version) else "y"
    return "g" if range_.is_below(version) else "n"


def order(a: Version, b: Version) -> int:
    return (a > b) - (a < b)


# The table ------------------------------------------------------------------------------


def test_the_table_is_large_and_of_a_current_npm_release():
    assert CASES["semver"].startswith("7.")
    names = ("versions", "compare", "ranges", "app_versions")
    assert sum(len(CASES[name]) for name in names) > 3000
    assert sum(canonical is not None for _, canonical, *_ in CASES["ranges"]) > 1000


def test_versions_are_read_as_npm_reads_them():
    wrong = [(text, npm, valid(text)) for text, npm in CASES["versions"] if valid(text) != npm]
    assert wrong == []


def test_versions_are_ordered_as_npm_orders_them():
    read = [(parse_version(a), parse_version(b), npm) for a, b, npm in CASES["compare"]]
    assert [(a, b, npm) for a, b, npm in read if order(a, b) != npm] == []
    assert [(a, b) for a, b, npm in read if (a == b) != (npm == 0)] == []


def test_ranges_are_read_as_npm_reads_them():
    wrong = [
        (text, npm, valid_range(text))
        for text, npm, *_ in CASES["ranges"]
        if valid_range(text) != npm
    ]
    assert wrong == []


def test_matches_and_is_below_say_what_npm_says():
    wrong = []
    for text, npm, *verdicts in CASES["ranges"]:
        if npm is not None:
            read = parse_range(text)
            ours = "".join(verdict(probe, read) for probe in PROBES)
            wrong += [(text, npm, verdicts[0], ours)] if ours != verdicts[0] else []
    assert wrong == []


def test_a_range_is_exact_where_npm_takes_its_text_for_a_version():
    texts = CASES["versions"]
    exact = {text: parse_range(text).is_exact for text, _ in texts if valid_range(text) is not None}
    assert exact == {text: npm is not None for text, npm in texts if text in exact}
    assert {text for text, npm in texts if npm is not None} <= exact.keys()


def test_device_versions_are_completed_as_the_reference_server_does():
    wrong = [case for case in CASES["app_versions"] if normalize_app_version(case[0]) != case[1]]
    assert wrong == []


# The rules, by name ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "version", "matches"),
    [
        ("*", "1.0.0-beta", False),
        ("^1.2.3", "1.3.0-beta", False),
        ("^1.2.3-alpha", "1.2.3-beta", True),
        ("^1.2.3-alpha", "1.2.4-beta", False),
        (">=1.0.0 || 1.2.3-beta", "1.2.3-beta", True),
        (">=1.0.0 || 1.2.3-alpha", "1.2.3-beta", False),
        ("<=2.0.0-beta", "2.0.0-alpha", True),
        ("1.2.3+five", "1.2.3+six", True),
    ],
)
def test_a_prerelease_matches_only_next_to_one_of_the_same_numbers(text, version, matches):
    assert parse_range(text).matches(parse_version(version)) is matches


@pytest.mark.parametrize("text", ["x.0.1", "*.1", "1.x.3", ">x.1", "1.*.3"])
def test_a_number_after_a_wildcard_is_refused(text):
    with pytest.raises(InvalidRangeError):
        parse_range(text)


def test_versions_of_different_builds_are_equal():
    a, b = parse_version("v1.2.3+five"), parse_version(" 1.2.3+six")
    assert a == b
    assert hash(a) == hash(b)
    assert parse_version("1.2.3-0") != a


def test_ranges_of_one_meaning_are_equal_and_keep_their_texts():
    a, b = parse_range("^1.2"), parse_range(">= 1.2.0   <2.0.0-0")
    assert a == b
    assert hash(a) == hash(b)
    assert (a.text, b.text) == ("^1.2", ">= 1.2.0   <2.0.0-0")
    assert parse_range("~1.2") != a


def test_an_error_names_the_reason():
    with pytest.raises(InvalidRangeError, match="number over 9007199254740991"):
        parse_range("^9007199254740992.0.0")
    with pytest.raises(InvalidVersionError, match=r"'1\.2' is not a version"):
        parse_version("1.2")


def test_values_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        parse_version("1.2.3").prerelease = True  # type: ignore[misc]  # what is tested
    with pytest.raises(FrozenInstanceError):
        parse_range("1.2.3").text = "*"  # type: ignore[misc]  # what is tested


# Where we differ from npm, and bounds ---------------------------------------------------


def test_prerelease_numbers_beyond_doubles_are_compared_exactly():
    a, b = (parse_version(f"1.0.0-9999999999999999999{last}") for last in "89")
    assert a < b
    assert parse_range(a.canonical).matches(a)
    assert not parse_range(a.canonical).matches(b)


def test_a_text_of_257_characters_is_refused_and_one_of_256_is_read():
    assert parse_range("1 ".ljust(256)) == parse_range("1")
    assert parse_version("1.2.3".ljust(256)) == parse_version("1.2.3")
    with pytest.raises(InvalidRangeError, match="at most 256"):
        parse_range("1 ".ljust(257))
    with pytest.raises(InvalidVersionError, match="at most 256"):
        parse_version("1.2.3".ljust(257))


@pytest.mark.parametrize("text", [" " * 20_000, "1.2.3" + " " * 20_000, "9" * 1_000_000])
def test_enormous_texts_are_refused_before_they_are_looked_at(text):
    with pytest.raises(InvalidRangeError, match="at most 256"):
        parse_range(text)
    with pytest.raises(InvalidVersionError, match="at most 256"):
        parse_version(text)


def test_only_short_ranges_stay_in_the_cache():
    short, long = "1.2.3 " * 10, "1.2.3 " * 11
    assert parse_range(short) is parse_range(short)
    before = semver._remembered.cache_info()
    assert parse_range(long) is not parse_range(long)
    assert semver._remembered.cache_info() == before


# Any text -------------------------------------------------------------------------------

PIECES = [*"012xX*.-+v=<>~^|", "10", "9007199254740991", "9007199254740992"]
PIECES += ["-a", "-0", "-v", "+b", "<=", ">=", "~>", "||"]
# Long runs of few pieces: what makes a careless regular expression slow.
adversarial = st.lists(
    st.sampled_from([*PIECES, " ", "  ", " - ", "1.2.3", "1.2.3-a", "\u00a0", "\ufeff", "\u0661"]),
    min_size=1,
    max_size=4,
).flatmap(lambda few: st.lists(st.sampled_from(few), max_size=256).map("".join))
numbers = st.integers(0, 3) | st.sampled_from([10, 2**53 - 1])
identifiers = st.sampled_from(["0", "1", "2", "10", "a", "A", "b", "-", "0a", "x-1", "9" * 20])
versions = st.builds(
    "{}.{}.{}{}".format,
    numbers,
    numbers,
    numbers,
    st.lists(identifiers, max_size=3).map(lambda ids: "-" + ".".join(ids) if ids else ""),
)
terms = st.builds(
    "{}{}".format,
    st.sampled_from(["", "=", "<", "<=", ">", ">=", "^", "~", "> "]),
    versions | st.sampled_from(["*", "0", "1", "2.x", "0.1", "1.2"]),
)
alternatives = st.lists(terms, min_size=1, max_size=3).map(" ".join)
ranges = st.lists(alternatives, min_size=1, max_size=3).map("||".join).filter(lambda r: len(r) < 99)


@given(st.text(max_size=300) | adversarial | adversarial.map(lambda text: text[:256]) | ranges)
def test_any_text_is_read_or_refused_with_our_own_errors(text):
    canonical = valid_range(text)
    assert canonical is None or canonical
    assert valid(text) is None or valid_range(text) == valid(text)
    normalize_app_version(text)


@given(versions.map(parse_version), versions.map(parse_version), versions.map(parse_version))
def test_order_is_total(a, b, c):
    assert [a < b, a == b, a > b].count(True) == 1
    assert (a == b) == (a.canonical == b.canonical)
    low, middle, high = sorted([a, b, c])
    assert low <= middle <= high
    assert low <= high
    assert order(a, b) == -order(b, a)


@given(ranges, versions.map(parse_version))
def test_the_canonical_text_means_what_the_range_means(text, version):
    try:
        read = parse_range(text)
        again = parse_range(read.canonical)
    except InvalidRangeError:
        return
    assert verdict(version, again) == verdict(version, read)


@given(versions.map(parse_version), versions.map(parse_version))
def test_comparators_agree_with_the_order_of_releases(a, b):
    def matches(operator: str) -> bool:
        return parse_range(operator + a.canonical).matches(b)

    if b.prerelease and (not a.prerelease or a.key[0] != b.key[0]):
        assert not any(matches(operator) for operator in ("<", "<=", "=", ">=", ">"))
    else:
        assert matches("<") == (b < a)
        assert matches("<=") == (b <= a)
        assert matches("=") == (b == a)
        assert matches(">=") == (b >= a)
        assert matches(">") == (b > a)
