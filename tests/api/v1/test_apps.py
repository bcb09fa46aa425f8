"""Apps and collaborators: made, shared, handed over, moved and deleted."""

from typing import Any

import pytest

from codepush.domain.permissions import Role
from codepush.services.container import Services
from tests.api.v1.client import SeedClient


def names(client: SeedClient) -> list[str]:
    return [each["name"] for each in client.get("/apps")["apps"]]


def permissions(client: SeedClient, app: str = "App") -> dict[str, str]:
    listed = client.get(f"/apps/{app}/collaborators")["collaborators"]
    return {each["email"]: each["permission"] for each in listed}


@pytest.fixture
def shared(seed: SeedClient, bob: SeedClient) -> SeedClient:
    """Bob, with whom an app of Ann's is shared."""
    seed.add_app()
    seed.post("/apps/App/collaborators", {"email": bob.email})
    return bob


def member(seed: SeedClient, services: Services, role: Role) -> SeedClient:
    """Return a member of Acme."""
    email = f"{role.value.lower()}@example.com"
    made = seed.another(email, "Acme")
    user = services.accounts.find_user(email)
    services.stores.organizations.set_role(
        services.stores.organizations.find("Acme").id,  # type: ignore[union-attr]
        user.id,
        role,
    )
    return made


def test_an_app_is_made_with_two_deployments_and_its_owner(seed: SeedClient) -> None:
    made = seed.add_app("MyApp-iOS", platform="ios")
    assert made == {
        "name": "MyApp-iOS",
        "platform": "ios",
        "organization": "Acme",
        "publicKey": None,
        "requireSignatures": False,
        "deployments": ["Production", "Staging"],
        "collaborators": [{"email": "ann@example.com", "permission": "Owner"}],
    }
    assert seed.get("/apps") == {"apps": [made]}
    assert seed.get("/apps/MyApp-iOS") == {"app": made}
    assert seed.get("/apps/myapp-ios") == {"app": made}, "names are found whatever their case"


def test_the_platform_may_be_left_out_and_is_the_os_of_the_classic_dialect(
    seed: SeedClient,
) -> None:
    assert seed.add_app("A")["platform"] is None
    seed.add_app("B", platform="android")
    headers = {"Authorization": f"Bearer {seed.token}"}
    classic: Any = seed.http.get("/apps/B", headers=headers).get_json()
    assert (classic["app"]["os"], classic["app"]["platform"]) == ("android", None)


@pytest.mark.parametrize("name", ["App", "app", "APP"])
def test_a_name_is_taken_whatever_its_case(seed: SeedClient, name: str) -> None:
    seed.add_app()
    error = seed.refused(409, "POST", "/apps", {"name": name})
    assert error["code"] == "Conflict"
    assert error["details"] == {"parameter": "name", "reason": "Name already exists"}


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": " "}, "name"),
        ({"name": "a/b"}, "name"),
        ({"name": "a:b"}, "name"),
        ({"name": "a?b"}, "name"),
        ({"name": "a\\b"}, "name"),
        ({"name": "a\u0000b"}, "name"),
        ({"name": ".."}, "name"),
        ({"name": "x" * 1_001}, "name"),
        ({"name": None}, "name"),
        ({"name": ["App"]}, "name"),
        ({"name": "App", "platform": ""}, "platform"),
        ({"name": "App", "platform": None}, "platform"),
        ({"name": "App", "platform": "x" * 101}, "platform"),
        ({"name": "App", "os": "ios"}, "os"),
        ({"name": "App", "manuallyProvisionDeployments": True}, "manuallyProvisionDeployments"),
    ],
)
def test_an_app_of_nonsense_is_refused(
    seed: SeedClient, body: dict[str, Any], parameter: str
) -> None:
    error = seed.refused(400, "POST", "/apps", body)
    assert error["details"]["parameter"] == parameter
    assert parameter in error["message"]
    assert seed.get("/apps") == {"apps": []}


def test_an_app_is_renamed(seed: SeedClient) -> None:
    seed.add_app()
    assert seed.patch("/apps/App", {"name": "New"})["app"]["name"] == "New"
    seed.refused(404, "GET", "/apps/App")
    seed.add_app()
    seed.refused(409, "PATCH", "/apps/App", {"name": "new"})
    assert seed.patch("/apps/App", {"name": "APP"})["app"]["name"] == "APP"
    assert seed.patch("/apps/App", {})["app"]["name"] == "APP"


def test_a_deleted_app_is_gone_and_so_are_its_keys(seed: SeedClient) -> None:
    seed.add_app()
    [production, _] = seed.get("/apps/App/deployments")["deployments"]
    check = f"/v0.1/public/codepush/update_check?deployment_key={production['key']}&app_version=1"
    assert seed.http.get(check).status_code == 200
    seed.delete("/apps/App")
    assert seed.http.get(check).status_code == 404
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/deployments")):
        assert seed.refused(404, method, f"/apps/App{path}")["code"] == "NotFound"


