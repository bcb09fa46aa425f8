"""The selection algorithm, against tables and against the reference server's steps spelled out."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codepush.domain.models import Release
from codepush.domain.rollout import bucket
from codepush.domain.semver import normalize_app_version, parse_range, parse_version
from codepush.domain.update_check import Candidates, UpdateAnswer, UpdateDecision, UpdateRequest
from tests.domain.releases import rel


def device(
    app_version: str = "1.0.0", *, label: str = "", content: str = "", companion: bool = False
) -> UpdateRequest:
    version = parse_version(normalize_app_version(app_version))
    return UpdateRequest(app_version, version, content, label, companion)


def decide(releases: Iterable[Release], request: UpdateRequest) -> UpdateDecision:
    return Candidates(releases).decide(request)


def check(releases: Iterable[Release], request: UpdateRequest, client: str = "u1") -> UpdateAnswer:
    return decide(releases, request).answer_for(client)


def offered(answer: UpdateAnswer) -> str | None:
    return answer.release.label if answer.release else None


def test_an_empty_history_has_the_device_run_its_own_binary() -> None:
    assert check([], device()) == UpdateAnswer(should_run_binary_version=True)


@dataclass(frozen=True)
class Range:
    binaries: str
    version: str
    fits: bool


RANGES = [
    Range("1.0.0", "1.0.0", True),
    Range("1.0.0", "1.0.1", False),
    Range("1.0", "1.0.9", True),
    Range("1.0", "1.1.0", False),
    Range("1", "1.9.9", True),
    Range("1", "2.0.0", False),
    Range("*", "0.0.1", True),
    Range("*", "9.9.9", True),
    Range("", "3.2.1", True),
    Range("^1.2.0", "1.9.0", True),
    Range("^1.2.0", "1.1.9", False),
    Range("~1.2.3", "1.2.9", True),
    Range("~1.2.3", "1.3.0", False),
    Range(">=1.2.0 <1.4.0", "1.3.9", True),
    Range(">=1.2.0 <1.4.0", "1.4.0", False),
    Range("1.2.x", "1.2.77", True),
    Range("1.0.0 - 1.5.0", "1.5.0", True),
    Range("1.0.0 || 2.0.0", "2.0.0", True),
    Range("1.0.0 || 2.0.0", "1.5.0", False),
    # A device that says less than three numbers has the rest made up.
    Range("1.5.0", "1.5", True),
    Range("^1.0.0", "1", True),
    Range("1.0.0", "v1.0.0", True),
    Range("1.0.0", "1.0.0+build.7", True),
    # Prereleases fit only a range that names the same three numbers.
    Range("*", "1.0.0-beta", False),
    Range("^1.0.0", "1.2.0-beta.1", False),
    Range(">=1.2.0-alpha <2.0.0", "1.2.0-beta.1", True),
    Range(">=1.2.0-alpha <2.0.0", "1.3.0-beta.1", False),
    Range("1.0.0-beta", "1.0-beta", True),
    Range("^1.0.0-beta", "1.0.0", True),
]


@pytest.mark.parametrize("case", RANGES, ids=lambda c: f"{c.version} in {c.binaries!r}")
def test_a_release_is_offered_to_the_binaries_in_its_range(case: Range) -> None:
    answer = check([rel(1, case.binaries)], device(case.version))
    assert (answer.release is not None) is case.fits
    assert answer.should_run_binary_version is not case.fits


def test_the_newest_fitting_release_is_offered_though_a_newer_one_is_for_other_binaries() -> None:
    history = [rel(1, "1.0.0"), rel(2, "1.0.0"), rel(3, "2.0.0")]
    assert offered(check(history, device("1.0.0"))) == "v2"
    assert offered(check(history, device("2.0.0"))) == "v3"


@pytest.mark.parametrize("version", ["1.5", "1", "1.5.0", "v1.5.0", "1.5+7", "1.5.0+build"])
def test_an_offer_repeats_the_device_s_version_verbatim_and_not_the_range(version: str) -> None:
    answer = check([rel(1, "^1.0.0")], device(version))
    offer = rel(1, "^1.0.0")
    assert answer == UpdateAnswer(release=offer, download=offer.full, app_version=version)


# What the device says it runs, against a history where the mandatory v2 lies between.


MANDATORY = [rel(1), rel(2, mandatory=True), rel(3)]


@pytest.mark.parametrize(
    ("label", "content", "mandatory"),
    [
        ("", "", False),  # says nothing: taken to be up to date, so only v3's own flag counts
        ("v1", "h1", True),
        ("v1", "", True),
        ("", "h1", True),
        ("v2", "h2", False),
        ("", "h2", False),
        # The label beats the hash, whatever the hash says ...
        ("v2", "h1", False),
        ("v1", "h2", True),
        # ... also where no release has the label.
        ("v99", "h2", True),
        # A release this deployment never had.
        ("", "unknown", True),
        ("v99", "unknown", True),
    ],
)
def test_a_mandatory_release_between_the_device_and_the_newest_makes_the_offer_mandatory(
    label: str, content: str, mandatory: bool
) -> None:
    answer = check(MANDATORY, device(label=label, content=content))
    assert offered(answer) == "v3"
    assert answer.is_mandatory is mandatory


def test_a_mandatory_release_older_than_what_the_device_runs_does_not_count() -> None:
    history = [rel(1, mandatory=True), rel(2), rel(3)]
    assert not check(history, device(label="v2", content="h2")).is_mandatory
    assert not check(history, device(label="v1", content="h1")).is_mandatory


def test_the_offered_release_s_own_flag_counts_for_every_device() -> None:
    history = [rel(1), rel(2, mandatory=True)]
    for request in (device(), device(label="v1", content="h1"), device(content="nothing known")):
        assert check(history, request).is_mandatory


def test_a_mandatory_release_for_other_binaries_does_not_count() -> None:
    history = [rel(1), rel(2, "2.0.0", mandatory=True), rel(3)]
    assert not check(history, device(label="v1")).is_mandatory


def test_a_disabled_mandatory_release_does_not_count() -> None:
    history = [rel(1), rel(2, mandatory=True, disabled=True), rel(3)]
    assert not check(history, device(label="v1")).is_mandatory


def test_a_device_on_a_release_since_disabled_is_found_there() -> None:
    history = [rel(1, mandatory=True), rel(2, disabled=True), rel(3)]
    answer = check(history, device(label="v2", content="h2"))
    assert offered(answer) == "v3"
    assert not answer.is_mandatory, "v1 is older than what the device runs"


def test_a_device_on_a_disabled_newest_release_is_taken_back_to_the_one_before() -> None:
    answer = check([rel(1), rel(2, disabled=True)], device(label="v2", content="h2"))
    assert offered(answer) == "v1"


def test_a_device_on_the_newest_release_is_offered_nothing() -> None:
    history = [rel(1), rel(2, mandatory=True)]
    assert check(history, device(label="v2", content="h2")) == UpdateAnswer()
    assert check(history, device(content="h2")) == UpdateAnswer()


def test_contents_decide_whether_there_is_an_update_and_not_the_label() -> None:
    history = [rel(1, content="same"), rel(2), rel(3, content="same")]
    assert check(history, device(label="v1", content="same")).release is None
    assert offered(check(history, device(label="v3", content="h2"))) == "v3"


def test_the_newest_label_without_a_hash_is_offered_the_release_again() -> None:
    # Only the hash tells that the device has these contents; SDKs send both.
    assert offered(check([rel(1), rel(2)], device(label="v2"))) == "v2"


# How the binary stands to the newest enabled release, when there is nothing to offer.


@pytest.mark.parametrize(
    ("binaries", "version", "needs_another_binary"),
    [
        # Too old: only another binary would help.
        ("2.0.0", "1.0.0", True),
        ("^2.1", "2.0.0", True),
        ("1.0.0 || 3.0.0", "2.0.0", True),
        (">=1.0.0", "0.9.0", True),
        # Too new: it waits for a release of its own.
        ("1.0.0", "2.0.0", False),
        ("1.0", "1.1.0", False),
        ("<1.5.0", "1.5.0", False),
        # npm takes a prerelease that the range leaves out for one above it, if that has an end.
        ("*", "1.0.0-beta", True),
        ("^1.0.0", "1.5.0-beta", False),
    ],
)
def test_a_binary_outside_the_range_is_told_how_it_stands_to_it(
    binaries: str, version: str, needs_another_binary: bool
) -> None:
    assert check([rel(1, binaries)], device(version)) == UpdateAnswer(
        app_version=binaries,
        update_app_version=needs_another_binary,
        should_run_binary_version=True,
    )


def test_the_newest_enabled_release_is_what_a_binary_is_compared_with() -> None:
    history = [rel(1, "1.0.0"), rel(2, "2.0.0"), rel(3, "3.0.0", disabled=True)]
    answer = check(history, device("1.0.0", label="v1", content="h1"))
    assert answer == UpdateAnswer(app_version="2.0.0", update_app_version=True)


def test_a_binary_ahead_of_the_newest_release_is_told_the_range_without_an_offer() -> None:
    history = [rel(1, "2.0.0"), rel(2, "1.0.0")]
    assert check(history, device("2.0.0", content="h1")) == UpdateAnswer(app_version="1.0.0")


def test_a_history_without_enabled_releases_has_the_device_run_its_own_binary() -> None:
    history = [rel(1, disabled=True), rel(2, "9.0.0", disabled=True)]
    assert check(history, device()) == UpdateAnswer(should_run_binary_version=True)


def test_should_run_binary_version_is_false_while_an_enabled_release_fits() -> None:
    history = [rel(1), rel(2, "2.0.0")]
    assert not check(history, device(content="h1")).should_run_binary_version
    assert not check(history, device()).should_run_binary_version
    assert check(history, device("1.1.0")).should_run_binary_version


def test_a_companion_ignores_binary_versions() -> None:
    history = [rel(1, "1.0.0"), rel(2, "9.0.0")]
    answer = check(history, device("1.0.0", companion=True))
    assert offered(answer) == "v2"
    assert answer.app_version == "1.0.0"


def test_a_companion_without_an_update_still_learns_how_its_binary_stands() -> None:
    history = [rel(1, "9.0.0")]
    answer = check(history, device("1.0.0", content="h1", companion=True))
    assert answer == UpdateAnswer(app_version="9.0.0", update_app_version=True)


# Rollouts.


def in_and_out(rollout: int, label: str) -> tuple[str, str]:
    """Return a device inside and one outside of a rollout."""
    names = [f"device-{n}" for n in range(400)]
    inside = next(n for n in names if bucket(n, label) < rollout)
    outside = next(n for n in names if bucket(n, label) >= rollout)
    return inside, outside


ROLLING = [rel(1), rel(2, rollout=30)]


def test_a_rollout_reaches_its_share_and_the_others_get_the_release_before() -> None:
    inside, outside = in_and_out(30, "v2")
    assert offered(check(ROLLING, device(), inside)) == "v2"
    assert offered(check(ROLLING, device(), outside)) == "v1"


@pytest.mark.parametrize("rollout", [1, 25, 50, 99])
def test_a_device_is_selected_exactly_if_its_bucket_is_below_the_rollout(rollout: int) -> None:
    decision = decide([rel(1), rel(2, rollout=rollout)], device())
    for n in range(300):
        expected = "v2" if bucket(f"u{n}", "v2") < rollout else "v1"
        assert offered(decision.answer_for(f"u{n}")) == expected


def test_a_finished_rollout_reaches_everybody() -> None:
    for client in ("", "u1", "u2"):
        assert offered(check([rel(1), rel(2, rollout=100)], device(), client)) == "v2"


def test_a_device_without_an_id_is_outside_of_every_rollout() -> None:
    for rollout in (1, 50, 99):
        answer = check([rel(1), rel(2, rollout=rollout)], device(), client="")
        assert offered(answer) == "v1"


def test_a_device_outside_a_first_rollout_is_told_to_run_its_binary() -> None:
    _, outside = in_and_out(30, "v1")
    answer = check([rel(1, rollout=30)], device(), outside)
    assert answer == UpdateAnswer(should_run_binary_version=True)


def test_a_device_outside_a_rollout_that_runs_the_release_before_is_offered_nothing() -> None:
    _, outside = in_and_out(30, "v2")
    assert check(ROLLING, device(label="v1", content="h1"), outside) == UpdateAnswer()


def test_a_mandatory_rollout_is_mandatory_only_where_it_has_come() -> None:
    inside, outside = in_and_out(30, "v3")
    history = [rel(1), rel(2), rel(3, mandatory=True, rollout=30)]
    request = device(label="v1", content="h1")
    assert check(history, request, inside).is_mandatory
    settled = check(history, request, outside)
    assert offered(settled) == "v2"
    assert not settled.is_mandatory


def test_a_rollout_for_other_binaries_does_not_concern_a_device() -> None:
    history = [rel(1), rel(2, "2.0.0", rollout=1)]
    decision = decide(history, device("1.0.0"))
    assert decision.rolling_out is None
    assert offered(decision.settled) == "v1"


def test_a_disabled_rollout_is_offered_to_nobody() -> None:
    inside, _ = in_and_out(30, "v2")
    history = [rel(1), rel(2, rollout=30, disabled=True)]
    assert offered(check(history, device(), inside)) == "v1"


def test_a_device_outside_learns_of_its_binary_from_settled_releases_only() -> None:
    inside, outside = in_and_out(30, "v2")
    history = [rel(1, "2.0.0"), rel(2, "^1.0.0", rollout=30)]
    assert offered(check(history, device("1.0.0"), inside)) == "v2"
    assert check(history, device("1.0.0"), outside) == UpdateAnswer(
        app_version="2.0.0", update_app_version=True, should_run_binary_version=True
    )


@pytest.mark.parametrize("label", ["", "v2"])
def test_a_device_on_a_release_that_its_rollout_has_not_reached_stays_on_it(label: str) -> None:
    # It was there before the rollout was lowered, or has another id now. No way back to v1.
    _, outside = in_and_out(30, "v2")
    for client in (outside, ""):
        assert check(ROLLING, device(label=label, content="h2"), client) == UpdateAnswer()


# The same, as the reference server's numbered steps say it.


def transcription(
    history: list[dict[str, Any]], request: dict[str, Any], *, ignore_rollouts: bool
) -> dict[str, Any]:
    """Steps of reference-server.md 1.2 over plain values; absent means empty."""
    result: dict[str, Any] = {
        "is_available": False,
        "is_mandatory": False,
        "app_version": "",
        "label": "",
        "update_app_version": False,
        "rollout": None,
    }
    if not history:
        result["should_run_binary_version"] = True
        return result
    version = parse_version(normalize_app_version(request["app_version"]))
    found = False
    latest_enabled = None
    latest_satisfying = None
    make_mandatory = False
    for release in reversed(history):
        # 1.
        if not request["label"] and not request["hash"]:
            found = True
        if request["label"] and request["label"] == release["label"]:
            found = True
        if not request["label"] and request["hash"] == release["hash"]:
            found = True
        # 2.
        if release["disabled"]:
            continue
        if ignore_rollouts and release["rollout"] != 100:
            continue
        # 3.
        if latest_enabled is None:
            latest_enabled = release
        # 4.
        satisfies = parse_range(release["app_version"]).matches(version)
        if not request["companion"] and not satisfies:
            continue
        # 5.
        if latest_satisfying is None:
            latest_satisfying = release
        # 6.
        if found:
            break
        if release["mandatory"]:
            make_mandatory = True
            break
    # After.
    result["should_run_binary_version"] = latest_satisfying is None
    if latest_enabled is None:
        return result
    if latest_satisfying is None or latest_satisfying["hash"] == request["hash"]:
        newest = parse_range(latest_enabled["app_version"])
        if newest.is_below(version):
            result["app_version"] = latest_enabled["app_version"]
        elif not newest.matches(version):
            result["update_app_version"] = True
            result["app_version"] = latest_enabled["app_version"]
        return result
    result["is_available"] = True
    result["is_mandatory"] = make_mandatory or latest_satisfying["mandatory"]
    result["app_version"] = request["app_version"]
    result["label"] = latest_satisfying["label"]
    result["rollout"] = latest_satisfying["rollout"]
    return result


def to_int32(value: int) -> int:
    value &= 0xFFFFFFFF
    return value - 0x1_0000_0000 if value >= 0x8000_0000 else value


def reference_bucket(identifier: str) -> int:
    """``toInt32(h << 5) - h + c``, where only the shift is cut to 32 bits (1.3)."""
    value = 0
    units = identifier.encode("utf-16-be")
    for at in range(0, len(units), 2):
        value = to_int32(to_int32(value) << 5) - value + int.from_bytes(units[at : at + 2])
    return abs(value) % 100


def expected_answer(
    history: list[dict[str, Any]], request: dict[str, Any], client: str
) -> dict[str, Any]:
    """Section 1.3: a second pass while what was found is being rolled out."""
    result = transcription(history, request, ignore_rollouts=False)
    if result["rollout"] in {None, 100}:
        return result
    if client and reference_bucket(f"{client}-{result['label']}") < result["rollout"]:
        return result
    return transcription(history, request, ignore_rollouts=True)


VERSIONS = ["1.0.0", "1.0", "1", "1.5.0", "1.5", "2.0.0", "1.5.0-beta.1", "v1.0.0", "0.1.0", "3"]
BINARIES = ["1.0.0", "1.0", "^1.0.0", "1.5.0", "~1.5", "2.0.0", "2.x", "*", "1.5.0-beta.1"]
BINARIES += [">=1.5.0-alpha", ">=1.0.0 <2.0.0", "1.0.0 || 2.0.0", "0.1.0 - 1.0.0"]
CONTENTS = ["a", "b", "c", "d"]

a_release = st.fixed_dictionaries(
    {
        "app_version": st.sampled_from(BINARIES),
        "hash": st.sampled_from(CONTENTS),
        "disabled": st.sampled_from([False, False, False, True]),
        "mandatory": st.sampled_from([False, False, False, True]),
        "rollout": st.sampled_from([100, 100, 100, 1, 30, 60, 99]),
        "gap": st.integers(1, 3),
    }
)
a_history = st.lists(a_release, max_size=8)
a_request = st.fixed_dictionaries(
    {
        "app_version": st.sampled_from(VERSIONS),
        "hash": st.sampled_from(["", *CONTENTS, "e"]),
        "label": st.sampled_from(["", "", *(f"v{n}" for n in range(1, 12)), "v99", "1.0.0"]),
        "companion": st.sampled_from([False, False, False, True]),
    }
)
a_client = st.one_of(
    st.just(""),
    st.integers(0, 500).map(lambda n: f"u{n}"),
    st.uuids().map(str),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12),
)


@settings(max_examples=1_000, deadline=None)
@given(a_history, a_request, a_client)
def test_every_answer_is_that_of_the_reference_server_s_steps(
    history: list[dict[str, Any]], request: dict[str, Any], client: str
) -> None:
    releases = []
    number = 0
    for each in history:
        number += each["gap"]
        each["label"] = f"v{number}"
        releases.append(
            rel(
                number,
                each["app_version"],
                content=each["hash"],
                disabled=each["disabled"],
                mandatory=each["mandatory"],
                rollout=each["rollout"],
            )
        )
    asked = device(
        request["app_version"],
        label=request["label"],
        content=request["hash"],
        companion=request["companion"],
    )
    answer = check(releases, asked, client)
    expected = expected_answer(history, request, client)
    assert {
        "is_available": answer.release is not None,
        "is_mandatory": answer.is_mandatory,
        "app_version": answer.app_version,
        "label": answer.release.label if answer.release else "",
        "update_app_version": answer.update_app_version,
        "should_run_binary_version": answer.should_run_binary_version,
    } == {name: value for name, value in expected.items() if name != "rollout"}


@settings(max_examples=200, deadline=None)
@given(a_history, a_request)
def test_one_preparation_serves_many_checks(
    history: list[dict[str, Any]], request: dict[str, Any]
) -> None:
    releases = [
        rel(n, each["app_version"], content=each["hash"], rollout=each["rollout"])
        for n, each in enumerate(history, 1)
    ]
    asked = device(request["app_version"], label=request["label"], content=request["hash"])
    prepared = Candidates(iter(releases))
    first = prepared.decide(asked)
    prepared.decide(device("2.0.0"))
    assert prepared.decide(asked) == first == decide(releases, asked)
