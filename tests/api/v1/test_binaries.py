"""Binaries: registered, listed, forgotten, and what devices that run them get."""

import io
import json
from dataclasses import replace
from typing import Any

import pytest

from codepush.domain.errors import NotFoundError
from codepush.domain.ids import OrganizationId
from codepush.services.access import Access
from codepush.services.container import Services
from tests.api.v1.client import SeedClient
from tests.api_client import Account, make_zip
from tests.archive.native_client import hash_of, install
from tests.conftest import FakeClock
from tests.services.line import Line, tree

BINARIES = "/apps/App/binaries"
BINARY = tree("of the binary")


@pytest.fixture
def world(seed: SeedClient) -> SeedClient:
    seed.add_app()
    return seed


@pytest.fixture
def line(world: SeedClient, services: Services) -> Line:
    principal = services.tokens.authenticate(str(world.token))
    return Line(services, principal)


def add(client: SeedClient, content: bytes, version: object = "1.0.0", expect: int = 201) -> Any:
    data = {
        "package": (io.BytesIO(content), "p.zip"),
        "packageInfo": json.dumps({"appVersion": version}),
    }
    answer: Any = client.call("POST", BINARIES, expect=expect, data=data).get_json()
    return answer["binary"] if expect == 201 else answer["error"]


def test_a_binary_is_registered_listed_and_forgotten(world: SeedClient, clock: FakeClock) -> None:
    made = add(world, make_zip(BINARY), "1.2")
    assert made == {
        "packageHash": hash_of(BINARY),
        "appVersion": "1.2.0",
        "addedTime": clock.now_ms,
        "addedBy": "ann@example.com",
    }
    clock.advance(1)
    other = add(world, make_zip(tree("another")))
    assert world.get(BINARIES)["binaries"] == [made, other]
    assert world.get(BINARIES, limit=1)["binaries"] == [made]
    world.delete(f"{BINARIES}/{made['packageHash']}")
    assert world.get(BINARIES)["binaries"] == [other]
    world.refused(404, "DELETE", f"{BINARIES}/{made['packageHash']}")
    actions = [(each["action"], each["target"]) for each in world.entries()[:3]]
    assert actions == [
        ("binary.removed", hash_of(BINARY)),
        ("binary.added", "1.0.0"),
        ("binary.added", "1.2.0"),
    ]


def test_a_binary_registered_again_is_one(world: SeedClient) -> None:
    add(world, make_zip(BINARY), "1.0.0")
    again = add(world, make_zip(BINARY), "2.0.0")
    assert world.get(BINARIES)["binaries"] == [again]


@pytest.mark.parametrize(
    ("content", "version", "parameter"),
    [
        (make_zip(BINARY), "^1.0.0", "appVersion"),
        (make_zip(BINARY), "latest", "appVersion"),
        (b"console.log(1)", "1.0.0", "package"),
        (b"", "1.0.0", "package"),
        (make_zip({"../x": b"1"}), "1.0.0", "package"),
    ],
)
def test_what_is_no_binary_is_refused(
    world: SeedClient, services: Services, content: bytes, version: str, parameter: str
) -> None:
    error = add(world, content, version, expect=400)
    assert error["details"]["parameter"] == parameter
    assert world.get(BINARIES)["binaries"] == []
    assert list(services.storage.list_blobs()) == []


def test_there_may_not_be_too_many(world: SeedClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("codepush.services.binaries.MAX_BINARIES", 1)
    add(world, make_zip(BINARY))
    add(world, make_zip(BINARY), "1.1.0")
    add(world, make_zip(tree("another")), expect=409)


def test_who_was_shut_out_during_the_upload_registers_nothing(
    world: SeedClient, services: Services, line: Line
) -> None:
    ann = line.principal
    bob = Account.create(services, "bob@example.com")
    services.ownership.add_collaborator(ann, "App", "bob@example.com")
    principal = services.tokens.authenticate(bob.token)
    target = services.binaries.target(principal, "ann@example.com:App")
    services.ownership.remove_collaborator(ann, "App", "bob@example.com")
    upload = io.BytesIO(make_zip(BINARY))
    with pytest.raises(NotFoundError):
        services.binaries.add(principal, target, upload, "1.0.0")
    assert world.get(BINARIES)["binaries"] == []


def test_a_binary_is_not_registered_for_an_organization_that_lost_the_app(
    world: SeedClient, services: Services, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = replace(line.app, organization_id=OrganizationId("another"))
    monkeypatch.setattr(Access, "confirm", lambda *_: moved)
    upload = io.BytesIO(make_zip(BINARY))
    with pytest.raises(NotFoundError):
        services.binaries.add(line.principal, line.app, upload, "1.0.0")
    assert world.get(BINARIES)["binaries"] == []


def test_a_device_that_runs_its_binary_gets_a_diff(world: SeedClient, line: Line) -> None:
    line.release(tree("1"))
    add(world, make_zip(BINARY))
    made = line.prepare("v1")
    diff = made.diffs[hash_of(BINARY)]
    assert diff
    assert line.check(hash_of(BINARY)).download == diff
    assert hash_of(install(line.fetch(diff.blob_key), BINARY)) == made.package_hash


def test_a_binary_of_another_version_gets_its_diff_when_it_asks(
    world: SeedClient, line: Line
) -> None:
    line.release(tree("1"), "1.0.0")
    add(world, make_zip(BINARY), "2.0.0")
    assert line.prepare("v1").diffs == {}
    line.services.packaging.prepare_diff(
        line.app.id,
        line.deployment.id,
        "v1",
        line.services.binaries.list_for(line.principal, "App")[0].package_hash,
    )
    assert line["v1"].diffs[hash_of(BINARY)]


def test_the_list_of_a_binary_s_files_is_not_collected(
    world: SeedClient, line: Line, clock: FakeClock
) -> None:
    add(world, make_zip(BINARY))
    line.release(tree("1"))  # while the token is good
    for _ in range(3):
        clock.advance(900 * 86_400)
        line.services.collection.run()
    assert line.prepare("v1").diffs[hash_of(BINARY)]