def test_a_strangers_app_is_not_there(seed: SeedClient, bob: SeedClient) -> None:
    seed.add_app()
    assert names(bob) == []
    for method, path, body in (
        ("GET", "", None),
        ("PATCH", "", {"name": "x"}),
        ("DELETE", "", None),
        ("POST", "/transfer", {"email": bob.email}),
        ("POST", "/move", {"organization": "Bobs"}),
        ("GET", "/collaborators", None),
        ("POST", "/collaborators", {"email": bob.email}),
        ("GET", "/deployments", None),
        ("GET", "/deployments/Staging/releases", None),
        ("GET", "/deployments/Staging/metrics", None),
    ):
        for reference in ("App", "ann@example.com:App", "Acme:App"):
            there = bob.call(method, f"/apps/{reference}{path}", *([body] if body else []))
            never = bob.call(method, f"/apps/Never{path}", *([body] if body else []))
            assert there.status_code == never.status_code == 404
            message = there.get_json()["error"]["message"].replace(f'"{reference}"', '"Never"')
            assert message == never.get_json()["error"]["message"]


def test_a_guest_sees_the_app_and_may_release_but_not_manage(
    seed: SeedClient, shared: SeedClient
) -> None:
    assert names(shared) == ["App"]
    assert shared.get("/apps/App")["app"]["organization"] == "Acme"
    shared.release()
    for method, path, body in (
        ("PATCH", "", {"name": "x"}),
        ("DELETE", "", None),
        ("POST", "/transfer", {"email": shared.email}),
        ("POST", "/move", {"organization": "Bobs"}),
        ("POST", "/deployments", {"name": "Beta"}),
        ("POST", "/collaborators", {"email": "x@example.com"}),
        ("DELETE", "/collaborators/ann@example.com", None),
        ("DELETE", "/deployments/Staging/releases", None),
    ):
        call = shared.call(method, f"/apps/App{path}", *([body] if body else []))
        assert call.status_code == 403, (method, path)
        assert call.get_json()["error"]["code"] == "Forbidden"


@pytest.mark.parametrize(
    ("role", "may_release", "may_manage"),
    [
        (Role.OWNER, True, True),
        (Role.ADMIN, True, True),
        (Role.DEVELOPER, True, False),
        (Role.VIEWER, False, False),
    ],
)
def test_a_role_gives_a_permission_on_every_app(
    seed: SeedClient, services: Services, role: Role, may_release: bool, may_manage: bool
) -> None:
    seed.add_app()
    client = member(seed, services, role)
    assert names(client) == ["App"]
    client.release(expect=201 if may_release else 403)
    may = client.call("PATCH", "/apps/App", {"name": "App"}).status_code
    assert may == (200 if may_manage else 403)
    made = client.call("POST", "/apps", {"name": "Mine"}).status_code
    assert made == (403 if role is Role.VIEWER else 201)


# Collaborators.


def test_an_app_is_shared(seed: SeedClient, bob: SeedClient) -> None:
    seed.add_app()
    body = {"email": "BOB@example.com", "permission": "Collaborator"}
    made = seed.post("/apps/App/collaborators", body)
    assert made == {"collaborator": {"email": bob.email, "permission": "Collaborator"}}
    assert permissions(seed) == {"ann@example.com": "Owner", "bob@example.com": "Collaborator"}
    error = seed.refused(409, "POST", "/apps/App/collaborators", body)
    assert error["message"] == "The given account is already a collaborator for this app."


def test_only_registered_users_become_collaborators(seed: SeedClient) -> None:
    seed.add_app()
    body = {"email": "nobody@example.com"}
    error = seed.refused(404, "POST", "/apps/App/collaborators", body)
    assert error["message"] == "The specified e-mail address doesn't represent a registered user"


@pytest.mark.parametrize("permission", ["Owner", "Viewer", "collaborator", "", None, 2])
def test_only_collaborators_are_added(
    seed: SeedClient, bob: SeedClient, permission: object
) -> None:
    seed.add_app()
    body = {"email": bob.email, "permission": permission}
    error = seed.refused(400, "POST", "/apps/App/collaborators", body)
    assert error["details"]["parameter"] == "permission"
    assert permissions(seed) == {"ann@example.com": "Owner"}


def test_a_collaborator_is_removed(seed: SeedClient, shared: SeedClient) -> None:
    seed.delete("/apps/App/collaborators/bob@example.com")
    shared.refused(404, "GET", "/apps/App")
    seed.refused(404, "DELETE", "/apps/App/collaborators/bob@example.com")
    error = seed.refused(409, "DELETE", "/apps/App/collaborators/ann@example.com")
    assert error["message"] == "Cannot remove the owner of the app from collaborator list."


