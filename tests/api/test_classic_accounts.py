"""Who one is, and one's access keys, as the published CLIs ask for it."""

import hashlib
import re
from typing import Any
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient

from codepush.services.container import Services
from codepush.store.connection import StoreClient
from tests.api_client import Account, ApiClient
from tests.conftest import FakeClock

INVALID = (
    'The session or access key being used is invalid, please run "code-push login" again. If you'
    ' are on an older version of the CLI, you may need to run "code-push logout" first to clear the'
    " session cache."
)
EXPIRED = INVALID.replace("is invalid", "has expired")
UNPRINTABLE = (
    "The friendlyName must have at least one character, only printable ones, and no slash at either"
    " end."
)
DAY_MS = 86_400_000


def add_key(api: ApiClient, name: str = "CI", **fields: Any) -> Any:
    body = {"createdBy": "laptop", "friendlyName": name, **fields}
    return api.call("POST", "/accessKeys/", body, expect=201).get_json()["accessKey"]


def with_token(api: ApiClient, token: str) -> ApiClient:
    return ApiClient(api.http, Account("", "", token))


def everything_in(redis: Any) -> str:
    """Return every key and value in the store, as one text."""
    texts: list[str] = []
    for key in redis.scan_iter():
        texts.append(key)
        kind = redis.type(key)
        if kind == "string":
            texts.append(redis.get(key))
        elif kind == "hash":
            texts += [text for pair in redis.hgetall(key).items() for text in pair]
        elif kind == "set":
            texts += redis.smembers(key)
        elif kind == "zset":
            texts += redis.zrange(key, 0, -1)
        elif kind == "stream":
            texts.append(str(redis.xrange(key)))
        else:
            raise AssertionError(f"{key} is a {kind}")
    return "\n".join(texts)


# Logging in.


@pytest.mark.parametrize(
    "path", ["/authenticated", "/authenticated/", "/v0.1/legacy/authenticated"]
)
def test_authenticated_tells_a_client_that_its_key_works(api: ApiClient, path: str) -> None:
    response = api.call("GET", path, expect=200)
    assert response.get_json() == {"authenticated": True}
    assert response.headers["Cache-Control"] == "no-cache"
    assert response.content_type.startswith("application/json")


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_is_taken_in_any_case(http: FlaskClient, account: Account, scheme: str) -> None:
    headers = {"Authorization": f"{scheme} {account.token}"}
    assert http.get("/authenticated", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer nonsense",
        "Bearer " + "x" * 10_000,
        "Bearer käse",
        "Basic YWxpY2U6c2VjcmV0",
        "Token abc",
        "Bearer,",
    ],
)
def test_without_a_good_key_every_route_is_401(http: FlaskClient, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    for method, path in (("GET", "/authenticated"), ("GET", "/apps"), ("DELETE", "/apps/App")):
        response = http.open(path, method=method, headers=headers)
        assert response.status_code == 401
        assert response.get_data(as_text=True) == INVALID
        assert response.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_key_in_the_query_string_is_refused(http: FlaskClient, account: Account) -> None:
    response = http.get(f"/account?access_token={account.token}")
    assert response.status_code == 401
    assert "query string" in response.get_data(as_text=True)
    assert account.token not in response.get_data(as_text=True)


def test_a_key_in_the_body_is_refused(http: FlaskClient, account: Account) -> None:
    response = http.post("/apps", json={"name": "App", "access_token": account.token})
    assert response.status_code == 401


def test_a_key_is_taken_from_its_user_alone(
    api: ApiClient, http: FlaskClient, account: Account
) -> None:
    for changed in (account.token[:-1], account.token + "x", account.token.swapcase()):
        with_token(api, changed).refused(401, "GET", "/authenticated")


@pytest.mark.parametrize("path", ["/account", "/account/", "/v0.1/legacy/account"])
def test_account_says_who_the_caller_is(api: ApiClient, path: str) -> None:
    assert api.get(path) == {
        "account": {"name": "alice", "email": "alice@example.com", "linkedProviders": []}
    }


# Access keys.


@pytest.mark.parametrize("path", ["/accessKeys", "/accessKeys/", "/v0.1/legacy/accessKeys/"])
def test_an_access_key_is_shown_once(api: ApiClient, clock: FakeClock, path: str) -> None:
    body = {"createdBy": "laptop", "friendlyName": "CI", "ttl": DAY_MS}
    response = api.call("POST", path, body, expect=201)
    made = response.get_json()["accessKey"]
    secret = made.pop("name")
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]{21,99}", secret)
    assert made.pop("id")
    assert made == {
        "friendlyName": "CI",
        "description": "CI",
        "createdBy": "laptop",
        "createdTime": clock.now_ms,
        "expires": clock.now_ms + DAY_MS,
        "isSession": False,
    }
    assert response.headers["Location"] == path.rstrip("/") + "/CI"
    for shown in (api.get("/accessKeys/CI"), api.get("/accessKeys")):
        assert secret not in str(shown)
        assert "(hidden)" in str(shown)
    assert with_token(api, secret).get("/account")["account"]["email"] == "alice@example.com"


