"""Smaller packages and diffs, as workers make them, on a real store and disk."""

import contextlib
import gc
import io
import random
import subprocess
import sys
import threading
from typing import Any

import pytest
from rq import Queue

from codepush.domain.diffing import MAX_DIFFS
from codepush.domain.errors import StorageError
from codepush.domain.ids import AppId, BlobKey, DeploymentId, PackageHash
from codepush.domain.models import Download, Principal, Release
from codepush.domain.releasing import ReleaseOverrides
from codepush.services.container import Services
from codepush.services.downloads import Downloads
from codepush.services.package_jobs import PackageJobs
from codepush.services.releasing import Released
from codepush.store.connection import StoreClient, connect_queue
from codepush.store.packages import PackageStore
from codepush.store.releases import ReleaseStore
from tests.api_client import make_zip
from tests.archive.native_client import hash_of, install, unzip
from tests.services.line import Line, tree


class KilledError(Exception):
    """Stands for a SIGKILL."""


def test_a_release_leaves_the_work_to_the_workers(staging: Line, waiting: Any) -> None:
    made = staging.release(tree("1"))
    assert made.served is None
    assert waiting() == [("prepare", (staging.app.id, staging.deployment.id, "v1"))]


def test_a_package_gets_smaller_and_keeps_its_contents(staging: Line) -> None:
    uploaded = staging.release(tree("1"))
    made = staging.prepare("v1")
    assert made.served
    assert made.served.size < uploaded.size
    assert made.served.blob_key != uploaded.blob_key == made.blob_key
    assert hash_of(unzip(staging.fetch(made.served.blob_key))) == uploaded.package_hash


def test_a_package_that_cannot_get_smaller_stays(staging: Line) -> None:
    first = staging.release(tree("1"))
    small = staging.prepare("v1").served
    assert small
    staging.release(tree("2"))
    again = staging.release(staging.fetch(small.blob_key).read())
    assert again.package_hash == first.package_hash
    made = staging.prepare("v3")
    assert made.served == small
    assert made.blob_key == small.blob_key


def test_diffs_merge_to_the_release_from_each_of_the_five_before(staging: Line) -> None:
    trees = [tree(str(number), **{str(number): b"only here"}) for number in range(1, 8)]
    for each in trees:
        staging.release(each)
    made = staging.prepare("v7")
    assert made.served
    assert set(made.diffs) == {hash_of(each) for each in trees[1:6]}
    for base in trees[1:6]:
        diff = made.diffs[hash_of(base)]
        assert diff
        assert diff.size < 0.9 * made.served.size
        assert hash_of(install(staging.fetch(diff.blob_key), base)) == made.package_hash


def test_the_signature_is_in_a_diff_although_it_is_not_in_the_hash(staging: Line) -> None:
    name = "CodePush/.codepushrelease"
    signed = {**tree("1"), name: b"first signature"}
    staging.release(signed)
    staging.release(tree("2") | {name: b"first signature"})
    made = staging.prepare("v2")
    diff = made.diffs[hash_of(tree("1"))]
    assert diff
    # The device may have the same contents with another signature.
    merged = install(staging.fetch(diff.blob_key), tree("1") | {name: b"another"})
    assert merged[name] == b"first signature"
    assert hash_of(merged) == made.package_hash


def test_a_diff_that_is_not_worth_it_is_tried_once(staging: Line, waiting: Any) -> None:
    staging.release({"CodePush/a.bundle": random.Random(1).randbytes(5_000)})
    staging.release({"CodePush/a.bundle": random.Random(2).randbytes(5_000)})
    first = staging["v1"].package_hash
    assert staging.prepare("v2").diffs == {first: None}


def test_a_single_file_has_no_diffs(staging: Line) -> None:
    staging.release(b"console.log(1)")
    staging.release(b"console.log(2)")
    made = staging.prepare("v2")
    assert made.served == made.full
    assert made.served.blob_key == made.blob_key
    assert made.diffs == {staging["v1"].package_hash: None}


