"""Apps, their collaborators, and who may do what, as the published CLIs ask for it."""

import io
import json
from typing import Any
from urllib.parse import quote

import pytest

from codepush.domain.permissions import Role
from codepush.services.container import Services
from codepush.store import keys
from codepush.store.connection import StoreClient
from tests.api_client import Account, ApiClient, bundle, lasting_keys

OWNER_NEEDED = "This action requires Owner permissions on the app!"
COLLABORATOR_NEEDED = "This action requires Collaborator permissions on the app!"
UNREGISTERED = "The specified e-mail address doesn't represent a registered user"
NAMES = [
    "My App",
    "日本語",
    "Ünï",
    "a&b",
    "100%",
    "a+b",
    "it's",
    '"quoted"',
    "a#b;c=d",
    "😀",
    "a~b",
]
BAD_NAMES = ["", " ", "a/b", "a\\b", "a?b", "a:b", "a\nb", "a\0b", "\x7f", "\x85", "x" * 1_001]


@pytest.fixture
def bob(api: ApiClient, services: Services) -> ApiClient:
    return api.another(services, "Bob@example.com")


@pytest.fixture
def carol(api: ApiClient, services: Services) -> ApiClient:
    return api.another(services, "carol@example.com")


def share(api: ApiClient, email: str = "bob@example.com", app: str = "App") -> None:
    path = f"/apps/{quote(app, safe='')}/collaborators/{quote(email)}"
    api.call("POST", path, expect=201)


def names(api: ApiClient) -> list[str]:
    return [app["name"] for app in api.get("/apps")["apps"]]


def permissions(api: ApiClient, app: str = "App") -> dict[str, str]:
    listed = api.get(f"/apps/{quote(app, safe='')}/collaborators")["collaborators"]
    return {email: each["permission"] for email, each in listed.items()}


def things(redis: StoreClient) -> set[str]:
    """Return the keys of all that exists; logs of what happened outlive it."""
    return {key for key in lasting_keys(redis) if not key.endswith((":log", ":logs"))}


# Making.


@pytest.mark.parametrize("path", ["/apps", "/apps/", "/v0.1/legacy/apps", "/v0.1/legacy/apps/"])
def test_an_app_is_made_with_production_and_staging(api: ApiClient, path: str) -> None:
    body = {
        "name": "App",
        "os": "iOS",
        "platform": "React-Native",
        "manuallyProvisionDeployments": False,
    }
    response = api.call("POST", path, body, expect=201)
    expected = {
        "name": "App",
        "os": "iOS",
        "platform": "React-Native",
        "deployments": ["Production", "Staging"],
        "collaborators": {"alice@example.com": {"permission": "Owner", "isCurrentAccount": True}},
    }
    assert response.get_json() == {"app": expected}
    assert response.headers["Location"] == path.rstrip("/") + "/App"
    assert api.get("/apps") == {"apps": [expected]}
    assert api.get("/apps/App") == {"app": expected}


def test_an_app_needs_a_name_alone(api: ApiClient) -> None:
    app = api.call("POST", "/apps", {"name": "App"}, expect=201).get_json()["app"]
    assert (app["os"], app["platform"]) == (None, None)
    app = api.call("POST", "/apps", {"name": "B", "os": None}, expect=201).get_json()["app"]
    assert app["deployments"] == ["Production", "Staging"]


def test_deployments_may_be_left_to_the_client(api: ApiClient) -> None:
    assert api.add_app(manuallyProvisionDeployments=True)["deployments"] == []
    assert api.get("/apps/App/deployments/") == {"deployments": []}


@pytest.mark.parametrize("name", NAMES)
def test_any_name_goes_percent_encoded_through_every_address(api: ApiClient, name: str) -> None:
    response = api.call("POST", "/apps", {"name": name}, expect=201)
    location = response.headers["Location"]
    assert location == f"/apps/{quote(name, safe='')}"
    assert api.get(location)["app"]["name"] == name
    assert names(api) == [name]
    api.call("PATCH", location, {"name": name + "2"}, expect=200)
    path = f"/apps/{quote(name + '2', safe='')}"
    assert api.get(f"{path}/deployments")["deployments"][0]["name"] == "Production"
    api.call("DELETE", path, expect=204)
    assert names(api) == []


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_name_that_would_break_addresses_is_refused(api: ApiClient, name: str) -> None:
    api.add_app()
    for method, path in (("POST", "/apps"), ("PATCH", "/apps/App")):
        sentence = api.refused(400, method, path, {"name": name})
        assert sentence.startswith("The name ")
        assert sentence.endswith(".")
    assert names(api) == ["App"]


