"""Jobs that were lost with the queue, found by what releases lack."""

import io
from collections.abc import Callable

import pytest
from rq import Queue

from codepush.domain.models import Principal
from codepush.domain.releasing import ReleaseOverrides
from codepush.services.container import Services
from codepush.store.connection import connect_queue
from tests.api_client import make_zip
from tests.archive.native_client import hash_of
from tests.services.conftest import Waiting
from tests.services.line import Line, tree


@pytest.fixture
def lost(services: Services, queue_url: str, waiting: Waiting) -> Callable[[], int]:
    """Lose the queue, and return how many jobs a repair enqueues."""

    def repair_after_loss() -> int:
        with connect_queue(queue_url) as client:
            Queue("low", connection=client).empty()
        count = services.repair.run()
        assert len(waiting()) == len(set(waiting())) == count
        return count

    return repair_after_loss


def test_repair_finds_what_is_missing_and_nothing_else(
    staging: Line, lost: Callable[[], int]
) -> None:
    staging.release(tree("1"))
    staging.release(tree("2"))
    assert lost() == 2
    staging.prepare("v1")
    assert lost() == 1
    staging.prepare("v2")
    assert lost() == 0
    staging.release(b"console.log(1)")
    assert lost() == 1


def test_repair_enqueues_nothing_twice_and_not_too_much(
    staging: Line, services: Services, waiting: Waiting, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        staging.release(tree(str(number)))
    assert len(waiting()) == 3
    assert services.repair.run() == 0
    staging.services.packaging.prepare(staging.app.id, staging.deployment.id, "v2")
    with monkeypatch.context() as patch:
        patch.setattr("codepush.services.package_jobs.PackageJobs.prepared_soon", lambda _: set())
        patch.setattr("codepush.services.repair.MAX_WAITING", 4)
        assert services.repair.run() == 1
        assert services.repair.run() == 0
    assert len(waiting()) == 4


def test_only_what_devices_get_now_has_diffs_from_binaries_unasked(
    staging: Line, services: Services, principal: Principal, lost: Callable[[], int]
) -> None:
    for label, text in (("v1", "1"), ("v2", "2")):
        staging.release(tree(text))
        staging.prepare(label)
    services.binaries.add(
        principal, staging.app, io.BytesIO(make_zip(tree("of the binary"))), "1.0.0"
    )
    assert lost() == 1
    assert hash_of(tree("of the binary")) in staging.prepare("v2").diffs
    assert hash_of(tree("of the binary")) not in staging.prepare("v1").diffs
    assert lost() == 0
    services.releasing.patch(
        principal, "App", "Staging", ReleaseOverrides(is_disabled=True), label="v2", only_up=False
    )
    assert lost() == 1
    assert hash_of(tree("of the binary")) in staging.prepare("v1").diffs
