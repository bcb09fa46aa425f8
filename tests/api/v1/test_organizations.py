"""Organizations and their members."""

from typing import Any
from urllib.parse import quote

import pytest

from tests.api.v1.client import SeedClient
from tests.conftest import FakeClock

ACME = "/organizations/Acme"
ROLES = ["Owner", "Admin", "Developer", "Viewer"]


def join(seed: SeedClient, email: str, role: str) -> SeedClient:
    """Return a member of Acme, with a token that carries it."""
    client = seed.another(email)
    invited = seed.post(f"{ACME}/invitations", {"email": email, "role": role})
    client.post("/invitations/accept", {"token": invited["token"]}, 200)
    return client.as_token(organization="Acme")


def roles(client: SeedClient) -> dict[str, str]:
    return {each["email"]: each["role"] for each in client.get(f"{ACME}/members")["members"]}


def test_organizations_are_listed_with_the_role_in_each(
    seed: SeedClient, bob: SeedClient, clock: FakeClock
) -> None:
    invited = bob.post("/organizations/Bobs/invitations", {"email": seed.email, "role": "Viewer"})
    seed.post("/invitations/accept", {"token": invited["token"]}, 200)
    seed.post("/organizations", {"name": "zebra"})
    listed = seed.get("/organizations")["organizations"]
    assert [(each["name"], each["role"]) for each in listed] == [
        ("Acme", "Owner"),
        ("Bobs", "Viewer"),
        ("zebra", "Owner"),
    ]
    assert not any(each["isPersonal"] for each in listed)
    assert listed[0]["createdTime"] == clock.now_ms


def test_a_personal_organization_goes_by_its_user(seed: SeedClient) -> None:
    carol = seed.another("carol@example.com")
    [home] = carol.get("/organizations")["organizations"]
    assert (home["name"], home["isPersonal"]) == ("carol@example.com", True)
    carol.refused(403, "PATCH", "/organizations/carol@example.com", {"name": "Carols"})
    path = "/organizations/carol@example.com/members/carol@example.com"
    carol.refused(409, "DELETE", path)


@pytest.mark.parametrize("reference", ["Acme", "acme", "ACME", None])
def test_an_organization_is_found_by_name_or_id(seed: SeedClient, reference: str | None) -> None:
    [listed] = seed.get("/organizations")["organizations"]
    path = f"/organizations/{reference or listed['id']}"
    assert seed.get(path) == {"organization": listed}


def test_a_strangers_organization_is_not_there(seed: SeedClient, bob: SeedClient) -> None:
    [theirs] = seed.get("/organizations")["organizations"]
    for method, path, body in (
        ("GET", "", None),
        ("PATCH", "", {"name": "Mine"}),
        ("GET", "/members", None),
        ("PATCH", "/members/ann@example.com", {"role": "Viewer"}),
        ("DELETE", "/members/ann@example.com", None),
        ("DELETE", "/members/bob@example.com", None),
        ("GET", "/invitations", None),
        ("POST", "/invitations", {"email": "x@example.com"}),
        ("DELETE", "/invitations/x", None),
        ("GET", "/audit", None),
    ):
        for reference in ("Acme", theirs["id"], "Never"):
            call = bob.call(method, f"/organizations/{reference}{path}", *([body] if body else []))
            assert call.status_code == 404, (method, path)
            message = call.get_json()["error"]["message"]
            assert message == f'Organization "{reference}" does not exist.'


def test_an_organization_is_made_and_its_maker_owns_it(seed: SeedClient) -> None:
    made = seed.post("/organizations", {"name": "Second"})["organization"]
    assert (made["name"], made["role"], made["isPersonal"]) == ("Second", "Owner", False)
    assert seed.get("/organizations/Second") == {"organization": made}
    for name in ("Second", "SECOND", "acme"):
        error = seed.refused(409, "POST", "/organizations", {"name": name})
        assert error["details"] == {"parameter": "name", "reason": "Name already exists"}


@pytest.mark.parametrize("name", ["", " ", "a@b", "a/b", "x" * 1_001, None, 7, ".."])
def test_an_organization_of_nonsense_is_refused(seed: SeedClient, name: object) -> None:
    seed.refused(400, "POST", "/organizations", {"name": name})
    seed.refused(400, "PATCH", ACME, {"name": name})
    assert len(seed.get("/organizations")["organizations"]) == 1


def test_an_organization_is_renamed(seed: SeedClient, bob: SeedClient) -> None:
    seed.add_app()
    renamed = seed.patch(ACME, {"name": "New & Co"})["organization"]
    assert renamed["name"] == "New & Co"
    seed.refused(404, "GET", ACME)
    assert seed.get(f"/organizations/{quote('new & co')}") == {"organization": renamed}
    assert seed.get("/account")["account"]["organization"] == "New & Co"
    assert seed.get("/apps/App")["app"]["organization"] == "New & Co"
    bob.post("/organizations", {"name": "Acme"})  # the name is free
    seed.refused(409, "PATCH", f"/organizations/{renamed['id']}", {"name": "bobs"})