def test_an_access_key_lives_for_60_days_unless_told_otherwise(
    api: ApiClient, clock: FakeClock
) -> None:
    assert add_key(api)["expires"] == clock.now_ms + 60 * DAY_MS
    assert add_key(api, "other", ttl=None)["expires"] == clock.now_ms + 60 * DAY_MS


def test_an_access_key_may_be_named_by_its_description(api: ApiClient) -> None:
    response = api.call("POST", "/accessKeys", {"description": "Old SDK"}, expect=201)
    assert response.get_json()["accessKey"]["friendlyName"] == "Old SDK"


def test_an_access_key_without_a_maker_names_the_address(api: ApiClient) -> None:
    response = api.call("POST", "/accessKeys", {"friendlyName": "CI"}, expect=201)
    assert response.get_json()["accessKey"]["createdBy"] == "127.0.0.1"


@pytest.mark.parametrize("name", ["build server", "ключ", "a/b", "100%", "a?b#c", "~~", "x" * 300])
def test_names_of_access_keys_are_percent_encoded_in_the_location(
    api: ApiClient, name: str
) -> None:
    response = api.call("POST", "/accessKeys", {"friendlyName": name}, expect=201)
    location = response.headers["Location"]
    assert location.isascii()
    assert " " not in location
    assert api.get(location)["accessKey"]["friendlyName"] == name
    assert api.call("DELETE", location, expect=204).data == b""
    api.refused(404, "GET", location)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({}, "The friendlyName is missing; give the access key a name."),
        ({"friendlyName": None}, "The friendlyName is missing; give the access key a name."),
        ({"friendlyName": ""}, "The friendlyName is missing; give the access key a name."),
        ({"friendlyName": " "}, UNPRINTABLE),
        ({"friendlyName": "a\nb"}, UNPRINTABLE),
        ({"friendlyName": 5}, "The friendlyName is not valid: Not a valid string."),
        ({"friendlyName": "a", "ttl": "1"}, "The ttl is not valid: Not a valid integer."),
        ({"friendlyName": "a", "ttl": 1.5}, "The ttl is not valid: Not a valid integer."),
        ({"friendlyName": "a", "ttl": True}, "The ttl is not valid: Not a valid integer."),
    ],
)
def test_an_access_key_with_a_bad_value_is_refused(
    api: ApiClient, body: object, sentence: str
) -> None:
    assert api.refused(400, "POST", "/accessKeys", body) == sentence
    assert len(api.get("/accessKeys")["accessKeys"]) == 1


@pytest.mark.parametrize("ttl", [0, -1, 10**15, 10**30])
def test_a_new_access_key_s_ttl_is_from_a_millisecond_to_100_years(
    api: ApiClient, ttl: int
) -> None:
    assert "ttl" in api.refused(400, "POST", "/accessKeys", {"friendlyName": "a", "ttl": ttl})


