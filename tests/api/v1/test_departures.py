"""Who leaves an organization takes nothing along, and what stays is in good hands."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask

from codepush.domain.errors import ConflictError, NotFoundError, UnauthorizedError
from codepush.domain.permissions import Role
from codepush.services.container import Services
from tests.api.v1.client import SeedClient

PASSWORD = "a password to log in with"
STAGING = "/apps/Secret/deployments/Staging"


@pytest.fixture
def dev(seed: SeedClient) -> SeedClient:
    """A developer of Acme, at home there, with an app of their making and a shared one."""
    member = seed.another("dev@example.com", "Acme")
    member.add_app("Secret")
    member.patch("/account", {"password": PASSWORD})
    seed.add_app("Other")
    seed.post("/apps/Other/collaborators", {"email": member.email})
    return member


def owners(client: SeedClient, app: str) -> list[tuple[str, str]]:
    found = client.get(f"/apps/{app}/collaborators")["collaborators"]
    return [(each["email"], each["permission"]) for each in found]


def log_in(client: SeedClient, email: str) -> SeedClient:
    session = client.nobody().post("/auth/login", {"email": email, "password": PASSWORD}, 200)
    return SeedClient(client.app, session["accessToken"], email)


def test_who_is_removed_loses_apps_and_tokens(seed: SeedClient, dev: SeedClient) -> None:
    seed.delete(f"/organizations/Acme/members/{dev.email}")
    error = dev.refused(401, "GET", "/apps")
    assert "code-push login" in error["message"]
    again = log_in(seed, dev.email)
    assert again.get("/account")["account"]["organization"] == dev.email
    assert again.get("/apps") == {"apps": []}
    again.refused(404, "GET", "/apps/Secret/collaborators")
    again.refused(404, "POST", "/apps/Secret/move", {"organization": dev.email})
    assert [each["friendlyName"] for each in again.get("/auth/tokens")["tokens"]] == [
        each["friendlyName"] for each in again.get("/auth/tokens")["tokens"] if each["isSession"]
    ]
    assert owners(seed, "Secret") == [(seed.email, "Owner")]
    assert owners(seed, "Other") == [(seed.email, "Owner")]
    actions = [each["action"] for each in seed.entries("Acme")]
    assert actions.count("collaborator.removed") == 2
    assert actions.count("member.removed") == 1


def test_who_leaves_by_themselves_leaves_apps_to_an_owner(
    seed: SeedClient, dev: SeedClient
) -> None:
    dev.delete(f"/organizations/Acme/members/{dev.email}")
    dev.refused(401, "GET", "/apps")
    assert owners(seed, "Secret") == [(seed.email, "Owner")]
    assert log_in(seed, dev.email).add_app("Mine")


def test_what_is_transferred_to_who_left_goes_to_them_alone(
    seed: SeedClient, dev: SeedClient, bob: SeedClient
) -> None:
    dev.delete(f"/organizations/Acme/members/{dev.email}")
    bob.add_app("Bobs app")
    bob.post("/apps/Bobs%20app/transfer", {"email": dev.email}, 200)
    assert [app["name"] for app in log_in(seed, dev.email).get("/apps")["apps"]] == ["Bobs app"]
    assert "Bobs app" not in [app["name"] for app in seed.get("/apps")["apps"]]


def test_the_last_owner_stays_with_everything(seed: SeedClient, dev: SeedClient) -> None:
    seed.refused(409, "DELETE", f"/organizations/Acme/members/{seed.email}")
    assert seed.get("/account")["account"]["organization"] == "Acme"
    assert owners(seed, "Other") == [(seed.email, "Owner"), (dev.email, "Collaborator")]


@pytest.mark.parametrize("change", ["removed", "demoted"])
def test_invitations_are_worth_as_much_as_who_made_them(
    seed: SeedClient, dev: SeedClient, bob: SeedClient, change: str
) -> None:
    path = f"/organizations/Acme/members/{dev.email}"
    seed.patch(path, {"role": "Admin"})
    made = dev.post("/organizations/Acme/invitations", {"email": bob.email, "role": "Admin"})
    if change == "removed":
        seed.delete(path)
    else:
        seed.patch(path, {"role": "Developer"})
    bob.refused(404, "POST", "/invitations/accept", {"token": made["token"]})
    assert seed.get("/organizations/Acme/invitations") == {"invitations": []}


def test_nobody_is_demoted_at_home(seed: SeedClient, bob: SeedClient) -> None:
    carol = seed.another("carol@example.com")
    made = carol.post(
        f"/organizations/{carol.email}/invitations", {"email": bob.email, "role": "Owner"}
    )
    bob.post("/invitations/accept", {"token": made["token"]}, 200)
    organization = next(
        each["id"]
        for each in bob.get("/organizations")["organizations"]
        if each["name"] == carol.email
    )
    bob.refused(
        409, "PATCH", f"/organizations/{organization}/members/{carol.email}", {"role": "Viewer"}
    )


def test_a_role_that_changed_meanwhile_is_noticed(
    seed: SeedClient, dev: SeedClient, services: Services
) -> None:
    stores = services.stores.organizations
    acme = services.organizations.find("Acme")
    user = services.accounts.find_user(dev.email)
    owner = services.accounts.find_user(seed.email)
    (event,) = [each.event for each in services.audit.read(acme.id, count=1)]
    for roles in ({user.id: Role.VIEWER}, {owner.id: Role.ADMIN}, {user.id: Role.OWNER}):
        with pytest.raises(ConflictError, match="changed the members at the same time"):
            stores.change_member(acme.id, user.id, None, roles=roles, event=event)
    assert stores.role(acme.id, user.id) is Role.DEVELOPER


def test_one_invitation_makes_one_account(app: Flask, seed: SeedClient, services: Services) -> None:
    token = seed.post("/organizations/Acme/invitations", {"email": "x@example.com"})["token"]

    def register(number: int) -> Any:
        body = {"email": f"u{number}@example.com", "password": PASSWORD, "invitation": token}
        return seed.nobody().call("POST", "/auth/register", body)

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(register, range(6)))
    assert sorted(each.status_code for each in answers) == [201] + [404] * 5
    (made,) = [each.get_json() for each in answers if each.status_code == 201]
    assert made["account"]["organization"] == "Acme"
    users = [user.email for user, _ in services.accounts.list_users()]
    assert len(users) == 2
    entry = seed.entries("Acme")[1]
    assert (entry["action"], entry["actor"]["email"]) == ("member.added", users[1])
    member = SeedClient(app, made["accessToken"])
    assert len(member.get("/auth/tokens")["tokens"]) == 1
    for number in range(6):  # whoever came too late can still register
        if f"u{number}@example.com" not in users:
            body = {"email": f"u{number}@example.com", "password": PASSWORD}
            assert seed.nobody().post("/auth/register", body)["account"]


def test_registering_with_an_organization_and_joining_by_the_operator_are_logged(
    seed: SeedClient, services: Services
) -> None:
    body = {"email": "eve@example.com", "password": PASSWORD, "organization": "Eves"}
    session = seed.nobody().post("/auth/register", body)
    eve = SeedClient(seed.app, session["accessToken"], "eve@example.com")
    assert [each["action"] for each in eve.entries()] == ["token.created", "organization.created"]
    services.accounts.create_user("new@example.com", organization="Eves")
    first, second = eve.entries()[:2]
    assert (first["action"], second["action"]) == ("token.created", "member.added")
    assert first["actor"]["email"] is second["actor"]["email"] is None
    assert second["target"] == "new@example.com"


def test_an_account_is_changed_whole_or_not_at_all(seed: SeedClient, dev: SeedClient) -> None:
    change = {"password": "another password", "currentPassword": PASSWORD, "name": "a\u0001b"}
    dev.refused(400, "PATCH", "/account", change)
    assert log_in(seed, dev.email).get("/account")


def test_ids_mean_more_than_names(seed: SeedClient, bob: SeedClient, services: Services) -> None:
    acme = services.organizations.find("Acme")
    bob.post("/organizations", {"name": acme.id})
    assert services.organizations.set_quota(acme.id, 5).name == "Acme"
    seed.post("/organizations", {"name": "Zeta"})
    zeta = services.organizations.find("Zeta")
    seed.post("/organizations", {"name": zeta.id})
    assert seed.get(f"/organizations/{zeta.id}")["organization"]["name"] == "Zeta"


def test_a_token_for_one_app_gives_it_to_nobody(seed: SeedClient, bob: SeedClient) -> None:
    seed.add_app()
    limited = seed.as_token(app="App")
    limited.refused(403, "POST", "/apps/App/transfer", {"email": bob.email})
    assert seed.get("/apps")["apps"][0]["name"] == "App"


def test_a_token_renamed_while_it_is_revoked_leaves_no_name(
    seed: SeedClient, services: Services
) -> None:
    seed.post("/auth/tokens", {"friendlyName": "CI"})
    user = services.accounts.find_user(seed.email)
    stores = services.stores.tokens
    (read,) = [each for each in stores.list_of(user.id) if each.name == "CI"]
    seed_principal = services.tokens.authenticate(str(seed.token))
    services.tokens.change(seed_principal, read, name="CD")
    assert stores.delete(read)
    assert seed.post("/auth/tokens", {"friendlyName": "CI"})
    assert seed.post("/auth/tokens", {"friendlyName": "CD"})


# During an upload.


def upload_while(
    services: Services, client: SeedClient, monkeypatch: pytest.MonkeyPatch, meanwhile: Any
) -> Any:
    """Release with something that happens once the package is stored."""
    put = services.storage.put

    def put_and_more(*args: Any, **options: Any) -> None:
        put(*args, **options)
        meanwhile()

    monkeypatch.setattr(services.storage, "put", put_and_more)
    return client.release(app="Secret", expect=None)


def test_who_is_shut_out_during_an_upload_releases_nothing(
    seed: SeedClient, dev: SeedClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = upload_while(
        services,
        dev,
        monkeypatch,
        lambda: seed.delete(f"/organizations/Acme/members/{dev.email}"),
    )
    assert answer.status_code == 401
    assert seed.get(f"{STAGING}/releases") == {"releases": []}


def test_a_guest_who_is_taken_off_during_an_upload_releases_nothing(
    seed: SeedClient,
    dev: SeedClient,
    bob: SeedClient,
    services: Services,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dev.post("/apps/Secret/collaborators", {"email": bob.email})
    answer = upload_while(
        services,
        bob,
        monkeypatch,
        lambda: dev.delete(f"/apps/Secret/collaborators/{bob.email}"),
    )
    assert answer.status_code == 404
    assert seed.get(f"{STAGING}/releases") == {"releases": []}


def test_a_token_that_is_revoked_during_an_upload_releases_nothing(
    seed: SeedClient, dev: SeedClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = dev.post("/auth/tokens", {"friendlyName": "CI"})
    other = SeedClient(dev.app, made["accessToken"], dev.email)
    answer = upload_while(services, other, monkeypatch, lambda: dev.delete("/auth/tokens/CI"))
    assert answer.status_code == 401
    assert seed.get(f"{STAGING}/releases") == {"releases": []}


def test_an_app_that_moves_during_an_upload_is_released_to_by_nobody_of_before(
    seed: SeedClient, dev: SeedClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also between the last look and the commit."""
    commit = services.stores.releases._commit
    moved: list[bool] = []

    def move_and_commit(*args: Any) -> bool:
        if not moved:
            moved.append(True)
            seed.post("/organizations", {"name": "Second"})
            seed.post("/apps/Secret/move", {"organization": "Second"}, 200)
        return commit(*args)

    monkeypatch.setattr(
        type(services.stores.releases), "_commit", lambda _self, *args: move_and_commit(*args)
    )
    answer = dev.release(app="Secret", expect=None)
    assert answer.status_code == 404, answer.get_data(as_text=True)
    assert json.dumps(seed.entries("Second")).count("deployment.released") == 0
    assert json.dumps(seed.entries("Acme")).count("deployment.released") == 0


def test_a_caller_is_confirmed_as_they_are_now(seed: SeedClient, services: Services) -> None:
    principal = services.tokens.authenticate(str(seed.token))
    assert services.tokens.confirm(principal) == principal
    services.tokens.revoke(principal, principal.token)
    with pytest.raises(UnauthorizedError):
        services.tokens.confirm(principal)
    with pytest.raises(NotFoundError):
        services.organizations.find("nowhere")