@pytest.mark.parametrize("body", [{}, {"name": None}, {"os": "iOS"}])
def test_an_app_without_a_name_is_refused(api: ApiClient, body: object) -> None:
    assert api.refused(400, "POST", "/apps", body) == "The name is missing; give the app a name."
    assert names(api) == []


@pytest.mark.parametrize("again", ["App", "app", "APP"])
def test_a_name_is_unique_in_the_organization_whatever_its_case(api: ApiClient, again: str) -> None:
    api.add_app()
    sentence = api.refused(409, "POST", "/apps", {"name": again})
    assert sentence == f"An app named '{again}' already exists."
    assert names(api) == ["App"]


def test_a_name_is_unique_however_it_is_composed(api: ApiClient) -> None:
    api.add_app("Caf\u00e9")
    api.refused(409, "POST", "/apps", {"name": "Cafe\u0301"})
    assert api.get("/apps/Cafe%CC%81")["app"]["name"] == "Caf\u00e9"


def test_two_organizations_may_have_apps_of_one_name(api: ApiClient, bob: ApiClient) -> None:
    api.add_app()
    bob.add_app()
    bob.call("DELETE", "/apps/App", expect=204)
    assert names(api) == ["App"]


def test_apps_are_listed_by_name(api: ApiClient) -> None:
    for name in ("b", "C", "a", "A2"):
        api.add_app(name)
    assert names(api) == sorted(["b", "C", "a", "A2"])


def test_an_app_is_found_whatever_the_case_of_its_name(api: ApiClient) -> None:
    api.add_app("My App")
    assert api.get("/apps/my%20app")["app"]["name"] == "My App"


# Renaming and deleting.


@pytest.mark.parametrize("path", ["/apps/App", "/apps/App/", "/v0.1/legacy/apps/App"])
def test_an_app_is_renamed(api: ApiClient, path: str) -> None:
    before = api.add_app()
    key = api.key()
    answer = api.call("PATCH", path, {"name": "Öther"}, expect=200).get_json()["app"]
    assert answer == {**before, "name": "Öther"}
    assert api.refused(404, "GET", "/apps/App") == 'App "App" does not exist.'
    assert api.key("Öther") == key
    api.add_app("App")


def test_an_app_may_change_the_case_of_its_name(api: ApiClient) -> None:
    api.add_app("app")
    api.call("PATCH", "/apps/app", {"name": "App"}, expect=200)
    api.call("PATCH", "/apps/app", {"name": "App"}, expect=200)
    assert names(api) == ["App"]
    api.refused(409, "POST", "/apps", {"name": "aPP"})


def test_an_app_is_not_renamed_to_a_taken_name(api: ApiClient) -> None:
    api.add_app("one")
    api.add_app("two")
    sentence = api.refused(409, "PATCH", "/apps/one", {"name": "TWO"})
    assert sentence == "An app named 'TWO' already exists."
    assert names(api) == ["one", "two"]


def test_a_rename_without_a_name_changes_nothing(api: ApiClient) -> None:
    made = api.add_app()
    for body in ({}, {"name": None}):
        assert api.call("PATCH", "/apps/App", body, expect=200).get_json()["app"] == made


@pytest.mark.parametrize("path", ["/apps/App", "/apps/App/", "/v0.1/legacy/apps/App"])
def test_a_deleted_app_is_gone_at_once_with_its_keys(api: ApiClient, path: str) -> None:
    api.add_app()
    api.release(bundle())
    key = api.key()
    assert api.check(key)["is_available"]
    assert api.call("DELETE", path, expect=204).data == b""
    query = {"deployment_key": key, "app_version": "1.0.0"}
    assert api.http.get("/updateCheck", query_string=query).status_code == 404
    api.report("download", key, expect=404, label="v1")
    assert names(api) == []
    for below in ("", "/deployments", "/deployments/Staging", "/deployments/Staging/history"):
        assert api.refused(404, "GET", f"/apps/App{below}") == 'App "App" does not exist.'
    api.refused(404, "DELETE", path)


