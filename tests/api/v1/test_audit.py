"""The audit log: one entry for each change, in a chain that shows tampering."""

import io
from collections.abc import Callable
from typing import Any

import pytest

from codepush.domain.errors import ConflictError
from codepush.domain.events import Action, decode_event, encode_event
from codepush.services.container import Services
from codepush.store import keys
from codepush.store.connection import StoreClient
from tests.api.v1.client import SeedClient
from tests.api_client import bundle
from tests.archive.test_signatures import PUBLIC_KEY
from tests.conftest import FakeClock

STAGING = "/apps/App/deployments/Staging"
Step = tuple[str, Callable[[SeedClient], object]]


def invite(client: SeedClient) -> str:
    made = client.post("/organizations/Acme/invitations", {"email": "x@example.com"})
    return str(made["invitation"]["id"])


def webhook(client: SeedClient, act: str = "") -> str:
    [found] = client.get("/webhooks")["webhooks"]
    return f"/webhooks/{found['id']}{act}"


def webhook_steps() -> list[Step]:
    made = {"url": "https://example.com/hook"}
    span = {"since": "2025-06-15T00:00:00Z", "until": "2025-06-16T00:00:00Z"}
    return [
        ("webhook.created", lambda c: c.post("/webhooks", made)),
        ("webhook.changed", lambda c: c.patch(webhook(c), {"description": "CI"})),
        ("webhook.secret_rotated", lambda c: c.post(webhook(c, "/rotate-secret"), expect=200)),
        ("webhook.replayed", lambda c: c.post(webhook(c, "/replay"), span, 200)),
        ("webhook.disabled", lambda c: c.post(webhook(c, "/disable"), expect=200)),
        ("webhook.enabled", lambda c: c.post(webhook(c, "/enable"), expect=200)),
        ("webhook.deleted", lambda c: c.delete(webhook(c))),
    ]


def steps() -> list[Step]:
    """Every change that there is, and what the log calls it."""
    return [
        ("app.created", lambda c: c.add_app()),
        ("deployment.created", lambda c: c.post("/apps/App/deployments", {"name": "Beta"})),
        ("deployment.renamed", lambda c: c.patch("/apps/App/deployments/Beta", {"name": "B"})),
        ("deployment.deleted", lambda c: c.delete("/apps/App/deployments/B")),
        ("deployment.released", lambda c: c.release()),
        ("deployment.released", lambda c: c.release(b"2")),
        ("release.updated", lambda c: c.patch(f"{STAGING}/releases/v2", {"rollout": 50})),
        ("deployment.promoted", lambda c: c.post(f"{STAGING}/promote", {"to": "Production"})),
        ("deployment.rolled_back", lambda c: c.post(f"{STAGING}/rollback")),
        ("deployment.cleared", lambda c: c.delete(f"{STAGING}/releases")),
        (
            "collaborator.added",
            lambda c: c.post("/apps/App/collaborators", {"email": "bob@example.com"}),
        ),
        (
            "collaborator.removed",
            lambda c: c.delete("/apps/App/collaborators/bob@example.com"),
        ),
        (
            "collaborator.added",
            lambda c: c.post("/apps/App/collaborators", {"email": "bob@example.com"}),
        ),
        ("app.renamed", lambda c: c.patch("/apps/App", {"name": "Other"})),
        (
            "app.transferred",
            lambda c: c.post("/apps/Other/transfer", {"email": "bob@example.com"}, 200),
        ),
        ("app.created", lambda c: c.add_app("Third")),
        ("app.deleted", lambda c: c.delete("/apps/Third")),
        ("token.created", lambda c: c.post("/auth/tokens", {"friendlyName": "CI"})),
        ("token.revoked", lambda c: c.delete("/auth/tokens/CI")),
        ("account.changed", lambda c: c.patch("/account", {"name": "Ann"})),
        ("member.invited", invite),
        (
            "invitation.revoked",
            lambda c: c.delete(
                "/organizations/Acme/invitations/"
                + c.get("/organizations/Acme/invitations")["invitations"][0]["id"]
            ),
        ),
        *webhook_steps(),
        ("organization.renamed", lambda c: c.patch("/organizations/Acme", {"name": "acme"})),
    ]