def test_a_second_access_key_of_one_name_is_409(api: ApiClient) -> None:
    add_key(api)
    sentence = api.refused(409, "POST", "/accessKeys", {"friendlyName": "CI"})
    assert sentence == 'The access key "CI" already exists.'
    assert len(api.get("/accessKeys")["accessKeys"]) == 2


def test_two_users_may_name_their_keys_alike(api: ApiClient, services: Services) -> None:
    add_key(api)
    bob = api.another(services, "bob@example.com")
    add_key(bob)
    bob.call("DELETE", "/accessKeys/CI", expect=204)
    assert api.get("/accessKeys/CI")


def test_access_keys_are_listed_oldest_first_without_their_secrets(
    api: ApiClient, clock: FakeClock
) -> None:
    for name in ("zebra", "ant", "moth"):
        clock.advance(60)
        add_key(api, name)
    keys = api.get("/accessKeys/")["accessKeys"]
    assert [key["friendlyName"] for key in keys] == ["First access key", "zebra", "ant", "moth"]
    assert {key["name"] for key in keys} == {"(hidden)"}
    assert [key["createdTime"] for key in keys] == sorted(key["createdTime"] for key in keys)


def test_access_keys_of_others_are_not_there(api: ApiClient, services: Services) -> None:
    bob = api.another(services, "bob@example.com")
    add_key(api, "secret project")
    for method, body in (("GET", None), ("PATCH", {"ttl": 5}), ("DELETE", None)):
        sentence = bob.refused(404, method, "/accessKeys/secret%20project", body)
        assert sentence == 'The access key "secret project" does not exist.'
    assert "secret project" not in str(bob.get("/accessKeys"))


def test_an_access_key_is_renamed(api: ApiClient) -> None:
    secret = add_key(api)["name"]
    answer = api.call("PATCH", "/accessKeys/CI", {"friendlyName": "Release job"}, expect=200)
    assert answer.get_json()["accessKey"]["friendlyName"] == "Release job"
    assert answer.get_json()["accessKey"]["name"] == "(hidden)"
    assert with_token(api, secret).get("/authenticated")
    api.refused(404, "GET", "/accessKeys/CI")
    assert api.get("/accessKeys/Release%20job")
    add_key(api, "CI")


def test_an_access_key_is_not_renamed_to_a_taken_name(api: ApiClient) -> None:
    add_key(api, "one")
    add_key(api, "two")
    sentence = api.refused(409, "PATCH", "/accessKeys/one", {"friendlyName": "two"})
    assert sentence == 'The access key "two" already exists.'
    api.call("PATCH", "/accessKeys/one", {"friendlyName": "one"}, expect=200)


def test_a_patched_ttl_counts_from_now(api: ApiClient, clock: FakeClock) -> None:
    add_key(api, ttl=DAY_MS)
    clock.advance(3_600)
    answer = api.call("PATCH", "/accessKeys/CI", {"ttl": 2 * DAY_MS}, expect=200)
    assert answer.get_json()["accessKey"]["expires"] == clock.now_ms + 2 * DAY_MS


def test_a_patched_ttl_of_zero_expires_the_key(api: ApiClient) -> None:
    secret = add_key(api)["name"]
    api.call("PATCH", "/accessKeys/CI", {"ttl": 0}, expect=200)
    assert with_token(api, secret).refused(401, "GET", "/account") == EXPIRED


def test_an_empty_patch_changes_nothing(api: ApiClient) -> None:
    add_key(api)
    before = api.get("/accessKeys/CI")
    for body in ({}, {"friendlyName": None, "ttl": None}):
        assert api.call("PATCH", "/accessKeys/CI", body, expect=200).get_json() == before


def test_an_expired_key_is_401_with_its_own_sentence(api: ApiClient, clock: FakeClock) -> None:
    secret = add_key(api, ttl=60_000)["name"]
    clock.advance(59)
    assert with_token(api, secret).get("/authenticated")
    clock.advance(1)
    assert with_token(api, secret).refused(401, "GET", "/authenticated") == EXPIRED
    assert api.get("/accessKeys/CI"), "it is still listed"