def test_preparing_twice_changes_nothing(staging: Line) -> None:
    staging.release(tree("1"))
    staging.release(tree("2"))
    staging.prepare("v2")
    history = staging.services.stores.releases.history(staging.app.id, staging.deployment.id)
    blobs = sorted(staging.services.storage.list_blobs(), key=lambda blob: blob.key)
    staging.prepare("v2")
    again = sorted(staging.services.storage.list_blobs(), key=lambda blob: blob.key)
    assert [blob.key for blob in again] == [blob.key for blob in blobs]
    after = staging.services.stores.releases.history(staging.app.id, staging.deployment.id)
    assert after == history


STEPS = [
    (Downloads, "keep"),
    (PackageStore, "note_prepared"),
    (PackageStore, "note_diff"),
    (ReleaseStore, "change"),
]


@pytest.mark.parametrize("is_done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", range(11))
def test_a_job_that_is_killed_at_any_step_is_completed_by_the_next(
    staging: Line, is_done: bool, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for text in ("1", "2", "3"):
        staging.release(tree(text))
    staging.prepare("v1")
    staging.prepare("v2")
    steps = 0

    def watched(step: Any) -> Any:
        def run(*arguments: Any, **options: Any) -> Any:
            nonlocal steps
            steps += 1
            if steps == number + 1 and not is_done:
                raise KilledError
            outcome = step(*arguments, **options)
            if steps == number + 1:
                raise KilledError
            return outcome

        return run

    with monkeypatch.context() as patch:
        for owner, name in STEPS:
            patch.setattr(owner, name, watched(getattr(owner, name)))
        with contextlib.suppress(KilledError):
            staging.prepare("v3")
    # 4 blobs, 3 notes, and 2 changes in each of 2 deployments.
    assert steps == min(number + 1, 11)
    # Whatever is there now is whole.
    release = staging["v3"]
    assert staging.services.storage.size(release.full.blob_key) == release.full.size
    made = staging.prepare("v3")
    assert made.served
    for old in ("1", "2"):
        diff = made.diffs[hash_of(tree(old))]
        assert diff
        assert hash_of(install(staging.fetch(diff.blob_key), tree(old))) == made.package_hash


def test_jobs_give_way_to_everything_else() -> None:
    script = (
        "import os\n"
        "from unittest.mock import MagicMock\n"
        "from codepush.jobs import packages\n"
        "packages.services = MagicMock()\n"
        "packages.prepare('app', 'deployment', 'v1')\n"
        "print(os.nice(0))\n"
    )
    command = [sys.executable, "-c", script]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "19\n"


@pytest.mark.parametrize("name", ["nobody's app", "nobody's deployment", "v9"])
def test_what_is_gone_needs_nothing(staging: Line, name: str) -> None:
    staging.release(tree("1"))
    app = AppId("gone") if name == "nobody's app" else staging.app.id
    deployment = DeploymentId("gone") if name == "nobody's deployment" else staging.deployment.id
    staging.services.packaging.prepare(app, deployment, "v9")
    assert staging["v1"].served is None


def test_an_app_deleted_meanwhile_leaves_no_keys(
    staging: Line, services: Services, redis: StoreClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    staging.release(tree("1"))
    note = services.stores.packages.note_prepared

    def delete_first(*arguments: Any) -> None:
        services.apps.delete(staging.principal, "App")
        note(*arguments[1:])

    monkeypatch.setattr(type(services.stores.packages), "note_prepared", delete_first)
    with pytest.raises(Exception, match="does not exist"):
        services.packaging.prepare(staging.app.id, staging.deployment.id, "v1")
    found = redis.scan_iter()  # type: ignore[attr-defined]
    left = {key for key in found if f"{{a:{staging.app.id}}}" in key}
    assert left == {f"cp:1:{{a:{staging.app.id}}}:log"}


def test_promotion_and_rollback_take_along_what_was_made(
    staging: Line, services: Services, principal: Principal, waiting: Any
) -> None:
    production = Line(services, principal, "Production")
    for text in ("1", "2"):
        staging.release(tree(text))
    made = staging.prepare("v2")
    promote = services.releasing.promote
    overrides = ReleaseOverrides()
    promoted = promote(principal, "App", "Staging", "Production", overrides).release
    assert (promoted.served, promoted.diffs) == (made.served, made.diffs)
    production.release(tree("3"))
    back = services.releasing.roll_back(principal, "App", "Production")
    assert (back.served, back.diffs) == (made.served, made.diffs)
    assert production.prepare(back.label).diffs.keys() == {
        *made.diffs,
        production["v2"].package_hash,
    }


def test_known_contents_are_small_at_once(
    staging: Line, services: Services, principal: Principal
) -> None:
    staging.release(tree("1"))
    staging.release(tree("2"))
    made = staging.prepare("v2")
    staging.release(tree("1"))
    again = staging.release(tree("2"))
    assert again.served == made.served
    assert again.diffs == made.diffs


def test_a_smaller_package_reaches_every_release_of_it(
    staging: Line, services: Services, principal: Principal
) -> None:
    production = Line(services, principal, "Production")
    staging.release(tree("1"))
    services.releasing.promote(principal, "App", "Staging", "Production", ReleaseOverrides())
    assert production["v1"].served is None
    made = staging.prepare("v1")
    assert production["v1"].served == made.served


def test_a_release_committed_while_a_worker_is_at_it_is_not_forgotten(
    staging: Line, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A commit that looked too early, and whose own job finds everything made."""
    staging.release(tree("1"))
    staging.release(tree("2"))
    staging.prepare("v1")
    monkeypatch.setattr(services.stores.packages.__class__, "prepared", lambda *_: None)
    late = staging.release(tree("1"))
    assert late.served is None
    monkeypatch.undo()
    assert staging.prepare(late.label).served == staging["v1"].served


def test_lost_blobs_are_made_again(staging: Line, services: Services) -> None:
    staging.release(tree("1"))
    staging.release(tree("2"))
    made = staging.prepare("v2")
    for blob in list(services.storage.list_blobs()):
        if blob.key not in {staging["v1"].blob_key, made.blob_key}:
            services.storage.delete(blob.key)
    staging.release(tree("3"))
    again = staging.release(tree("2"))
    assert (again.served, again.diffs) == (None, {})
    again = staging.prepare(again.label)
    assert again.served == made.served
    assert again.diffs[staging["v1"].package_hash] == made.diffs[staging["v1"].package_hash]
    assert services.storage.size(made.full.blob_key) == made.full.size


def test_a_damaged_blob_is_never_served_smaller(staging: Line, services: Services) -> None:
    made = staging.release(tree("1"))
    services.storage.put(made.blob_key, io.BytesIO(b"x" * 5), size=5, content_type="a/b")
    with pytest.raises(Exception, match="damaged"):
        staging.prepare("v1")
    assert staging["v1"].served is None


def test_no_more_diffs_are_kept_than_histories_can_bear(
    staging: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("codepush.services.packaging.MAX_DIFFS", 2)
    for number in range(5):
        staging.release(tree(str(number)))
    assert len(staging.prepare("v5").diffs) == 2
    assert MAX_DIFFS > 2


def test_there_is_no_diff_in_the_way_of_which_an_empty_folder_may_be(staging: Line) -> None:
    trees = [tree("1", **{"res/x": b"only here"}), tree("2"), tree("3", res=b"now a file")]
    for number, each in enumerate(trees, 1):
        staging.release(each)
        made = staging.prepare(f"v{number}")
    assert set(made.diffs.values()) == {None}
    assert staging["v2"].diffs[hash_of(trees[0])]
    # Were a diff from v1 made only now, it would be the one that leaves the folder.
    staging.services.stores.packages.keep_only(staging.app.id, set())
    staging.prepare("v3")
    staging.release(trees[0])
    staging.release(tree("4"))
    assert staging.prepare("v5").diffs[hash_of(trees[0])] is None


def damage(line: Line, key: BlobKey) -> None:
    """Change a byte of a blob, and neither its size nor its time."""
    content = bytearray(line.fetch(key).read())
    content[50] ^= 1
    line.services.storage.delete(key)
    line.services.storage.put(
        key, io.BytesIO(content), size=len(content), content_type="application/zip"
    )


def test_a_damaged_base_costs_no_other_its_diff_and_is_mended_by_releasing_it_again(
    staging: Line,
) -> None:
    for number in range(1, 6):
        staging.release(tree(str(number)))
    damage(staging, staging["v2"].blob_key)
    made = staging.prepare("v5")
    assert made.diffs.keys() == {hash_of(tree(number)) for number in "134"}
    staging.release(tree("2"))
    assert staging.prepare("v6").served
    assert staging.prepare("v5").diffs[hash_of(tree("2"))]


def test_what_was_made_is_given_although_the_storage_fails_for_one_base(
    staging: Line, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(1, 4):
        staging.release(tree(str(number)))
    kind, bad = type(services.storage), staging["v1"].blob_key
    open_ = kind.open

    def open_others(storage: Any, key: BlobKey) -> Any:
        if key == bad:
            raise StorageError("away")
        return open_(storage, key)

    with monkeypatch.context() as patch:
        patch.setattr(kind, "open", open_others)
        with pytest.raises(StorageError, match="away"):
            staging.prepare("v3")
    assert staging["v3"].served
    assert staging["v3"].diffs.keys() == {hash_of(tree("2"))}
    assert staging.prepare("v3").diffs.keys() == {hash_of(tree("1")), hash_of(tree("2"))}


def test_a_damaged_smaller_package_is_made_again(staging: Line) -> None:
    staging.release(tree("1"))
    staging.release(tree("2"))
    first = staging.prepare("v1").served
    second = staging.prepare("v2").served
    assert first
    assert second
    damage(staging, second.blob_key)
    staging.release(tree("3"))
    staging.services.packaging.prepare_diff(
        staging.app.id, staging.deployment.id, "v2", PackageHash("1" * 64)
    )
    assert hash_of(unzip(staging.fetch(second.blob_key))) == hash_of(tree("2"))


def test_what_cannot_be_touched_is_named_only_if_it_is_in_use(
    staging: Line, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    for text in ("1", "2"):
        staging.release(tree(text))
        staging.prepare("v1" if text == "1" else "v2")

    def away(*_: object) -> bool:
        raise StorageError("away")

    keep = Downloads.keep
    with monkeypatch.context() as patch:
        patch.setattr(type(services.storage), "touch", away)
        back = services.releasing.roll_back(staging.principal, "App", "Staging")
        assert (back.served, back.diffs) == (staging["v1"].served, {})
        patch.setattr(
            Downloads,
            "keep",
            lambda _self, app_id, _file, *, sha256, size, **_options: Download(
                BlobKey(f"{app_id}/{sha256}"), size
            ),
        )
        again = staging.release(tree("2"))
        assert (again.served, again.diffs) == (None, {})
    assert Downloads.keep is keep
    assert staging.prepare("v4").served == staging["v2"].served


class TestWishes:
    """Diffs that devices ask for."""

    @pytest.fixture
    def line(self, staging: Line, waiting: Any, queue_url: str) -> Line:
        for number in range(1, 9):
            staging.release(tree(str(number)))
        staging.prepare("v8")
        with connect_queue(queue_url) as client:
            Queue("low", connection=client).empty()
        return staging

    def ask(self, line: Line, package_hash: str) -> None:
        line.check(package_hash)
        self.settle(line)

    def settle(self, line: Line) -> None:
        """Wait until every wish was looked into."""
        wanted = line.services.packages_wanted
        for thread in threading.enumerate():
            if thread is wanted._thread:
                while wanted._wishes.unfinished_tasks:
                    thread.join(0.01)

    def test_a_device_with_an_old_package_gets_a_diff_next_time(
        self, line: Line, waiting: Any
    ) -> None:
        old = line["v1"].package_hash
        self.ask(line, old)
        job = ("prepare_diff", (line.app.id, line.deployment.id, "v8", old))
        assert waiting() == [job]
        line.services.packaging.prepare_diff(*job[1])
        made = line["v8"]
        diff = made.diffs[old]
        assert diff
        assert hash_of(install(line.fetch(diff.blob_key), tree("1"))) == made.package_hash
        assert line.check(old).download == diff

    def test_many_devices_make_one_job(self, line: Line, waiting: Any) -> None:
        for _ in range(20):
            self.ask(line, line["v2"].package_hash)
        assert len(waiting()) == 1

    def test_hashes_that_nobody_knows_leave_no_trace(
        self, line: Line, waiting: Any, redis: StoreClient
    ) -> None:
        before = set(redis.scan_iter())  # type: ignore[attr-defined]
        for number in range(200):
            self.ask(line, f"{number:064x}")
        self.ask(line, "x" * 1_000)
        assert waiting() == []
        assert set(redis.scan_iter()) == before  # type: ignore[attr-defined]

    def test_a_package_released_since_is_known_after_a_while(
        self, line: Line, waiting: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def wished_for() -> list[str]:
            return [wish[3] for kind, wish in waiting() if kind == "prepare_diff"]

        first, ninth = line["v1"].package_hash, line.release(tree("9")).package_hash
        self.ask(line, first)
        tenth = line.release(tree("10")).package_hash
        line.release(tree("11"))
        for held in (ninth, tenth):
            self.ask(line, held)
        assert wished_for() == [first, ninth]
        monkeypatch.setattr("codepush.services.packages_wanted._KNOWN_S", 0.0)
        self.ask(line, tenth)
        assert wished_for() == [first, ninth, tenth]

    def test_a_full_queue_is_not_filled_further(
        self, line: Line, waiting: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("codepush.services.packages_wanted.MAX_WAITING", 0)
        self.ask(line, line["v1"].package_hash)
        assert waiting() == []

    def test_a_job_for_an_unknown_base_notes_nothing_twice(self, line: Line) -> None:
        base = PackageHash("0" * 64)
        prepare = line.services.packaging.prepare_diff
        prepare(line.app.id, line.deployment.id, "v8", base)
        assert line["v8"].diffs[base] is None
        version = line.services.stores.releases.history(line.app.id, line.deployment.id).version
        prepare(line.app.id, line.deployment.id, "v8", base)
        history = line.services.stores.releases.history(line.app.id, line.deployment.id)
        assert history.version == version


def test_while_a_package_is_stored_no_history_is_held(
    staging: Line, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A soak found processes that grew with the length of histories: two were held, whole."""
    for number in range(5):
        staging.release(tree(f"{number}"))
    held = []
    put = services.storage.put

    def count() -> int:
        gc.collect()
        return sum(type(each) is Release for each in gc.get_objects())

    def put_counted(*given: Any, **more: Any) -> None:
        held.append(count())
        put(*given, **more)

    monkeypatch.setattr(services.storage, "put", put_counted)
    before = count()
    staging.release(tree("5"))
    assert held == [before + 2]  # the newest, and that to come


def test_a_copy_of_a_release_whose_package_is_gone_is_refused(
    staging: Line, services: Services, principal: Principal
) -> None:
    made = staging.release(tree("1"))
    services.storage.delete(made.blob_key)
    with pytest.raises(Exception, match="release it anew"):
        services.releasing.promote(principal, "App", "Staging", "Production", ReleaseOverrides())


def test_a_repeated_request_leaves_the_work_to_the_workers_again(
    staging: Line, services: Services, waiting: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, package = (staging.app, staging.deployment), make_zip(tree("1"))

    def release() -> Released:
        return services.releasing.release(
            staging.principal,
            target,
            io.BytesIO(package),
            ReleaseOverrides(app_version="1.0.0"),
            idempotency_key="k",
        )

    def killed(*_: object) -> bool:
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(PackageJobs, "prepare", killed)
        with pytest.raises(KilledError):
            release()
    assert waiting() == []
    assert release().is_repeat
    assert waiting() == [("prepare", (staging.app.id, staging.deployment.id, "v1"))]


def test_releasing_works_without_a_queue(
    services: Services, staging: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    import redis

    def away(*_: object, **__: object) -> None:
        raise redis.ConnectionError("away")

    monkeypatch.setattr("rq.Queue.enqueue", away)
    assert staging.release(tree("1")).label == "v1"