def test_members_are_listed(seed: SeedClient) -> None:
    for role in ROLES[1:]:
        join(seed, f"{role.lower()}@example.com", role)
    assert roles(seed) == {
        "admin@example.com": "Admin",
        "ann@example.com": "Owner",
        "developer@example.com": "Developer",
        "viewer@example.com": "Viewer",
    }
    assert list(roles(seed)) == sorted(roles(seed))


@pytest.mark.parametrize("actor", ROLES)
@pytest.mark.parametrize("before", ROLES)
@pytest.mark.parametrize("after", [*ROLES, None])
def test_who_may_give_which_role(
    seed: SeedClient, actor: str, before: str, after: str | None
) -> None:
    client = join(seed, "actor@example.com", actor)
    join(seed, "member@example.com", before)
    path = f"{ACME}/members/member@example.com"
    answer = client.call("PATCH", path, {"role": after}) if after else client.call("DELETE", path)
    touches_owners = "Owner" in {before, after}
    may = actor == "Owner" or (actor == "Admin" and not touches_owners)
    assert answer.status_code == (200 if may else 403)
    assert roles(seed).get("member@example.com") == (after if may else before)
    if may and after:
        member = answer.get_json()["member"]
        assert member == {"email": "member@example.com", "name": "member", "role": after}


def test_the_last_owner_stays(seed: SeedClient) -> None:
    path = f"{ACME}/members/ann@example.com"
    for role in ROLES[1:]:
        error = seed.refused(409, "PATCH", path, {"role": role})
        assert "without an owner" in error["message"]
    seed.refused(409, "DELETE", path)
    join(seed, "second@example.com", "Owner")
    assert seed.patch(path, {"role": "Admin"})["member"]["role"] == "Admin"
    seed.refused(403, "PATCH", f"{ACME}/members/second@example.com", {"role": "Viewer"})


def test_two_owners_who_leave_at_once_leave_one(seed: SeedClient) -> None:
    from concurrent.futures import ThreadPoolExecutor

    second = join(seed, "second@example.com", "Owner")
    clients = [SeedClient(seed.app, seed.token, seed.email), second]
    with ThreadPoolExecutor(2) as pool:
        paths = [f"{ACME}/members/{client.email}" for client in clients]
        answers = list(pool.map(lambda c, p: c.call("DELETE", p).status_code, clients, paths))
    assert sorted(answers) == [200, 409]


@pytest.mark.parametrize("role", ROLES[1:])
def test_everyone_may_leave_and_their_token_is_worthless(seed: SeedClient, role: str) -> None:
    seed.add_app()
    client = join(seed, "member@example.com", role)
    assert client.get("/apps")["apps"]
    client.delete(f"{ACME}/members/MEMBER@example.com")
    for path in ("/apps/App", "/apps", ACME, "/account"):
        client.refused(401, "GET", path)
    client.refused(401, "POST", "/apps", {"name": "Back"})


@pytest.mark.parametrize("role", ["owner", "", None, "Guest", 1, ["Owner"]])
def test_a_role_of_nonsense_is_refused(seed: SeedClient, role: object) -> None:
    join(seed, "member@example.com", "Viewer")
    path = f"{ACME}/members/member@example.com"
    error = seed.refused(400, "PATCH", path, {"role": role})
    assert error["details"]["parameter"] == "role"
    seed.refused(400, "PATCH", path, {})
    seed.refused(400, "POST", f"{ACME}/invitations", {"email": "x@example.com", "role": role})


@pytest.mark.parametrize("email", ["bob@example.com", "nobody@example.com"])
def test_who_is_no_member_is_not_there(seed: SeedClient, bob: SeedClient, email: str) -> None:
    messages = {
        seed.refused(404, "PATCH", f"{ACME}/members/{email}", {"role": "Viewer"})["message"],
        seed.refused(404, "DELETE", f"{ACME}/members/{email}")["message"],
    }
    assert messages == {"The given e-mail address is not a member of the organization."}


def test_a_viewer_reads_members_but_neither_invitations_nor_audit(seed: SeedClient) -> None:
    for role in ROLES[2:]:
        client = join(seed, f"{role.lower()}@example.com", role)
        assert roles(client) == roles(seed)
        for path in ("/invitations", "/audit"):
            answer: Any = client.refused(403, "GET", f"{ACME}{path}")
            assert answer["code"] == "Forbidden"