def test_an_expired_key_can_be_given_more_time_with_another_key(
    api: ApiClient, clock: FakeClock
) -> None:
    secret = add_key(api, ttl=1_000)["name"]
    clock.advance(5)
    api.call("PATCH", "/accessKeys/CI", {"ttl": 60_000}, expect=200)
    assert with_token(api, secret).get("/authenticated")


@pytest.mark.parametrize("path", ["/accessKeys/CI", "/v0.1/legacy/accessKeys/CI"])
def test_a_revoked_key_is_401_at_once(api: ApiClient, path: str) -> None:
    secret = add_key(api)["name"]
    assert api.call("DELETE", path, expect=204).data == b""
    assert with_token(api, secret).refused(401, "GET", "/account") == INVALID
    sentence = api.refused(404, "DELETE", path)
    assert sentence == 'The access key "CI" does not exist.'
    again = add_key(api)
    assert again["name"] != secret
    assert with_token(api, secret).refused(401, "GET", "/account") == INVALID


def test_a_key_may_revoke_itself(api: ApiClient) -> None:
    own = with_token(api, add_key(api)["name"])
    own.call("DELETE", "/accessKeys/CI", expect=204)
    own.refused(401, "GET", "/account")


@pytest.mark.parametrize(
    ("method", "body"), [("GET", None), ("PATCH", {"ttl": 5}), ("DELETE", None)]
)
@pytest.mark.parametrize("slash", ["", "/"])
def test_an_access_key_is_addressed_with_and_without_a_trailing_slash(
    api: ApiClient, method: str, body: object, slash: str
) -> None:
    add_key(api, "build server")
    response = api.call(method, f"/accessKeys/build%20server{slash}", body)
    assert response.status_code in {200, 204}


def test_only_the_sha_256_of_a_key_is_stored(
    api: ApiClient, account: Account, redis: StoreClient
) -> None:
    secret = add_key(api)["name"]
    with_token(api, secret).get("/account")
    stored = everything_in(redis)
    for token in (secret, account.token):
        assert token not in stored
        assert token[:16] not in stored
        assert hashlib.sha256(token.encode()).hexdigest() in stored


# Sessions: keys from a browser login.


def log_in(services: Services, machine: str, name: str) -> str:
    user = services.accounts.find_user("alice@example.com")
    secret, _ = services.tokens.issue(
        user, user.organization_id, name=name, created_by=machine, is_session=True
    )
    return secret


@pytest.mark.parametrize("prefix", ["", "/v0.1/legacy"])
@pytest.mark.parametrize("machine", ["laptop", "MacBook Pro (2)", "büro/1"])
def test_logging_out_revokes_the_sessions_of_that_machine_alone(
    api: ApiClient, services: Services, prefix: str, machine: str
) -> None:
    mine = [log_in(services, machine, f"Login-{n}") for n in range(2)]
    other = log_in(services, "desktop", "Login-9")
    add_key(api, "CI", createdBy=machine)
    listed = api.get("/accessKeys")["accessKeys"]
    assert [key["isSession"] for key in listed].count(True) == 3
    path = f"{prefix}/sessions/{quote(machine, safe='')}"
    assert api.call("DELETE", path, expect=204).data == b""
    for secret in mine:
        with_token(api, secret).refused(401, "GET", "/account")
    assert with_token(api, other).get("/account")
    assert api.get("/accessKeys/CI"), "made by hand on that machine: no session"
    assert api.refused(404, "DELETE", path) == (
        f'There are no sessions associated with "{machine}."'
    )


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_machine_is_addressed_with_and_without_a_trailing_slash(
    api: ApiClient, services: Services, slash: str
) -> None:
    log_in(services, "laptop", "Login-1")
    api.call("DELETE", f"/sessions/laptop{slash}", expect=204)


def test_sessions_of_other_users_on_that_machine_stay(api: ApiClient, services: Services) -> None:
    secret = log_in(services, "laptop", "Login-1")
    api.another(services, "bob@example.com").refused(404, "DELETE", "/sessions/laptop")
    assert with_token(api, secret).get("/account")