def test_a_deleted_app_s_name_and_keys_can_be_used_again(api: ApiClient, bob: ApiClient) -> None:
    api.add_app()
    api.release(bundle())
    key = api.key()
    api.call("DELETE", "/apps/App", expect=204)
    api.add_app("APP")
    assert api.key("APP") != key
    assert api.history(app="APP") == []
    bob.add_app("Moved")
    body = {"name": "Old", "key": key}
    bob.call("POST", "/apps/Moved/deployments", body, expect=201)
    assert not bob.check(key)["is_available"]


def test_nothing_of_a_deleted_app_stays_in_the_store(api: ApiClient, redis: StoreClient) -> None:
    before = things(redis)
    api.add_app()
    api.release(bundle())
    api.report("deploy", api.key(), label="v1", app_version="1.0.0",
               status="DeploymentSucceeded", client_unique_id="d")  # fmt: skip
    api.call("DELETE", "/apps/App", expect=204)
    left = {key for key in lasting_keys(redis) - before if not key.startswith("rq:")}
    # What is left is what happened, until it is folded into the organization's audit log.
    assert {key.rpartition(":")[2] for key in left} <= {"log", "logs"}


# Sharing.


@pytest.mark.parametrize("prefix", ["", "/v0.1/legacy"])
@pytest.mark.parametrize("slash", ["", "/"])
def test_an_app_is_shared_and_listed_to_both(
    api: ApiClient, bob: ApiClient, prefix: str, slash: str
) -> None:
    api.add_app()
    path = f"{prefix}/apps/App/collaborators"
    response = api.call("POST", f"{path}/Bob@example.com{slash}", expect=201)
    assert response.get_data(as_text=True) == "Created"
    assert api.get(path + slash) == {
        "collaborators": {
            "alice@example.com": {"permission": "Owner", "isCurrentAccount": True},
            "Bob@example.com": {"permission": "Collaborator", "isCurrentAccount": False},
        }
    }
    listed = bob.get("/apps")["apps"][0]["collaborators"]
    assert listed["alice@example.com"] == {"permission": "Owner", "isCurrentAccount": False}
    assert listed["Bob@example.com"] == {"permission": "Collaborator", "isCurrentAccount": True}
    api.call("DELETE", f"{path}/bob@example.com{slash}", expect=204)
    assert permissions(api) == {"alice@example.com": "Owner"}
    assert bob.get("/apps") == {"apps": []}
    bob.refused(404, "GET", "/apps/App")


@pytest.mark.parametrize("email", ["bob@example.com", "BOB@EXAMPLE.COM", "Bob@example.com"])
def test_collaborators_are_found_whatever_the_case_of_their_address(
    api: ApiClient, bob: ApiClient, email: str
) -> None:
    api.add_app()
    share(api, email)
    assert permissions(api) == {"alice@example.com": "Owner", "Bob@example.com": "Collaborator"}
    sentence = api.refused(409, "POST", "/apps/App/collaborators/bob@example.com")
    assert sentence == "The given account is already a collaborator for this app."
    api.call("DELETE", f"/apps/App/collaborators/{email}", expect=204)


def test_the_owner_cannot_be_added_as_a_collaborator(api: ApiClient) -> None:
    api.add_app()
    sentence = api.refused(409, "POST", "/apps/App/collaborators/alice@example.com")
    assert sentence == "The given account is already a collaborator for this app."
    assert permissions(api) == {"alice@example.com": "Owner"}


@pytest.mark.parametrize("email", ["nobody@example.com", "nonsense", "__proto__", "%20", "%00"])
def test_only_registered_users_can_be_collaborators_or_owners(api: ApiClient, email: str) -> None:
    api.add_app()
    for what in ("collaborators", "transfer"):
        assert api.refused(404, "POST", f"/apps/App/{what}/{email}") == UNREGISTERED
    assert permissions(api) == {"alice@example.com": "Owner"}


def test_somebody_who_is_no_collaborator_cannot_be_removed(api: ApiClient, bob: ApiClient) -> None:
    api.add_app()
    for email in ("bob@example.com", "nobody@example.com", "x"):
        sentence = api.refused(404, "DELETE", f"/apps/App/collaborators/{email}")
        assert sentence == "The given email is not a collaborator for this app."


def test_the_owner_cannot_be_removed(api: ApiClient, bob: ApiClient, services: Services) -> None:
    api.add_app()
    sentence = api.refused(409, "DELETE", "/apps/App/collaborators/Alice@example.com")
    assert sentence == "Cannot remove the owner of the app from collaborator list."
    assert permissions(api) == {"alice@example.com": "Owner"}


