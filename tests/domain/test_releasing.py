"""What may be done to a history, and what becomes of it."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codepush.domain import releasing as rules
from codepush.domain.errors import (
    CodePushError,
    ConflictError,
    InvalidParameterError,
    NotFoundError,
)
from codepush.domain.ids import PackageHash
from codepush.domain.models import History, Release, ReleaseMethod
from codepush.domain.releasing import Change, ReleaseOverrides
from codepush.domain.semver import parse_range, parse_version
from codepush.domain.update_check import Candidates, UpdateRequest
from tests.domain.releases import rel

LIMIT = 500

UNFINISHED = "Please update the previous release to 100% rollout before releasing a new package."
IDENTICAL = (
    "The uploaded package was not released because it is identical to the contents of the"
    " specified deployment's current release."
)
PROMOTE_UNFINISHED = (
    "Cannot promote to an unfinished rollout release unless it is already disabled."
)
PROMOTE_IDENTICAL = (
    "The uploaded package was not promoted because it is identical to the contents of the"
    " targeted deployment's current release."
)


def new(app_version: str = "1.0.0", content: str = "new", **fields: int) -> Release:
    return replace(rel(0, app_version, content=content, **fields), id="new")


TEMPLATE = replace(rel(0), id="copy", uploaded_at_ms=777, released_by="bob@example.com")


def past(*releases: Release, last_number: int | None = None) -> History:
    newest = releases[-1].number if releases else 0
    return History(1, newest if last_number is None else last_number, releases)


def after(history: History, change: Change) -> History:
    """Return what the store makes of a change."""
    held = {r.number: r for r in history.releases}
    held |= {r.number: r for r in change.updated}
    if change.added:
        held[change.added.number] = change.added
    for number in change.dropped:
        del held[number]
    last = max(history.last_number, change.added.number if change.added else 0)
    return History(history.version + 1, last, tuple(held[n] for n in sorted(held)))


def add(history: History, release: Release, limit: int = LIMIT) -> Change:
    return rules.add_release(history, release, limit=limit)


def promote(
    source: History,
    target: History,
    label: str | None = None,
    overrides: ReleaseOverrides | None = None,
) -> Change:
    return rules.promote(
        source.only(label),
        target,
        TEMPLATE,
        overrides or ReleaseOverrides(),
        label=label,
        source_name="Staging",
        limit=LIMIT,
    )


def roll_back(history: History, label: str | None = None) -> Change:
    return rules.roll_back(history, TEMPLATE, label=label, limit=LIMIT)


def patch(
    history: History,
    label: str | None = None,
    *,
    only_up: bool = True,
    app_version: str | None = None,
    description: str | None = None,
    is_disabled: bool | None = None,
    is_mandatory: bool | None = None,
    rollout: int | None = None,
) -> Change:
    overrides = ReleaseOverrides(app_version, description, is_disabled, is_mandatory, rollout)
    return rules.patch_release(history, overrides, label=label, only_up=only_up)


# Labels.


def test_the_first_release_is_v1_and_each_next_one_counts_on() -> None:
    history = past()
    for number in (1, 2, 3):
        change = add(history, new(content=f"c{number}"))
        assert change.added
        assert change.added.label == f"v{number}"
        history = after(history, change)


def test_labels_never_restart_after_a_clear() -> None:
    history = past(rel(1), rel(2))
    cleared = after(history, rules.clear(history))
    assert cleared.releases == ()
    change = add(cleared, new())
    assert change.added
    assert change.added.label == "v3"


@pytest.mark.parametrize("how", ["release", "promote", "roll back"])
def test_labels_count_from_the_highest_ever_given(how: str) -> None:
    history = past(rel(1, content="a"), rel(2, content="b"), last_number=41)
    change = {
        "release": lambda: add(history, new()),
        "promote": lambda: promote(past(rel(1)), history),
        "roll back": lambda: roll_back(history),
    }[how]()
    assert change.added
    assert change.added.label == "v42"


# Release.


def test_a_release_over_an_enabled_unfinished_rollout_is_refused() -> None:
    with pytest.raises(ConflictError) as refusal:
        add(past(rel(1), rel(2, rollout=50)), new())
    assert refusal.value.message == UNFINISHED


def test_a_release_over_a_disabled_unfinished_rollout_is_taken_and_ends_it() -> None:
    change = add(past(rel(1), rel(2, rollout=50, disabled=True)), new())
    assert change.updated == (rel(2, disabled=True),)


def test_an_unfinished_rollout_below_a_disabled_release_is_in_the_way_too() -> None:
    with pytest.raises(ConflictError) as refusal:
        add(past(rel(1, rollout=50), rel(2, disabled=True)), new())
    assert refusal.value.message == UNFINISHED


def test_other_releases_are_left_alone() -> None:
    change = add(past(rel(1, disabled=True), rel(2)), new())
    assert (change.updated, change.dropped, change.cleared) == ((), (), False)


@pytest.mark.parametrize(
    ("held", "app_version", "content", "identical"),
    [
        # An exact version: the newest release that fits it.
        ([("1.0.0", "a")], "1.0.0", "a", True),
        ([("1.0.0", "a")], "1.0.0", "b", False),
        ([("1.0.0", "a"), ("1.0.0", "b")], "1.0.0", "a", False),
        ([("1.0.0", "a"), ("2.0.0", "b")], "1.0.0", "a", True),
        ([("1.0.0", "a"), ("2.0.0", "b")], "2.0.0", "a", False),
        ([("^1.0.0", "a")], "1.5.0", "a", True),
        ([("^1.0.0", "a")], "v1.5.0", "a", True),
        ([("^1.0.0", "a")], "2.0.0", "a", False),
        ([("1.0.0", "a"), ("*", "b")], "1.0.0", "a", False),
        # A range: the newest release alone, if its range means the same.
        ([("^1.0.0", "a")], "^1.0.0", "a", True),
        ([("^1.0.0", "a")], "1.x", "a", True),
        ([("^1.0.0", "a")], "1", "a", True),
        ([("^1.0.0", "a")], ">=1.0.0 <2.0.0-0", "a", True),
        ([("^1.0.0", "a")], "^1.1.0", "a", False),
        ([("1.0.0", "a")], "^1.0.0", "a", False),
        ([("^1.0.0", "a"), ("2.0.0", "b")], "^1.0.0", "a", False),
        ([("1.0.0", "a")], "=1.0.0", "a", True),
        ([], "1.0.0", "a", False),
        ([], "*", "a", False),
    ],
)
def test_contents_are_identical_only_to_what_the_release_would_replace(
    held: list[tuple[str, str]], app_version: str, content: str, identical: bool
) -> None:
    history = past(*(rel(n, v, content=c) for n, (v, c) in enumerate(held, 1)))
    source = past(rel(1, app_version, content=content))
    if identical:
        with pytest.raises(ConflictError) as refusal:
            add(history, new(app_version, content))
        assert refusal.value.message == IDENTICAL
        with pytest.raises(ConflictError) as refusal:
            promote(source, history)
        assert refusal.value.message == PROMOTE_IDENTICAL
    else:
        assert add(history, new(app_version, content)).added
        assert promote(source, history).added


def test_a_disabled_release_counts_as_what_would_be_replaced() -> None:
    with pytest.raises(ConflictError):
        add(past(rel(1, content="a", disabled=True)), new(content="a"))


def test_the_unfinished_rollout_is_named_before_identical_contents() -> None:
    with pytest.raises(ConflictError) as refusal:
        add(past(rel(1, content="a", rollout=10)), new(content="a"))
    assert refusal.value.message == UNFINISHED


# Promote.


def test_promote_copies_the_newest_release() -> None:
    held = rel(4, "^1.0.0", mandatory=True, description="Fixes", content="a")
    change = promote(past(rel(3), held), past(rel(1), rel(2)))
    assert change.added == replace(
        held,
        id="copy",
        number=3,
        uploaded_at_ms=777,
        released_by="bob@example.com",
        method=ReleaseMethod.PROMOTE,
        original_label="v4",
        original_deployment="Staging",
    )


def test_promote_takes_the_release_of_a_given_label() -> None:
    change = promote(past(rel(1), rel(2), rel(3)), past(), label="v2")
    assert change.added
    assert change.added.package_hash == "h2"
    assert change.added.original_label == "v2"


def test_promote_names_the_deployment_it_took_from_and_not_the_first_one() -> None:
    held = replace(rel(2), original_label="v9", original_deployment="Dev")
    change = promote(past(held), past())
    assert change.added
    assert (change.added.original_label, change.added.original_deployment) == ("v2", "Staging")


def test_promote_does_not_inherit_the_rollout() -> None:
    change = promote(past(rel(1, rollout=25)), past())
    assert change.added
    assert change.added.rollout == 100


def test_promote_inherits_being_disabled() -> None:
    change = promote(past(rel(1, disabled=True)), past())
    assert change.added
    assert change.added.is_disabled


def test_promote_sets_what_is_given() -> None:
    given = ReleaseOverrides("2.0.0", "Other", is_disabled=False, is_mandatory=False, rollout=10)
    source = past(rel(1, disabled=True, mandatory=True, description="Fixes"))
    change = promote(source, past(), overrides=given)
    assert change.added
    assert change.added.app_version == "2.0.0"
    assert change.added.description == "Other"
    assert not change.added.is_disabled
    assert not change.added.is_mandatory
    assert change.added.rollout == 10


def test_identity_is_judged_by_the_version_that_the_promoted_release_will_have() -> None:
    source, target = past(rel(1, "1.0.0", content="a")), past(rel(1, "1.0.0", content="a"))
    assert promote(source, target, overrides=ReleaseOverrides("2.0.0")).added


def test_promote_from_an_empty_deployment_is_refused() -> None:
    for label in (None, "v1"):
        with pytest.raises(NotFoundError) as refusal:
            promote(past(), past(), label=label)
        assert refusal.value.message == (
            "Cannot promote from a deployment with no enabled releases."
        )


def test_promote_of_an_unknown_label_is_refused() -> None:
    with pytest.raises(NotFoundError, match="v9"):
        promote(past(rel(1)), past(), label="v9")


def test_promote_over_an_enabled_unfinished_rollout_is_refused() -> None:
    with pytest.raises(ConflictError) as refusal:
        promote(past(rel(1, content="a")), past(rel(1), rel(2, rollout=99)))
    assert refusal.value.message == PROMOTE_UNFINISHED


def test_promote_over_a_disabled_unfinished_rollout_is_taken() -> None:
    change = promote(past(rel(1, content="a")), past(rel(1), rel(2, rollout=9, disabled=True)))
    assert change.updated == (rel(2, disabled=True),)


# Rollback.


def test_rollback_copies_the_second_newest_release() -> None:
    held = rel(2, mandatory=True, description="Good", content="a")
    change = roll_back(past(rel(1), held, rel(3)))
    assert change.added == replace(
        held,
        id="copy",
        number=4,
        uploaded_at_ms=777,
        released_by="bob@example.com",
        method=ReleaseMethod.ROLLBACK,
        original_label="v2",
    )


def test_rollback_takes_the_release_of_a_given_label() -> None:
    change = roll_back(past(rel(1), rel(2), rel(3)), "v1")
    assert change.added
    assert change.added.package_hash == "h1"


def test_rollback_of_a_promoted_release_names_the_release_here() -> None:
    held = replace(rel(1), original_label="v9", original_deployment="Dev")
    change = roll_back(past(held, rel(2)))
    assert change.added
    assert (change.added.original_label, change.added.original_deployment) == ("v1", None)


def test_rollback_during_a_rollout_is_allowed_and_ends_it() -> None:
    change = roll_back(past(rel(1), rel(2, rollout=20)))
    assert change.added
    assert change.added.rollout == 100
    assert change.updated == (rel(2),)


def test_rollback_to_a_release_that_was_never_rolled_out_in_full_is_a_full_one() -> None:
    change = roll_back(past(rel(1, rollout=20, disabled=True), rel(2)))
    assert change.added
    assert change.added.rollout == 100


NO_RELEASES = "Cannot perform rollback because there are no releases on this deployment."
NO_PRIOR = "Cannot perform rollback because there are no prior releases to rollback to."
LATEST_ALREADY = (
    "Cannot perform rollback because the target release (v2) is already the latest release."
)
NOT_FOUND = (
    "Cannot perform rollback because the target release (v9) could not be found in the deployment"
    " history."
)
OTHER_BINARY = (
    "Cannot perform rollback to a different app version. Please perform a new release with the"
    " desired replacement package."
)


@pytest.mark.parametrize(
    ("held", "label", "error", "sentence"),
    [
        ([], None, NotFoundError, NO_RELEASES),
        ([], "v1", NotFoundError, NO_RELEASES),
        ([rel(1)], None, NotFoundError, NO_PRIOR),
        ([rel(1), rel(2)], "v2", ConflictError, LATEST_ALREADY),
        ([rel(1), rel(2)], "v9", NotFoundError, NOT_FOUND),
        ([rel(1, "1.0.0"), rel(2, "2.0.0")], None, ConflictError, OTHER_BINARY),
        ([rel(1, "^1.0.0"), rel(2, "1.x")], "v1", ConflictError, OTHER_BINARY),
    ],
)
def test_rollback_is_refused_with_the_reference_server_s_sentence(
    held: list[Release], label: str | None, error: type[CodePushError], sentence: str
) -> None:
    with pytest.raises(error) as refusal:
        roll_back(past(*held), label)
    assert refusal.value.message == sentence


# Patch.


def test_patch_changes_the_newest_release_unless_told_which() -> None:
    history = past(rel(1), rel(2))
    assert patch(history, description="x").updated == (rel(2, description="x"),)
    assert patch(history, "v1", description="x").updated == (rel(1, description="x"),)


def test_patch_sets_every_property_given() -> None:
    change = patch(
        past(rel(1, rollout=10)),
        app_version="2.0.0",
        description="x",
        is_disabled=True,
        is_mandatory=True,
        rollout=20,
    )
    expected = rel(1, "2.0.0", description="x", disabled=True, mandatory=True, rollout=20)
    assert change.updated == (expected,)


def test_patch_clears_a_description_only_where_told_so() -> None:
    history = past(rel(1, description="x"))
    assert patch(history, is_mandatory=True).updated[0].description == "x"
    assert patch(history, description="").updated[0].description == ""


def test_a_patch_that_changes_nothing_is_empty() -> None:
    history = past(rel(1, description="x", mandatory=True))
    assert patch(history).is_empty
    assert patch(history, description="x", is_mandatory=True, app_version="1.0.0").is_empty
    assert not patch(history, is_mandatory=False).is_empty


def test_patch_of_what_is_not_there_is_refused() -> None:
    with pytest.raises(NotFoundError) as refusal:
        patch(past(), description="x")
    assert refusal.value.message == "Deployment has no releases."
    with pytest.raises(NotFoundError) as refusal:
        patch(past(rel(1)), "v9", description="x")
    assert refusal.value.message == "Release not found for given label."


def test_the_classic_dialect_s_rollout_only_grows() -> None:
    history = past(rel(1), rel(2, rollout=50))
    assert patch(history, rollout=51).updated == (rel(2, rollout=51),)
    assert patch(history, rollout=100).updated == (rel(2),)
    for rollout in (1, 49, 50):
        with pytest.raises(ConflictError) as refusal:
            patch(history, rollout=rollout)
        assert refusal.value.message == (
            'Rollout value must be greater than "50", the existing value.'
        )


@pytest.mark.parametrize("rollout", [1, 50, 100])
def test_the_classic_dialect_s_completed_rollout_is_final(rollout: int) -> None:
    with pytest.raises(ConflictError) as refusal:
        patch(past(rel(1)), rollout=rollout)
    assert refusal.value.message == ("Cannot update rollout value for a completed rollout release.")


@pytest.mark.parametrize("rollout", [1, 49, 51, 100])
def test_the_seed_dialect_s_rollout_goes_both_ways(rollout: int) -> None:
    assert patch(past(rel(1, rollout=50)), only_up=False, rollout=rollout).updated


def test_the_seed_dialect_may_reopen_the_rollout_of_the_newest_enabled_release() -> None:
    history = past(rel(1), rel(2), rel(3, disabled=True))
    change = patch(history, "v2", only_up=False, rollout=40)
    assert change.updated == (rel(2, rollout=40),)


def test_only_the_newest_enabled_release_may_be_below_100() -> None:
    history = past(rel(1), rel(2))
    with pytest.raises(ConflictError) as refusal:
        patch(history, "v1", only_up=False, rollout=40)
    assert "v1" in refusal.value.message
    assert "v2" in refusal.value.message


def test_a_release_below_another_unfinished_rollout_cannot_be_enabled_over_it() -> None:
    history = past(rel(1, rollout=40), rel(2, rollout=50, disabled=True))
    with pytest.raises(ConflictError, match="v1"):
        patch(history, "v2", is_disabled=False)


def test_an_old_unfinished_rollout_cannot_be_enabled_below_a_newer_release() -> None:
    history = past(rel(1, rollout=40, disabled=True), rel(2))
    with pytest.raises(ConflictError):
        patch(history, "v1", is_disabled=False)
    assert patch(history, "v1", is_disabled=False, rollout=100).updated == (rel(1),)


def test_a_description_may_be_patched_during_any_rollout() -> None:
    history = past(rel(1), rel(2, rollout=50))
    assert patch(history, "v1", description="x").updated
    assert patch(history, "v2", description="x").updated


def test_disabling_an_unfinished_rollout_is_always_possible() -> None:
    history = past(rel(1), rel(2, rollout=50))
    assert patch(history, is_disabled=True).updated == (rel(2, rollout=50, disabled=True),)


# Clear.


def test_clear_drops_everything_and_the_metrics() -> None:
    change = rules.clear(past(rel(3), rel(7)))
    assert (change.dropped, change.cleared) == ((3, 7), True)
    assert not rules.clear(past()).is_empty, "the metrics of binary versions are cleared too"


# Target binary ranges.


@pytest.mark.parametrize("text", ["1.0.0", "1.0", "*", "", "^1", ">=1 <2", "1.x || 2.0.0"])
def test_npm_ranges_are_target_binary_ranges(text: str) -> None:
    assert rules.check_range(text) == text


@pytest.mark.parametrize("text", ["one", "1.0.0.0", "^^1", "1.0.0 and up", "x" * 257, "\0", "１"])
def test_anything_else_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(InvalidParameterError, match=r"^The target binary version .*\.$"):
        rules.check_range(text)


# What falls off.


def test_a_history_within_the_limit_is_kept_whole() -> None:
    releases = tuple(rel(n) for n in range(1, 6))
    assert rules.kept_beyond_limit(releases, 5) == releases


def test_the_oldest_releases_fall_off() -> None:
    releases = tuple(rel(n) for n in range(1, 8))
    assert rules.kept_beyond_limit(releases, 5) == releases[2:]


def test_the_newest_enabled_release_of_each_range_is_kept() -> None:
    releases = (
        rel(1, "1.0.0"),
        rel(2, "1.0.0"),
        rel(3, "1.0.0", disabled=True),
        rel(4, "2.0.0"),
        *(rel(n, "3.0.0") for n in range(5, 10)),
    )
    kept = [r.number for r in rules.kept_beyond_limit(releases, 5)]
    assert kept == [2, 4, 5, 6, 7, 8, 9]


def test_ranges_that_mean_the_same_are_one() -> None:
    releases = (rel(1, "^1.0.0"), rel(2, "1.x"), *(rel(n, "3.0.0") for n in range(3, 8)))
    kept = [r.number for r in rules.kept_beyond_limit(releases, 5)]
    assert kept == [2, 3, 4, 5, 6, 7]


def test_the_newest_settled_release_of_a_range_is_kept_below_an_unfinished_one() -> None:
    releases = (
        rel(1, "1.0.0"),
        rel(2, "1.0.0"),
        rel(3, "1.0.0", rollout=50),
        *(rel(n, "3.0.0") for n in range(4, 8)),
    )
    kept = [r.number for r in rules.kept_beyond_limit(releases, 4)]
    assert kept == [2, 3, 4, 5, 6, 7]


def test_a_range_for_each_release_cannot_grow_a_history_without_bound() -> None:
    releases = tuple(rel(n, f"1.0.{n}") for n in range(1, 51))
    kept = [r.number for r in rules.kept_beyond_limit(releases, 5)]
    assert kept == list(range(41, 51))


def test_a_release_over_the_limit_drops_what_nobody_needs() -> None:
    history = past(rel(1, "1.0.0"), *(rel(n, "2.0.0") for n in range(2, 5)))
    change = add(history, new("2.0.0"), limit=3)
    assert change.dropped == (2,)
    assert [r.number for r in after(history, change).releases] == [1, 3, 4, 5]


BINARIES = ["1.0.0", "^1.0.0", "1.x", "2.0.0", ">=2.0.0", "*", "~1.5.0", "1.0.0 || 3.0.0"]
a_release = st.builds(
    lambda binaries, disabled, rollout: rel(
        1, binaries, disabled=disabled, rollout=100 if rollout > 9 else rollout * 10
    ),
    st.sampled_from(BINARIES),
    st.booleans(),
    st.integers(1, 15),
)


def numbered(releases: list[Release]) -> tuple[Release, ...]:
    return tuple(
        replace(r, number=n, id=f"id{n}", package_hash=PackageHash(f"h{n}"))
        for n, r in enumerate(releases, 1)
    )


@given(st.lists(a_release, max_size=60).map(numbered), st.integers(1, 20))
def test_keeping_keeps_its_promises(releases: tuple[Release, ...], limit: int) -> None:
    kept = rules.kept_beyond_limit(releases, limit)
    numbers = [r.number for r in kept]
    assert numbers == sorted(set(numbers)), "in order, each once"
    assert set(kept) <= set(releases), "unchanged"
    assert kept[-limit:] == releases[-limit:], "the newest are all there"
    assert len(kept) <= 2 * limit, "bounded"
    assert rules.kept_beyond_limit(kept, limit) == kept, "what is kept stays"


@given(
    st.lists(a_release, min_size=1, max_size=60).map(numbered),
    st.integers(2 * len(BINARIES), 40),
    st.sampled_from(["1.0.0", "1.5.0", "2.0.0", "2.5.0", "3.0.0", "0.1.0", "1.5.0-beta"]),
)
def test_what_falls_off_changes_no_device_s_answer(
    releases: tuple[Release, ...], limit: int, version: str
) -> None:
    # Up to limit / 2 ranges. A device that runs nothing yet, so that labels do not matter.
    request = UpdateRequest(version, parse_version(version))
    kept = rules.kept_beyond_limit(releases, limit)
    assert Candidates(kept).decide(request) == Candidates(releases).decide(request)


@given(st.lists(a_release, min_size=1, max_size=60).map(numbered), st.integers(16, 40))
def test_each_range_keeps_its_newest_enabled_and_its_newest_settled_release(
    releases: tuple[Release, ...], limit: int
) -> None:
    kept = rules.kept_beyond_limit(releases, limit)
    for binaries in BINARIES:
        same = [
            r
            for r in reversed(releases)
            if not r.is_disabled and parse_range(r.app_version) == parse_range(binaries)
        ]
        for needed in (same[:1], [r for r in same if r.rollout == 100][:1]):
            assert set(needed) <= set(kept)


# Many changes, one after the other.


an_act = st.one_of(
    st.tuples(
        st.just("release"),
        st.sampled_from(BINARIES),
        st.sampled_from("abc"),
        st.booleans(),
        st.sampled_from([10, 50, 100, 100]),
    ),
    st.tuples(st.just("promote"), st.integers(1, 12)),
    st.tuples(st.just("roll back"), st.one_of(st.none(), st.integers(1, 12))),
    st.tuples(
        st.just("patch"),
        st.one_of(st.none(), st.integers(1, 12)),
        st.one_of(st.none(), st.booleans()),
        st.one_of(st.none(), st.integers(1, 100)),
        st.booleans(),
    ),
    st.tuples(st.just("clear")),
)


def perform(act: tuple[object, ...], history: History) -> Change:
    match act:
        case ("release", str(binaries), str(content), bool(disabled), int(rollout)):
            fresh = new(binaries, content, disabled=disabled, rollout=rollout)
            return add(history, fresh, limit=6)
        case ("promote", int(number)):
            return rules.promote(
                past(rel(number, content="a")), history, TEMPLATE, ReleaseOverrides(rollout=30),
                label=None, source_name="Staging", limit=6,
            )  # fmt: skip
        case ("roll back", number):
            label = f"v{number}" if number else None
            return rules.roll_back(history, TEMPLATE, label=label, limit=6)
        case ("patch", number, disabled, rollout, bool(only_up)):
            return rules.patch_release(
                history,
                ReleaseOverrides(is_disabled=disabled, rollout=rollout),
                label=f"v{number}" if number else None,
                only_up=only_up,
            )
        case _:
            return rules.clear(history)


@settings(max_examples=300, deadline=None)
@given(st.lists(an_act, max_size=25))
def test_no_sequence_of_changes_breaks_the_rules_of_a_history(
    acts: list[tuple[object, ...]],
) -> None:
    history = past()
    given_labels: list[int] = []
    for act in acts:
        try:
            change = perform(act, history)
        except (ConflictError, NotFoundError):
            continue
        if change.added:
            given_labels.append(change.added.number)
        history = after(history, change)
        unfinished = [r for r in history.releases if r.is_rolling_out and not r.is_disabled]
        enabled = [r for r in history.releases if not r.is_disabled]
        assert len(unfinished) <= 1, "one unfinished rollout"
        assert not unfinished or unfinished[0] is enabled[-1], "of the newest enabled release"
        assert len(history.releases) <= 12
    assert given_labels == list(range(1, len(given_labels) + 1)), "each label once, none left out"
