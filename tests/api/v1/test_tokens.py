"""Access tokens: made, listed, revoked, limited."""

from urllib.parse import quote

import pytest

from tests.api.v1.client import SeedClient
from tests.conftest import FakeClock

DAY_MS = 86_400_000


def names(client: SeedClient) -> list[str]:
    return [each["friendlyName"] for each in client.get("/auth/tokens")["tokens"]]


def app_of(client: SeedClient, name: str) -> str | None:
    listed = client.get("/auth/tokens")["tokens"]
    return {each["friendlyName"]: each["app"] for each in listed}[name]


def test_a_token_is_shown_once_and_works(seed: SeedClient, clock: FakeClock) -> None:
    body = {"friendlyName": "My CLI Token", "ttl": DAY_MS}
    made = seed.post("/auth/tokens", body)
    assert made["friendlyName"] == "My CLI Token"
    assert made["expires"] == "2025-06-16T15:06:40Z"
    assert made["createdTime"] == clock.now_ms
    assert made["scopes"] == ["read", "release", "manage"]
    assert (made["organization"], made["app"]) == ("Acme", None)
    SeedClient(seed.app, made["accessToken"]).add_app()
    listed = seed.call("GET", "/auth/tokens").get_data(as_text=True)
    assert made["accessToken"] not in listed
    del made["accessToken"]
    assert made in seed.get("/auth/tokens")["tokens"]


def test_a_token_stops_working_when_it_expires(seed: SeedClient, clock: FakeClock) -> None:
    short = seed.as_token(ttl=1_000)
    short.get("/apps")
    clock.advance(1)
    assert "has expired" in short.refused(401, "GET", "/apps")["message"]
    seed.get("/apps")


def test_a_token_without_a_ttl_lives_as_long_as_the_server_says(seed: SeedClient) -> None:
    assert seed.post("/auth/tokens", {"friendlyName": "x"})["expires"] == "2025-08-14T15:06:40Z"


def test_a_name_is_given_once(seed: SeedClient, bob: SeedClient) -> None:
    for client in (seed, bob):
        client.post("/auth/tokens", {"friendlyName": "CI"})
    error = seed.refused(409, "POST", "/auth/tokens", {"friendlyName": "CI"})
    assert error["details"]["parameter"] == "friendlyName"


@pytest.mark.parametrize("name", ["CI", "a/b", "sp ace", "ünï", "100%", "a?b#c", "x" * 900])
def test_a_token_is_revoked_by_its_name(seed: SeedClient, name: str) -> None:
    made = seed.post("/auth/tokens", {"friendlyName": name})
    seed.delete(f"/auth/tokens/{quote(name, safe='')}")
    SeedClient(seed.app, made["accessToken"]).refused(401, "GET", "/apps")
    assert name not in names(seed)
    seed.refused(404, "DELETE", f"/auth/tokens/{quote(name, safe='')}")


def test_a_strangers_token_is_not_there(seed: SeedClient, bob: SeedClient) -> None:
    seed.post("/auth/tokens", {"friendlyName": "CI"})
    bob.refused(404, "DELETE", "/auth/tokens/CI")
    assert "CI" in names(seed)
    assert "CI" not in names(bob)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("friendlyName", None),
        ("friendlyName", ""),
        ("friendlyName", "  "),
        ("friendlyName", "a\nb"),
        ("friendlyName", 7),
        ("ttl", 0),
        ("ttl", -1),
        ("ttl", 1.5),
        ("ttl", "60000"),
        ("ttl", True),
        ("ttl", 10**30),
        ("scopes", []),
        ("scopes", ["admin"]),
        ("scopes", "read"),
        ("scopes", [["read"]]),
        ("organization", ""),
        ("app", 1),
        ("extra", "x"),
    ],
)
def test_a_token_of_nonsense_is_refused(seed: SeedClient, field: str, value: object) -> None:
    before = names(seed)
    body = {"friendlyName": "CI", field: value}
    error = seed.refused(400, "POST", "/auth/tokens", body)
    assert error["code"] == "InvalidParameter"
    assert error["details"]["parameter"].partition(".")[0] == field
    assert error["details"]["reason"]
    assert names(seed) == before


def test_whole_numbers_are_whole_however_they_are_written(seed: SeedClient) -> None:
    seed.call("POST", "/auth/tokens", b'{"friendlyName": "x", "ttl": 60000.0}', expect=201)


# Scopes.


@pytest.fixture
def world(seed: SeedClient) -> SeedClient:
    seed.add_app()
    seed.add_app("Other")
    seed.release()
    return seed


READS = ["/apps", "/apps/App", "/apps/App/deployments", "/apps/App/deployments/Staging/releases"]