def test_a_collaborator_may_leave_but_not_remove_others(
    api: ApiClient, bob: ApiClient, carol: ApiClient
) -> None:
    api.add_app()
    share(api)
    share(api, "carol@example.com")
    for email in ("carol@example.com", "alice@example.com", "nobody@example.com"):
        assert bob.refused(403, "DELETE", f"/apps/App/collaborators/{email}") == OWNER_NEEDED
    bob.call("DELETE", "/apps/App/collaborators/BOB@example.com", expect=204)
    bob.refused(404, "GET", "/apps/App")
    assert permissions(api) == {
        "alice@example.com": "Owner",
        "carol@example.com": "Collaborator",
    }
    share(api)
    assert bob.get("/apps/App")


# Names with owners.


def test_a_bare_name_means_one_s_own_app_first(api: ApiClient, bob: ApiClient) -> None:
    api.add_app()
    bob.add_app()
    share(api)
    assert sorted(names(bob)) == ["App", "alice@example.com:App"]
    assert permissions(bob, "App")["Bob@example.com"] == "Owner"
    assert permissions(bob, "alice@example.com:App")["alice@example.com"] == "Owner"
    assert bob.key("App") == bob.key("bob@example.com:App")
    assert bob.key("alice@example.com:App") == api.key("App") != bob.key("App")
    assert names(api) == ["App"]


def test_every_name_listed_means_the_app_it_stands_for(api: ApiClient, bob: ApiClient) -> None:
    api.add_app("app")
    bob.add_app("App")
    share(api, app="app")
    keys = {bob.key(name) for name in names(bob)}
    assert keys == {api.key("app"), bob.key("bob@example.com:App")}


def test_a_bare_name_means_the_single_shared_app_of_that_name(
    api: ApiClient, bob: ApiClient
) -> None:
    api.add_app()
    share(api)
    assert names(bob) == ["App"]
    assert bob.key() == api.key()


def test_a_bare_name_that_could_mean_two_shared_apps_is_refused(
    api: ApiClient, bob: ApiClient, carol: ApiClient
) -> None:
    for owner in (api, carol):
        owner.add_app()
        share(owner)
    assert sorted(names(bob)) == ["alice@example.com:App", "carol@example.com:App"]
    assert "owner@example.com:App" in bob.refused(404, "GET", "/apps/App")
    for owner, email in ((api, "alice@example.com"), (carol, "carol@example.com")):
        assert bob.key(f"{email}:App") == owner.key()


@pytest.mark.parametrize("owner", ["alice@example.com", "ALICE@Example.com", "alice%40example.com"])
@pytest.mark.parametrize("separator", [":", "%3A", "~~"])
def test_an_app_is_addressed_by_its_owner_and_name(
    api: ApiClient, bob: ApiClient, owner: str, separator: str
) -> None:
    api.add_app("My App")
    share(api, app="My App")
    for client in (api, bob):
        path = f"/apps/{owner}{separator}My%20App"
        assert client.get(path)["app"]["name"] == "My App"
        listed = client.get(f"{path}/deployments/")["deployments"]
        assert [each["name"] for each in listed] == ["Production", "Staging"]


@pytest.mark.parametrize(
    "reference", ["bob@example.com:App", "a:b:App", ":App", "alice@example.com:", "x~~App", "~~App"]
)
def test_an_owner_who_has_no_such_app_is_404(
    api: ApiClient, bob: ApiClient, reference: str
) -> None:
    api.add_app()
    sentence = api.refused(404, "GET", f"/apps/{reference}")
    assert sentence == f'App "{reference}" does not exist.'


def test_an_owner_s_name_opens_no_door(api: ApiClient, bob: ApiClient) -> None:
    api.add_app()
    for reference in ("alice@example.com:App", "alice@example.com~~App"):
        bob.refused(404, "GET", f"/apps/{reference}")
        bob.refused(404, "DELETE", f"/apps/{reference}")


def test_an_app_may_have_two_tildes_in_its_own_name(api: ApiClient) -> None:
    api.add_app("a~~b")
    assert api.get("/apps/a~~b")["app"]["name"] == "a~~b"
    assert api.get("/apps/alice@example.com:a~~b")["app"]["name"] == "a~~b"


