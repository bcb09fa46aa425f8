"""Registering, logging in and out, and the account."""

import re
from dataclasses import replace

import pytest

from codepush.app import create_app
from codepush.services.container import Services
from codepush.settings import Settings
from codepush.store.connection import StoreClient
from tests.api.v1.client import SeedClient
from tests.conftest import FakeClock

PASSWORD = "correct horse battery"


@pytest.fixture
def nobody(seed: SeedClient) -> SeedClient:
    return seed.nobody()


def register(client: SeedClient, email: str = "eve@example.com", **fields: str) -> SeedClient:
    body = {"email": email, "password": PASSWORD, **fields}
    made = client.post("/auth/register", body)
    return SeedClient(client.app, made["accessToken"], email)


def test_registering_makes_an_account_and_logs_in(nobody: SeedClient) -> None:
    made = nobody.post("/auth/register", {"email": "eve@example.com", "password": PASSWORD})
    assert made["account"]["email"] == made["account"]["organization"] == "eve@example.com"
    assert (made["account"]["name"], made["account"]["role"]) == ("eve", "Owner")
    assert re.fullmatch(r"[\w-]{40}", made["accessToken"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", made["expires"])
    eve = SeedClient(nobody.app, made["accessToken"])
    assert eve.get("/account")["account"] == made["account"]
    assert eve.get("/apps") == {"apps": []}


def test_registering_with_an_organization_makes_it(nobody: SeedClient) -> None:
    eve = register(nobody, organization="Eves", name="Eve")
    account = eve.get("/account")["account"]
    assert (account["name"], account["organization"], account["role"]) == ("Eve", "Eves", "Owner")


def test_registering_does_not_let_one_into_an_organization(nobody: SeedClient) -> None:
    body = {"email": "eve@example.com", "password": PASSWORD, "organization": "acme"}
    error = nobody.refused(409, "POST", "/auth/register", body)
    assert error["details"] == {"parameter": "organization", "reason": "Name already exists"}
    register(nobody)  # the address was not used up


@pytest.mark.parametrize("email", ["ann@example.com", "ANN@Example.com"])
def test_an_address_registers_once(nobody: SeedClient, email: str) -> None:
    body = {"email": email, "password": PASSWORD}
    error = nobody.refused(409, "POST", "/auth/register", body)
    assert error["details"] == {"parameter": "email", "reason": "Taken"}


def test_registering_by_an_invitation_joins_the_organization(
    seed: SeedClient, nobody: SeedClient
) -> None:
    invited = {"email": "eve@example.com", "role": "Viewer"}
    token = seed.post("/organizations/Acme/invitations", invited)["token"]
    eve = register(nobody, invitation=token)
    account = eve.get("/account")["account"]
    assert (account["organization"], account["role"]) == ("Acme", "Viewer")
    body = {"email": "mallory@example.com", "password": PASSWORD, "invitation": token}
    nobody.refused(404, "POST", "/auth/register", body)


@pytest.mark.parametrize("registration", ["invited", "closed"])
def test_the_operator_decides_who_may_register(
    registration: str, settings: Settings, redis: StoreClient, clock: FakeClock
) -> None:
    app = create_app(replace(settings, registration=registration), clock)
    ann = SeedClient(app, None).another("ann@example.com", "Acme")
    body = {"email": "eve@example.com", "password": PASSWORD}
    assert ann.nobody().refused(403, "POST", "/auth/register", body)["code"] == "Forbidden"
    body["invitation"] = ann.post("/organizations/Acme/invitations", {"email": "e@x.yz"})["token"]
    expected = 201 if registration == "invited" else 403
    ann.nobody().call("POST", "/auth/register", body, expect=expected)


def test_logging_in_takes_the_password(nobody: SeedClient, clock: FakeClock) -> None:
    register(nobody)
    clock.advance(1)
    session = nobody.post("/auth/login", {"email": "EVE@example.com", "password": PASSWORD}, 200)
    assert session["account"]["role"] == "Owner"
    eve = SeedClient(nobody.app, session["accessToken"])
    [first, second] = eve.get("/auth/tokens")["tokens"]
    assert first["isSession"]
    assert second["friendlyName"] == session["friendlyName"]
    assert second["expires"] == session["expires"]


@pytest.mark.parametrize(
    ("email", "password"), [("eve@example.com", "wrong"), ("nobody@example.com", PASSWORD)]
)
def test_a_wrong_password_and_a_wrong_address_are_refused_alike(
    nobody: SeedClient, email: str, password: str
) -> None:
    register(nobody)
    body = {"email": email, "password": password}
    response = nobody.call("POST", "/auth/login", body, expect=401)
    assert response.get_json()["error"]["message"].startswith("The e-mail address or the password")
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


def test_logging_in_is_for_an_organization_of_ones_own(
    seed: SeedClient, nobody: SeedClient
) -> None:
    register(nobody)
    body = {"email": "eve@example.com", "password": PASSWORD, "organization": "Acme"}
    nobody.refused(404, "POST", "/auth/login", body)
    token = seed.post("/organizations/Acme/invitations", {"email": "eve@example.com"})["token"]
    home = nobody.post("/auth/login", {**body, "organization": "eve@example.com"}, 200)
    SeedClient(nobody.app, home["accessToken"]).post("/invitations/accept", {"token": token}, 200)
    account = nobody.post("/auth/login", body, 200)["account"]
    assert (account["organization"], account["role"]) == ("Acme", "Developer")


def test_logging_out_revokes_the_token_that_was_used_and_no_other(seed: SeedClient) -> None:
    other = seed.as_token(ttl=60_000)
    assert other.post("/auth/logout", expect=200) == {"loggedOut": True}
    other.refused(401, "GET", "/apps")
    assert seed.get("/apps") == {"apps": []}


@pytest.mark.parametrize("scopes", [["read"], ["release"]])
def test_a_token_that_may_do_little_may_log_out(seed: SeedClient, scopes: list[str]) -> None:
    limited = seed.as_token(scopes=scopes)
    limited.post("/auth/logout", expect=200)
    limited.refused(401, "GET", "/account")


def test_an_account_is_renamed(seed: SeedClient) -> None:
    assert seed.patch("/account", {"name": "Ann B."})["account"]["name"] == "Ann B."
    assert seed.get("/account")["account"]["name"] == "Ann B."
    assert seed.patch("/account", {})["account"]["name"] == "Ann B."


def test_a_password_is_changed_by_who_knows_the_old_one(nobody: SeedClient) -> None:
    eve = register(nobody)
    new = "another password"
    for body in ({"password": new}, {"password": new, "currentPassword": "guess"}):
        error = eve.refused(400, "PATCH", "/account", body)
        assert error["details"]["parameter"] == "currentPassword"
    eve.patch("/account", {"password": new, "currentPassword": PASSWORD})
    login = {"email": "eve@example.com", "password": PASSWORD}
    nobody.refused(401, "POST", "/auth/login", login)
    nobody.post("/auth/login", {**login, "password": new}, 200)


def test_a_first_password_needs_no_old_one(seed: SeedClient) -> None:
    seed.patch("/account", {"password": PASSWORD})
    body = {"email": seed.email, "password": PASSWORD}
    assert seed.nobody().post("/auth/login", body, 200)["account"]["organization"] == "Acme"


@pytest.mark.parametrize("password", ["short", "x" * 1_001, "", 1234567890, None])
def test_a_password_has_a_proper_length(nobody: SeedClient, password: object) -> None:
    body = {"email": "eve@example.com", "password": password}
    error = nobody.refused(400, "POST", "/auth/register", body)
    assert error["details"]["parameter"] == "password"
    assert str(password) not in error["message"] or password in {"", None}


def test_passwords_and_tokens_are_nowhere_in_the_store(
    nobody: SeedClient, services: Services, redis: StoreClient
) -> None:
    eve = register(nobody)
    invitation = eve.post("/organizations/eve@example.com/invitations", {"email": "x@example.com"})
    redis.config_set("rdbcompression", "no")  # type: ignore[attr-defined]
    everything = b"".join(map(redis.dump, redis.scan_iter()))  # type: ignore[attr-defined]
    for secret in (PASSWORD, eve.token, invitation["token"]):
        assert secret
        assert secret.encode() not in everything