def test_every_change_leaves_one_entry_and_the_chain_holds(
    seed: SeedClient, bob: SeedClient, services: Services
) -> None:
    before = len(seed.entries())
    for number, (action, step) in enumerate(steps(), 1):
        step(seed)
        entries = seed.entries("acme")
        assert len(entries) == before + number, action
        assert entries[0]["action"] == action
        assert entries[0]["actor"]["email"] == "ann@example.com"
    sequences = [each["sequence"] for each in entries]
    assert sequences == list(range(len(sequences), 0, -1))
    assert len({each["hash"] for each in entries}) == len(entries)
    organization = services.stores.organizations.find("acme")
    assert organization
    assert services.audit.verify(organization.id).length == len(entries)


def hand_over_and_change_members(seed: SeedClient, bob: SeedClient) -> None:
    """Move Ann's app App to an organization called Second, where Bob comes and goes."""
    seed.post("/organizations", {"name": "Second"})
    seed.post("/apps/App/move", {"organization": "Second"}, 200)
    path = "/organizations/Second/invitations"
    token = seed.post(path, {"email": bob.email, "role": "Viewer"})["token"]
    bob.post("/invitations/accept", {"token": token}, 200)
    member = f"/organizations/Second/members/{bob.email}"
    seed.patch(member, {"role": "Admin"})
    seed.delete(member)


def test_the_other_changes_are_logged_where_they_happen(seed: SeedClient, bob: SeedClient) -> None:
    seed.add_app()
    hand_over_and_change_members(seed, bob)
    assert seed.entries("Acme")[0]["action"] == "app.moved"
    entries = seed.entries("Second")
    found = [each for each in entries if not each["app"]]
    assert [each["app"] for each in entries if each not in found] == ["App"]
    assert [each["action"] for each in found] == [
        "member.removed",
        "member.changed",
        "member.added",
        "member.invited",
        "organization.created",
    ]
    assert found[2]["actor"]["email"] == found[2]["target"] == bob.email
    assert found[1]["details"] == {"role": "Admin"}


def test_what_the_operator_changes_is_logged_as_nobodys(
    seed: SeedClient, services: Services
) -> None:
    services.organizations.set_quota("acme", 7)
    services.organizations.set_quota("acme", None)
    found = seed.entries("Acme")[:2]
    assert [each["action"] for each in found] == ["organization.quota_changed"] * 2
    assert [each["details"] for each in found] == [{"quotaPerHour": None}, {"quotaPerHour": 7}]
    assert found[0]["actor"] == {"email": None, "token": None, "address": None}


def test_every_action_there_is_was_logged(
    seed: SeedClient, bob: SeedClient, services: Services
) -> None:
    """An action that nothing here leads to is one that nobody saw in a log."""
    for _, step in steps():
        step(seed)
    seed.add_app()
    seed.patch("/apps/App", {"publicKey": PUBLIC_KEY})
    body = {"package": (io.BytesIO(bundle()), "p.zip"), "packageInfo": '{"appVersion": "1.0.0"}'}
    binary = seed.call("POST", "/apps/App/binaries", expect=201, data=body).get_json()["binary"]
    seed.delete(f"/apps/App/binaries/{binary['packageHash']}")
    hand_over_and_change_members(seed, bob)
    services.organizations.set_quota("acme", 7)
    seed.post("/auth/tokens", {"friendlyName": "CI"})
    headers = {"Authorization": f"Bearer {seed.token}"}
    renamed = seed.http.patch("/accessKeys/CI", headers=headers, json={"friendlyName": "Robot"})
    assert renamed.status_code == 200  # only the classic dialect changes tokens
    logged = {
        each["action"] for organization in ("Acme", "Second") for each in seed.entries(organization)
    }
    assert logged == {*Action}


