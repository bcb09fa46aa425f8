"""Blobs without use go after a grace period, and never one that a release is about to use."""

import os
from typing import Any

import pytest

from codepush.domain.ids import BlobKey
from codepush.domain.releasing import ReleaseOverrides
from codepush.services.container import Services
from codepush.settings import Settings
from tests.conftest import FakeClock
from tests.services.line import Line, tree

DAY_S = 86_400


def keys(services: Services) -> set[BlobKey]:
    return {blob.key for blob in services.storage.list_blobs()}


def age_all(services: Services, settings: Settings, clock: FakeClock) -> None:
    """Let every blob be as old as the clock says now is."""
    for path in (settings.data_dir / "blobs").rglob("*"):
        if path.is_file():
            os.utime(path, (clock.now_ms / 1_000,) * 2)


def test_what_releases_need_stays(
    staging: Line, services: Services, settings: Settings, clock: FakeClock
) -> None:
    staging.release(tree("1"))
    staging.release(tree("2"))
    staging.prepare("v1")
    made = staging.prepare("v2")
    age_all(services, settings, clock)
    for _ in range(3):
        clock.advance(9 * DAY_S)
        outcome = services.collection.run()
    assert outcome.waiting == 0
    needed = {release.full.blob_key for release in (staging["v1"], made)}
    needed |= {diff.blob_key for diff in made.diffs.values() if diff}
    left = keys(services)
    assert needed < left
    # The two uploaded packages are gone, and two listings are there.
    assert len(left) == len(needed) + 2
    assert not {staging["v1"].blob_key, made.blob_key} & left
    assert staging.prepare("v2") == made


def test_unused_packages_wait_for_the_end_of_the_grace_period(
    staging: Line, services: Services, settings: Settings, clock: FakeClock
) -> None:
    made = staging.release(tree("1"))
    age_all(services, settings, clock)
    clock.advance(100 * DAY_S)
    services.releasing.clear(staging.principal, "App", "Staging")
    outcome = services.collection.run()
    assert (outcome.deleted, outcome.waiting) == (0, 1)
    clock.advance(7.9 * DAY_S)
    assert services.collection.run().deleted == 0
    clock.advance(0.2 * DAY_S)
    outcome = services.collection.run()
    assert (outcome.deleted, outcome.size, outcome.waiting) == (1, made.size, 0)
    assert keys(services) == set()
    assert services.stores.garbage.unreferenced() == {}


def test_what_others_keep_beside_packages_is_not_collected(
    staging: Line, services: Services, settings: Settings, clock: FakeClock
) -> None:
    staging.release(tree("1"))
    others = [settings.data_dir / "blobs" / name for name in ("readme.txt", "site/logo.png")]
    for path in others:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"of somebody else")
    for _ in range(3):
        age_all(services, settings, clock)
        clock.advance(9 * DAY_S)
        assert services.collection.run().deleted == 0
    assert all(path.exists() for path in others)


def test_a_package_that_is_used_again_begins_anew(
    staging: Line, services: Services, settings: Settings, clock: FakeClock
) -> None:
    staging.release(tree("1"))
    age_all(services, settings, clock)
    services.releasing.clear(staging.principal, "App", "Staging")
    services.collection.run()
    clock.advance(5 * DAY_S)
    staging.release(tree("1"))
    age_all(services, settings, clock)
    services.collection.run()
    services.releasing.clear(staging.principal, "App", "Staging")
    clock.advance(5 * DAY_S)
    assert services.collection.run().deleted == 0
    clock.advance(8 * DAY_S)
    assert services.collection.run().deleted == 1


def test_the_packages_of_a_deleted_app_go(
    staging: Line, services: Services, settings: Settings, clock: FakeClock
) -> None:
    staging.release(tree("1"))
    staging.prepare("v1")
    age_all(services, settings, clock)
    services.apps.delete(staging.principal, "App")
    services.collection.run()
    clock.advance(9 * DAY_S)
    assert services.collection.run().deleted == 3
    assert keys(services) == set()


@pytest.mark.parametrize("how", ["release", "promote"])
def test_what_a_release_in_flight_will_use_is_not_collected(
    how: str,
    staging: Line,
    services: Services,
    settings: Settings,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The collection runs between the moment a release looks at blobs and its commit."""
    principal = staging.principal
    staging.release(tree("1"))
    if how == "release":
        services.releasing.clear(principal, "App", "Staging")
    age_all(services, settings, clock)
    services.collection.run()
    clock.advance(9 * DAY_S)
    commit = type(services.stores.releases)._commit
    collected: list[int] = []

    def late(*arguments: Any) -> bool:
        if not collected:
            collected.append(0)
            if how == "promote":
                services.releasing.clear(principal, "App", "Staging")
            collected[0] = services.collection.run().deleted
        return commit(*arguments)

    monkeypatch.setattr(type(services.stores.releases), "_commit", late)
    if how == "release":
        made = staging.release(tree("1"))
    else:
        promote = services.releasing.promote
        made = promote(principal, "App", "Staging", "Production", ReleaseOverrides()).release
    assert services.storage.size(made.full.blob_key) == made.full.size


def test_what_interrupted_uploads_left_goes_too(
    services: Services, settings: Settings, clock: FakeClock
) -> None:
    incoming = settings.data_dir / "blobs" / ".incoming"
    incoming.mkdir(parents=True)
    old, new = incoming / "old", incoming / "new"
    for path, age_s in ((old, 9 * DAY_S), (new, 60)):
        path.write_bytes(b"half a package")
        os.utime(path, (clock.now_ms / 1_000 - age_s,) * 2)
    services.collection.run()
    assert not old.exists()
    assert new.exists()


def test_a_touched_blob_is_never_deleted_by_who_looked_before(
    staging: Line, services: Services, settings: Settings, clock: FakeClock
) -> None:
    made = staging.release(tree("1"))
    age_all(services, settings, clock)
    services.releasing.clear(staging.principal, "App", "Staging")
    services.collection.run()
    clock.advance(9 * DAY_S)
    storage = services.storage
    list_blobs = type(storage).list_blobs

    def touched_afterwards(*arguments: Any) -> list[Any]:
        found = list(list_blobs(*arguments))
        storage.touch(made.blob_key)
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(storage), "list_blobs", touched_afterwards)
        outcome = services.collection.run()
    assert (outcome.deleted, outcome.waiting) == (0, 1)
    assert keys(services) == {made.blob_key}