def test_the_location_of_something_below_repeats_the_name_as_it_was_asked(
    api: ApiClient, bob: ApiClient
) -> None:
    api.add_app()
    path = "/apps/alice@example.com:App/deployments"
    response = api.call("POST", path, {"name": "Beta 1"}, expect=201)
    location = response.headers["Location"]
    assert location == "/apps/alice%40example.com%3AApp/deployments/Beta%201"
    assert api.get(location)["deployment"]["name"] == "Beta 1"


# Transfer.


@pytest.mark.parametrize("prefix", ["", "/v0.1/legacy"])
@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("email", ["bob@example.com", "Bob@example.com"])
def test_an_app_is_handed_over_with_all_that_belongs_to_it(
    api: ApiClient, bob: ApiClient, prefix: str, slash: str, email: str
) -> None:
    api.add_app()
    api.release(bundle())
    key = api.key()
    response = api.call("POST", f"{prefix}/apps/App/transfer/{email}{slash}", expect=201)
    assert response.get_data(as_text=True) == "Created"
    for client in (api, bob):
        assert permissions(client) == {
            "alice@example.com": "Collaborator",
            "Bob@example.com": "Owner",
        }
        assert names(client) == ["App"]
        assert client.key() == key
    assert api.check(key)["is_available"]
    assert api.refused(403, "DELETE", "/apps/App") == OWNER_NEEDED
    api.release(bundle("2"))
    bob.call("PATCH", "/apps/App", {"name": "Mine"}, expect=200)


def test_a_name_handed_over_is_free_again(api: ApiClient, bob: ApiClient) -> None:
    api.add_app()
    api.call("POST", "/apps/App/transfer/bob@example.com", expect=201)
    api.add_app("app")
    assert bob.refused(409, "POST", "/apps", {"name": "APP"})


def test_an_app_is_not_handed_to_its_owner(api: ApiClient) -> None:
    api.add_app()
    sentence = api.refused(409, "POST", "/apps/App/transfer/ALICE@example.com")
    assert sentence == "The given account already owns the app."


def test_an_app_is_not_handed_to_somebody_who_has_one_of_its_name(
    api: ApiClient, bob: ApiClient
) -> None:
    api.add_app()
    bob.add_app("APP")
    sentence = api.refused(409, "POST", "/apps/App/transfer/bob@example.com")
    assert sentence == (
        'Cannot transfer ownership. An app with name "App" already exists for the given'
        " collaborator."
    )
    assert permissions(api) == {"alice@example.com": "Owner"}
    assert permissions(bob, "APP") == {"Bob@example.com": "Owner"}


def test_an_app_is_handed_to_a_collaborator_and_back(api: ApiClient, bob: ApiClient) -> None:
    api.add_app()
    share(api)
    api.call("POST", "/apps/App/transfer/bob@example.com", expect=201)
    bob.call("POST", "/apps/App/transfer/alice@example.com", expect=201)
    assert permissions(api) == {"alice@example.com": "Owner", "Bob@example.com": "Collaborator"}


def test_other_collaborators_stay_through_a_transfer(
    api: ApiClient, bob: ApiClient, carol: ApiClient
) -> None:
    api.add_app()
    share(api, "carol@example.com")
    api.call("POST", "/apps/App/transfer/bob@example.com", expect=201)
    assert carol.get("/apps/App")
    assert permissions(bob)["carol@example.com"] == "Collaborator"


def test_members_of_the_old_organization_lose_an_app_handed_over(
    api: ApiClient, services: Services, bob: ApiClient
) -> None:
    dora = api.another(services, "dora@example.com", "Acme")
    erik = api.another(services, "erik@example.com", "Acme")
    dora.add_app()
    assert erik.get("/apps/App")
    dora.call("POST", "/apps/App/transfer/bob@example.com", expect=201)
    erik.refused(404, "GET", "/apps/App")
    assert dora.get("/apps/App")


def test_a_transfer_within_the_organization_changes_the_owner_alone(
    api: ApiClient, services: Services
) -> None:
    dora = api.another(services, "dora@example.com", "Acme")
    erik = api.another(services, "erik@example.com", "acme")
    dora.add_app()
    dora.call("POST", "/apps/App/transfer/erik@example.com", expect=201)
    assert permissions(erik) == {"dora@example.com": "Collaborator", "erik@example.com": "Owner"}
    assert names(dora) == names(erik) == ["App"]
    erik.call("PATCH", "/apps/App", {"name": "B"}, expect=200)


