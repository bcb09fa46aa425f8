"""Invitations: shown once, good for one person, for a while."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.api.v1.client import SeedClient
from tests.conftest import FakeClock

PATH = "/organizations/Acme/invitations"
ACCEPT = "/invitations/accept"
UNKNOWN = "The invitation is unknown, used or expired. Ask for a new one."


def members(seed: SeedClient) -> list[str]:
    return [each["email"] for each in seed.get("/organizations/Acme/members")["members"]]


def test_an_invitation_is_shown_once(seed: SeedClient, clock: FakeClock) -> None:
    made = seed.post(PATH, {"email": "eve@example.com"})
    assert len(made["token"]) == 40
    invitation = made["invitation"]
    assert invitation == {
        "id": invitation["id"],
        "email": "eve@example.com",
        "role": "Developer",
        "invitedBy": "ann@example.com",
        "createdTime": clock.now_ms,
        "expires": "2025-06-22T15:06:40Z",
    }
    assert seed.get(PATH) == {"invitations": [invitation]}


def test_an_invitation_lets_one_in_once(seed: SeedClient, bob: SeedClient) -> None:
    token = seed.post(PATH, {"email": bob.email, "role": "Admin"})["token"]
    joined = bob.post(ACCEPT, {"token": token}, 200)["organization"]
    assert (joined["name"], joined["role"]) == ("Acme", "Admin")
    assert bob.get("/organizations/Acme") == {"organization": joined}
    assert seed.get(PATH) == {"invitations": []}
    carol = seed.another("carol@example.com")
    assert carol.refused(404, "POST", ACCEPT, {"token": token})["message"] == UNKNOWN
    assert members(seed) == ["ann@example.com", "bob@example.com"]


def test_of_sixteen_who_accept_at_once_one_joins(seed: SeedClient) -> None:
    token = seed.post(PATH, {"email": "x@example.com"})["token"]
    clients = [seed.another(f"user{number}@example.com") for number in range(16)]
    with ThreadPoolExecutor(16) as pool:
        statuses = list(
            pool.map(lambda c: c.call("POST", ACCEPT, {"token": token}).status_code, clients)
        )
    assert sorted(statuses) == [200] + [404] * 15
    assert len(members(seed)) == 2
    assert [each["action"] for each in seed.entries()].count("member.added") == 1


def test_an_invitation_expires(seed: SeedClient, bob: SeedClient, clock: FakeClock) -> None:
    token = seed.post(PATH, {"email": bob.email})["token"]
    clock.advance(7 * 86_400 - 0.001)
    assert len(seed.get(PATH)["invitations"]) == 1
    clock.advance(0.001)
    assert seed.get(PATH) == {"invitations": []}
    assert bob.refused(404, "POST", ACCEPT, {"token": token})["message"] == UNKNOWN


def test_an_invitation_is_taken_back(seed: SeedClient, bob: SeedClient) -> None:
    made = seed.post(PATH, {"email": bob.email})
    path = f"{PATH}/{made['invitation']['id']}"
    bob.refused(404, "DELETE", path)
    seed.delete(path)
    seed.refused(404, "DELETE", path)
    bob.refused(404, "POST", ACCEPT, {"token": made["token"]})


def test_a_member_is_not_invited_again(seed: SeedClient, bob: SeedClient) -> None:
    first = seed.post(PATH, {"email": bob.email})["token"]
    second = seed.post(PATH, {"email": bob.email, "role": "Owner"})["token"]
    bob.post(ACCEPT, {"token": first}, 200)
    seed.refused(409, "POST", PATH, {"email": bob.email})
    bob.refused(409, "POST", ACCEPT, {"token": second})
    assert bob.get("/organizations/Acme")["organization"]["role"] == "Developer"


@pytest.mark.parametrize("token", ["x", "x" * 40, "x" * 200])
def test_an_unknown_invitation_is_not_there(bob: SeedClient, token: str) -> None:
    assert bob.refused(404, "POST", ACCEPT, {"token": token})["message"] == UNKNOWN


@pytest.mark.parametrize("token", ["", None, 1, "x" * 201])
def test_an_invitation_of_nonsense_is_refused(bob: SeedClient, token: object) -> None:
    error = bob.refused(400, "POST", ACCEPT, {"token": token})
    assert error["details"]["parameter"] == "token"


@pytest.mark.parametrize("email", ["", "x", "a b@c", "@example.com", None, "x" * 250 + "@a.b"])
def test_only_addresses_are_invited(seed: SeedClient, email: object) -> None:
    error = seed.refused(400, "POST", PATH, {"email": email})
    assert error["details"]["parameter"] == "email"


def test_only_an_owner_invites_owners(seed: SeedClient, bob: SeedClient) -> None:
    token = seed.post(PATH, {"email": bob.email, "role": "Admin"})["token"]
    bob.post(ACCEPT, {"token": token}, 200)
    bob.refused(403, "POST", PATH, {"email": "x@example.com", "role": "Owner"})
    bob.post(PATH, {"email": "x@example.com", "role": "Admin"})
    assert len(bob.get(PATH)["invitations"]) == 1