def test_a_collaborator_may_leave(seed: SeedClient, shared: SeedClient) -> None:
    shared.delete("/apps/App/collaborators/BOB%40example.com")
    assert names(shared) == []
    assert permissions(seed) == {"ann@example.com": "Owner"}


# Handing over and moving.


def test_a_transfer_moves_the_app_and_leaves_the_old_owner_as_a_collaborator(
    seed: SeedClient, bob: SeedClient
) -> None:
    seed.add_app()
    seed.release()
    app = seed.post("/apps/App/transfer", {"email": bob.email}, 200)["app"]
    assert app["organization"] == "Bobs"
    assert permissions(bob) == {"ann@example.com": "Collaborator", "bob@example.com": "Owner"}
    assert {each["email"]: each["permission"] for each in app["collaborators"]} == permissions(bob)
    assert seed.get("/apps/App")["app"] == app
    seed.refused(403, "PATCH", "/apps/App", {"name": "x"})
    assert len(bob.releases()) == 1
    seed.add_app()  # the name is free here


def test_a_transfer_to_where_the_name_is_taken_is_refused(
    seed: SeedClient, bob: SeedClient
) -> None:
    seed.add_app()
    bob.add_app("app")
    seed.refused(409, "POST", "/apps/App/transfer", {"email": bob.email})
    seed.refused(409, "POST", "/apps/App/transfer", {"email": seed.email})
    seed.refused(404, "POST", "/apps/App/transfer", {"email": "nobody@example.com"})
    assert seed.get("/apps/App")["app"]["organization"] == "Acme"


def test_an_app_moves_to_another_organization_with_all_it_has(
    seed: SeedClient, shared: SeedClient
) -> None:
    seed.post("/organizations", {"name": "Second"})
    seed.release()
    before = seed.get("/apps/App/deployments")
    app = seed.post("/apps/App/move", {"organization": "second"}, 200)["app"]
    assert app["organization"] == "Second"
    assert permissions(seed) == {"ann@example.com": "Owner", "bob@example.com": "Collaborator"}
    second = seed.as_token(organization="Second")
    assert second.get("/apps/App")["app"] == app
    assert second.get("/apps/App/deployments") == before
    assert shared.get("/apps/App")["app"] == app
    seed.add_app()  # the name is free here
    for organization in ("Second", "Acme"):
        actions = [each["action"] for each in seed.entries(organization)]
        assert actions.count("app.moved") == 1
    [entry] = [each for each in seed.entries("Second") if each["action"] == "app.moved"]
    assert (entry["app"], entry["target"]) == ("App", "Second")


def test_members_of_the_old_organization_lose_an_app_that_moved(
    seed: SeedClient, services: Services
) -> None:
    seed.add_app()
    developer = member(seed, services, Role.DEVELOPER)
    assert names(developer) == ["App"]
    seed.post("/organizations", {"name": "Second"})
    seed.post("/apps/App/move", {"organization": "Second"}, 200)
    assert names(developer) == []
    developer.refused(404, "GET", "/apps/App")


def test_moving_needs_a_place_in_the_other_organization(seed: SeedClient, bob: SeedClient) -> None:
    seed.add_app()
    never = seed.refused(404, "POST", "/apps/App/move", {"organization": "Never"})
    theirs = seed.refused(404, "POST", "/apps/App/move", {"organization": "Bobs"})
    assert theirs["message"] == never["message"].replace("Never", "Bobs")
    for role in ("Viewer", "Developer"):
        token = bob.post("/organizations/Bobs/invitations", {"email": seed.email, "role": role})
        seed.post("/invitations/accept", {"token": token["token"]}, 200)
        expected = 403 if role == "Viewer" else 200
        seed.call("POST", "/apps/App/move", {"organization": "Bobs"}, expect=expected)
        if role == "Viewer":
            seed.delete("/organizations/Bobs/members/ann@example.com")


def test_moving_to_where_it_is_or_where_the_name_is_taken_is_refused(seed: SeedClient) -> None:
    seed.add_app()
    seed.refused(409, "POST", "/apps/App/move", {"organization": "Acme"})
    seed.post("/organizations", {"name": "Second"})
    seed.as_token(organization="Second").add_app("app")
    error = seed.refused(409, "POST", "/apps/Acme:App/move", {"organization": "Second"})
    assert "already exists" in error["message"]
    assert seed.get("/apps/Acme:App")["app"]["organization"] == "Acme"


def test_only_an_owner_moves_an_app(seed: SeedClient, services: Services) -> None:
    seed.add_app()
    developer = member(seed, services, Role.DEVELOPER)
    developer.post("/organizations", {"name": "Mine"})
    developer.refused(403, "POST", "/apps/App/move", {"organization": "Mine"})