# Who may do what.

RELEASE = {
    "data": lambda: {
        "package": (io.BytesIO(bundle("9")), "p.zip"),
        "packageInfo": json.dumps({"appVersion": "1.0.0"}),
    }
}
INFO = {"packageInfo": {"description": "x"}}
READ = [
    ("GET", "/apps/App", None),
    ("GET", "/apps/App/collaborators", None),
    ("GET", "/apps/App/deployments", None),
    ("GET", "/apps/App/deployments/Staging", None),
    ("GET", "/apps/App/deployments/Staging/history", None),
    ("GET", "/apps/App/deployments/Staging/metrics", None),
]
COLLABORATE = [
    ("POST", "/apps/App/deployments/Staging/release", RELEASE),
    ("PATCH", "/apps/App/deployments/Staging/release", INFO),
    ("POST", "/apps/App/deployments/Staging/promote/Production", INFO),
    ("POST", "/apps/App/deployments/Staging/rollback", None),
    ("POST", "/apps/App/deployments/Staging/rollback/", None),
    ("POST", "/apps/App/deployments/Staging/rollback/v1", None),
]
OWN = [
    ("PATCH", "/apps/App", {"name": "Other"}),
    ("DELETE", "/apps/App", None),
    ("POST", "/apps/App/transfer/zoe@example.com", None),
    ("POST", "/apps/App/collaborators/zoe@example.com", None),
    ("DELETE", "/apps/App/collaborators/yan@example.com", None),
    ("POST", "/apps/App/deployments", {"name": "Beta"}),
    ("PATCH", "/apps/App/deployments/Staging", {"name": "Beta"}),
    ("DELETE", "/apps/App/deployments/Staging", None),
    ("DELETE", "/apps/App/deployments/Staging/history", None),
]
ROUTES = [*READ, *COLLABORATE, *OWN]


def ask(client: ApiClient, method: str, path: str, body: Any) -> Any:
    if body is RELEASE:
        return client.call(method, path, data=RELEASE["data"]())
    return client.call(method, path, body)


@pytest.fixture
def team(api: ApiClient, services: Services) -> dict[str, ApiClient]:
    """An app of Acme with two releases, and everybody who might want something of it."""
    team = {
        "owner": api.another(services, "owner@example.com", "Acme"),
        "admin": api.another(services, "admin@example.com", "Acme", Role.ADMIN),
        "developer": api.another(services, "developer@example.com", "Acme"),
        "viewer": api.another(services, "viewer@example.com", "Acme", Role.VIEWER),
        "guest": api.another(services, "guest@example.com"),
        "stranger": api.another(services, "stranger@example.com"),
    }
    for email in ("zoe@example.com", "yan@example.com"):
        api.another(services, email)
    owner = team["owner"]
    owner.add_app()
    for email in ("guest@example.com", "yan@example.com"):
        owner.call("POST", f"/apps/App/collaborators/{email}", expect=201)
    owner.release(bundle("1"))
    owner.release(bundle("2"))
    return team


def test_members_with_their_roles_see_the_organization_s_apps(
    team: dict[str, ApiClient],
) -> None:
    for who in ("owner", "admin", "developer", "viewer", "guest"):
        assert names(team[who]) == ["App"], who
    assert names(team["stranger"]) == []


@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
def test_an_app_does_not_exist_for_a_stranger(
    team: dict[str, ApiClient], method: str, path: str, body: Any
) -> None:
    before = team["owner"].get("/apps")
    for reference in ("App", "owner@example.com:App", "Acme:App"):
        response = ask(team["stranger"], method, path.replace("App", reference, 1), body)
        assert response.status_code == 404
        assert response.get_data(as_text=True) == f'App "{reference}" does not exist.'
    assert team["owner"].get("/apps") == before


@pytest.mark.parametrize(("method", "path", "body"), [*COLLABORATE, *OWN])
def test_a_viewer_only_reads(team: dict[str, ApiClient], method: str, path: str, body: Any) -> None:
    response = ask(team["viewer"], method, path, body)
    assert response.status_code == 403
    needed = OWNER_NEEDED if (method, path, body) in OWN else COLLABORATOR_NEEDED
    assert response.get_data(as_text=True) == needed
    assert len(team["owner"].history()) == 2