@pytest.mark.parametrize(
    ("scope", "may_release", "may_manage"),
    [("read", False, False), ("release", True, False), ("manage", True, True)],
)
def test_a_scope_includes_those_below_it(
    world: SeedClient, scope: str, may_release: bool, may_manage: bool
) -> None:
    limited = world.as_token(scopes=[scope])
    for path in (*READS, "/account", "/auth/tokens", "/organizations"):
        limited.get(path)
    staging = "/apps/App/deployments/Staging"
    attempts = [
        (may_release, "PATCH", f"{staging}/releases/v1", {"rollout": 50}),
        (may_release, "POST", f"{staging}/promote", {"to": "Production"}),
        (may_manage, "POST", "/apps/App/deployments", {"name": "Beta"}),
        (may_manage, "PATCH", "/apps/App", {"name": "App"}),
        (may_manage, "POST", "/apps", {"name": "New"}),
        (may_manage, "POST", "/auth/tokens", {"friendlyName": "more"}),
        (may_manage, "PATCH", "/account", {"name": "Ann"}),
        (may_manage, "POST", "/organizations", {"name": "New"}),
        (may_manage, "GET", "/organizations/Acme/audit", None),
        (may_manage, "POST", "/organizations/Acme/invitations", {"email": "x@example.com"}),
        (may_manage, "DELETE", f"{staging}/releases", None),
        (may_manage, "DELETE", "/apps/Other", None),
    ]
    for may, method, path, body in attempts:
        response = limited.call(method, path, body) if body else limited.call(method, path)
        assert (response.status_code < 400) == may, (method, path)
        if not may:
            assert response.status_code == 403
            assert response.get_json()["error"]["code"] == "InsufficientScope"


def test_a_token_cannot_make_one_that_may_more(world: SeedClient) -> None:
    limited = world.as_token(scopes=["release"])
    body = {"friendlyName": "more", "scopes": ["manage"]}
    limited.refused(403, "POST", "/auth/tokens", body)


def test_a_token_for_one_app_knows_of_no_other(world: SeedClient) -> None:
    made = world.post("/auth/tokens", {"friendlyName": "one", "app": "App"})
    assert made["app"] == "App"
    limited = SeedClient(world.app, made["accessToken"])
    assert [each["name"] for each in limited.get("/apps")["apps"]] == ["App"]
    limited.release(b"new")
    limited.patch("/apps/App", {"name": "App"})
    for path in ("/apps/Other", "/apps/Other/deployments", "/apps/Other/collaborators"):
        assert limited.refused(404, "GET", path)["code"] == "NotFound"
    limited.refused(404, "DELETE", "/apps/Other")
    for method, path, body in (
        ("GET", "/auth/tokens", None),
        ("GET", "/organizations", None),
        ("POST", "/apps", {"name": "Third"}),
        ("POST", "/auth/tokens", {"friendlyName": "more"}),
        ("POST", "/apps/App/move", {"organization": "Acme"}),
        ("PATCH", "/account", {"name": "x"}),
    ):
        call = limited.call(method, path, body) if body else limited.call(method, path)
        assert call.status_code == 403, (method, path)


def test_a_token_for_an_app_follows_it_when_it_is_renamed(world: SeedClient) -> None:
    world.post("/auth/tokens", {"friendlyName": "one", "app": "App"})
    world.patch("/apps/App", {"name": "Renamed"})
    assert app_of(world, "one") == "Renamed"


def test_a_token_does_not_tell_what_became_of_an_app_that_was_given_away(
    world: SeedClient, bob: SeedClient
) -> None:
    world.post("/auth/tokens", {"friendlyName": "one", "app": "App"})
    world.post("/apps/App/transfer", {"email": bob.email}, 200)
    bob.delete(f"/apps/App/collaborators/{world.email}")
    bob.patch("/apps/App", {"name": "Secret"})
    assert app_of(world, "one") not in {"App", "Secret", None}


def test_a_token_for_an_app_of_a_stranger_is_not_made(world: SeedClient, bob: SeedClient) -> None:
    bob.add_app("Bobs")
    body = {"friendlyName": "one", "app": "Bobs"}
    world.refused(404, "POST", "/auth/tokens", body)
    body = {"friendlyName": "one", "organization": "Bobs"}
    world.refused(404, "POST", "/auth/tokens", body)


def test_a_token_carries_the_organization_it_was_made_for(world: SeedClient) -> None:
    world.post("/organizations", {"name": "Second"})
    second = world.as_token(organization="second")
    account = second.get("/account")["account"]
    assert (account["organization"], account["role"]) == ("Second", "Owner")
    second.add_app("Elsewhere")
    # All of them: the maker of an app is its collaborator, wherever they are.
    for client in (world, second):
        listed = {each["name"]: each["organization"] for each in client.get("/apps")["apps"]}
        assert listed == {"App": "Acme", "Other": "Acme", "Elsewhere": "Second"}


def test_a_token_in_the_query_is_refused_with_a_reason(seed: SeedClient) -> None:
    nobody = seed.nobody()
    error = nobody.refused(401, "GET", "/apps", query_string={"access_token": seed.token})
    assert "query string" in error["message"]
    assert seed.token not in str(error)