def test_logging_in_and_out_leaves_an_entry_each(seed: SeedClient) -> None:
    seed.patch("/account", {"password": "a password of hers"})
    before = len(seed.entries())
    body = {"email": seed.email, "password": "a password of hers"}
    session = seed.nobody().post("/auth/login", body, 200)
    SeedClient(seed.app, session["accessToken"]).post("/auth/logout", expect=200)
    found = seed.entries()
    assert [each["action"] for each in found[:2]] == ["token.revoked", "token.created"]
    assert len(found) == before + 2


def test_what_is_refused_leaves_no_entry(seed: SeedClient, bob: SeedClient) -> None:
    seed.add_app()
    seed.post("/apps/App/collaborators", {"email": bob.email})
    before = seed.entries()
    seed.refused(409, "POST", "/apps", {"name": "App"})
    seed.refused(400, "POST", "/apps", {"name": ""})
    bob.refused(403, "DELETE", "/apps/App")
    seed.release(b"", expect=400)
    seed.patch("/apps/App", {"name": "App"})
    assert seed.entries() == before


def test_an_entry_says_who_did_what_when_from_where_and_by_which_token(
    seed: SeedClient, clock: FakeClock
) -> None:
    seed.add_app()
    token = seed.post("/auth/tokens", {"friendlyName": "CI"})["accessToken"]
    clock.advance(1.5)
    SeedClient(seed.app, token).release(description="Bug fixes", rollout=50)
    entry = seed.entries()[0]
    assert entry["time"] == "2025-06-15T15:06:41.500Z"
    assert entry["action"] == "deployment.released"
    assert entry["actor"] == {"email": "ann@example.com", "token": "CI", "address": "127.0.0.1"}
    assert (entry["app"], entry["deployment"], entry["target"]) == ("App", "Staging", "v1")
    release = entry["details"]["release"]
    assert (release["label"], release["rollout"]) == ("v1", 50)
    assert token not in str(seed.entries())


def test_the_log_of_an_organization_is_its_own(seed: SeedClient, bob: SeedClient) -> None:
    seed.add_app()
    bob.add_app("Bobs")
    assert [each["app"] for each in seed.entries()][:1] == ["App"]
    assert [each["app"] for each in bob.entries()][:1] == ["Bobs"]
    assert "Bobs" not in str(seed.entries())


def test_tampering_is_detected(seed: SeedClient, services: Services, redis: StoreClient) -> None:
    for name in ("One", "Two", "Three"):
        seed.add_app(name)
    organization = services.stores.organizations.find("Acme")
    assert organization
    seed.entries()
    services.audit.verify(organization.id)
    key = keys.audit(organization.id)
    rows = redis.xrange(key, min="-", max="+", count=100)
    row_id, row = rows[-2]

    def put(rows: list[tuple[str, dict[str, str]]]) -> None:
        redis.delete(key)
        for each_id, fields in rows:
            redis.execute_command(  # type: ignore[attr-defined]
                "XADD", key, each_id, *(text for pair in fields.items() for text in pair)
            )

    event = decode_event(row["e"])
    changed: Any = {**row, "e": encode_event(type(event)(**{**_fields(event), "app": "Faked"}))}
    for forged in (
        [each if each[0] != row_id else (row_id, changed) for each in rows],
        [each for each in rows if each[0] != row_id],
    ):
        put(forged)
        with pytest.raises(ConflictError, match="tampered"):
            services.audit.verify(organization.id)
    put(rows)
    assert services.audit.verify(organization.id).length == len(rows)


def _fields(event: Any) -> dict[str, Any]:
    return {name: getattr(event, name) for name in type(event).__dataclass_fields__}


def test_entries_are_kept_as_long_as_the_operator_says(
    seed: SeedClient, services: Services, clock: FakeClock
) -> None:
    seed.add_app("Old")
    assert seed.entries()[0]["app"] == "Old"
    clock.advance(30 * 86_400)
    fresh = seed.as_token(ttl=3_153_600_000_000)
    clock.advance(340 * 86_400)
    fresh.add_app("New")
    found = fresh.entries("Acme")
    assert [each["app"] for each in found if each["app"]] == ["New"]
    assert found[-1]["sequence"] > 1
    organization = services.stores.organizations.find("Acme")
    assert organization
    assert services.audit.verify(organization.id).length == len(found)