@pytest.mark.parametrize("who", ["developer", "guest"])
@pytest.mark.parametrize(("method", "path", "body"), OWN)
def test_developers_and_collaborators_may_not_do_what_owners_may(
    team: dict[str, ApiClient], who: str, method: str, path: str, body: Any
) -> None:
    response = ask(team[who], method, path, body)
    assert response.status_code == 403
    assert response.get_data(as_text=True) == OWNER_NEEDED
    assert len(team["owner"].history()) == 2


@pytest.mark.parametrize("who", ["viewer", "developer", "guest", "admin"])
def test_everybody_with_access_may_read(team: dict[str, ApiClient], who: str) -> None:
    for method, path, _ in READ:
        assert team[who].call(method, path).status_code == 200


@pytest.mark.parametrize("who", ["developer", "guest", "admin"])
@pytest.mark.parametrize(("method", "path", "body"), COLLABORATE)
def test_developers_and_collaborators_may_release(
    team: dict[str, ApiClient], who: str, method: str, path: str, body: Any
) -> None:
    assert ask(team[who], method, path, body).status_code in {200, 201}


@pytest.mark.parametrize("who", ["owner", "admin"])
@pytest.mark.parametrize(("method", "path", "body"), OWN)
def test_admins_may_do_what_the_owner_may(
    team: dict[str, ApiClient], who: str, method: str, path: str, body: Any
) -> None:
    assert ask(team[who], method, path, body).status_code in {200, 201, 204}


def test_a_viewer_may_not_add_apps_but_a_developer_may(team: dict[str, ApiClient]) -> None:
    sentence = team["viewer"].refused(403, "POST", "/apps", {"name": "Mine"})
    assert sentence.endswith(".")
    assert names(team["owner"]) == ["App"]
    team["developer"].add_app("Mine")
    assert names(team["viewer"]) == ["App", "Mine"]
    team["developer"].call("DELETE", "/apps/Mine", expect=204)


def test_a_release_tells_who_made_it(team: dict[str, ApiClient]) -> None:
    team["guest"].release(bundle("3"))
    by = [release["releasedBy"] for release in team["owner"].history()]
    assert by == ["owner@example.com", "owner@example.com", "guest@example.com"]


def test_a_viewer_who_is_a_collaborator_may_release(team: dict[str, ApiClient]) -> None:
    team["owner"].call("POST", "/apps/App/collaborators/viewer@example.com", expect=201)
    team["viewer"].release(bundle("3"))
    team["viewer"].refused(403, "DELETE", "/apps/App")


def test_a_member_of_two_organizations_acts_in_the_one_of_the_token(
    api: ApiClient, services: Services, team: dict[str, ApiClient]
) -> None:
    # Guest joins Acme as well, but the token is still for the guest's own organization.
    acme = services.stores.organizations.find("Acme")
    guest = services.accounts.find_user("guest@example.com")
    assert acme
    services.stores.organizations.set_role(acme.id, guest.id, Role.ADMIN)
    team["guest"].refused(403, "DELETE", "/apps/App")
    secret, _ = services.tokens.issue(guest, acme.id, name="Acme", created_by="x")
    in_acme = ApiClient(api.http, Account(guest.email, "Acme", secret))
    team["owner"].add_app("B")
    assert names(in_acme) == ["App", "B"]
    assert names(team["guest"]) == ["App"]
    in_acme.call("DELETE", "/apps/App", expect=204)


def test_a_member_who_was_removed_sees_nothing_any_more(
    services: Services, team: dict[str, ApiClient], redis: StoreClient
) -> None:
    acme = services.stores.organizations.find("Acme")
    developer = services.accounts.find_user("developer@example.com")
    assert acme
    redis.hdel(keys.members(acme.id), developer.id)  # type: ignore[attr-defined]
    for method, path in (("GET", "/apps"), ("GET", "/apps/App"), ("POST", "/apps")):
        message = team["developer"].refused(401, method, path, {"name": "Mine"})
        assert "you are no longer a member of" in message


@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
def test_every_route_takes_a_trailing_slash_and_the_legacy_prefix(
    team: dict[str, ApiClient], method: str, path: str, body: Any
) -> None:
    path = f"/v0.1/legacy{path.rstrip('/')}/"
    assert ask(team["owner"], method, path, body).status_code in {200, 201, 204}
