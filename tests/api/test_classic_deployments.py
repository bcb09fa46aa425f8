"""Deployments, their keys and metrics, as the published CLIs ask for them."""

import re
from typing import Any
from urllib.parse import quote

import pytest

from codepush.services.container import Services
from codepush.store.connection import StoreClient
from tests.api.test_classic_apps import BAD_NAMES, NAMES, things
from tests.api_client import ApiClient, bundle
from tests.conftest import FakeClock

KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{21,99}")
OLD_KEY = "Zm9vYmFyYmF6cXV4_-4ksvOXqogN1234567890"


@pytest.fixture(autouse=True)
def made(api: ApiClient) -> Any:
    return api.add_app()


def names(api: ApiClient, app: str = "App") -> list[str]:
    return [each["name"] for each in api.get(f"/apps/{app}/deployments/")["deployments"]]


def add(api: ApiClient, name: str = "Beta", app: str = "App", **fields: Any) -> Any:
    body = {"name": name, **fields}
    answer = api.call("POST", f"/apps/{app}/deployments/", body, expect=201)
    return answer.get_json()["deployment"]


def status_of(api: ApiClient, key: str) -> int:
    query = {"deployment_key": key, "app_version": "1.0.0"}
    return api.http.get("/v0.1/public/codepush/update_check", query_string=query).status_code


# Making and reading.


@pytest.mark.parametrize("prefix", ["", "/v0.1/legacy"])
@pytest.mark.parametrize("slash", ["", "/"])
def test_a_deployment_is_added_and_listed_by_name(
    api: ApiClient, clock: FakeClock, prefix: str, slash: str
) -> None:
    path = f"{prefix}/apps/App/deployments{slash}"
    response = api.call("POST", path, {"name": "Beta"}, expect=201)
    made = response.get_json()["deployment"]
    assert KEY.fullmatch(made["key"])
    assert made == {
        "name": "Beta",
        "key": made["key"],
        "createdTime": clock.now_ms,
        "package": None,
    }
    assert response.headers["Location"] == f"{prefix}/apps/App/deployments/Beta"
    listed = api.get(path)["deployments"]
    assert [each["name"] for each in listed] == ["Beta", "Production", "Staging"]
    assert listed[0] == made
    assert api.get(f"{prefix}/apps/App/deployments/Beta{slash}") == {"deployment": made}
    assert api.get("/apps/App")["app"]["deployments"] == ["Beta", "Production", "Staging"]


def test_every_deployment_has_a_key_of_its_own(api: ApiClient) -> None:
    api.add_app("Other")
    keys = [api.key(app, name) for app in ("App", "Other") for name in ("Staging", "Production")]
    assert len(set(keys)) == 4
    assert all(KEY.fullmatch(key) for key in keys)


@pytest.mark.parametrize("name", NAMES)
def test_any_name_goes_percent_encoded_through_every_address(api: ApiClient, name: str) -> None:
    response = api.call("POST", "/apps/App/deployments", {"name": name}, expect=201)
    location = response.headers["Location"]
    assert location == f"/apps/App/deployments/{quote(name, safe='')}"
    assert api.get(location)["deployment"]["name"] == name
    api.release(bundle(), deployment=name)
    assert api.history(quote(name, safe=""))[0]["label"] == "v1"
    api.call("PATCH", location, {"name": name + "2"}, expect=200)
    api.call("DELETE", location + "2", expect=204)


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_name_that_would_break_addresses_is_refused(api: ApiClient, name: str) -> None:
    before = api.get("/apps/App/deployments")
    for method, path in (
        ("POST", "/apps/App/deployments"),
        ("PATCH", "/apps/App/deployments/Staging"),
    ):
        sentence = api.refused(400, method, path, {"name": name})
        assert sentence.startswith("The name ")
        assert sentence.endswith(".")
    assert api.get("/apps/App/deployments") == before


@pytest.mark.parametrize("body", [{}, {"name": None}, {"key": OLD_KEY}])
def test_a_deployment_without_a_name_is_refused(api: ApiClient, body: object) -> None:
    sentence = api.refused(400, "POST", "/apps/App/deployments", body)
    assert sentence == "The name is missing; give the deployment a name."


def test_a_name_is_unique_in_the_app(api: ApiClient) -> None:
    sentence = api.refused(409, "POST", "/apps/App/deployments", {"name": "Staging"})
    assert sentence == "A deployment named 'Staging' already exists."
    assert names(api) == ["Production", "Staging"]
    api.add_app("Other", manuallyProvisionDeployments=True)
    add(api, "Staging", "Other")


def test_what_is_not_there_is_404(api: ApiClient) -> None:
    for method, path, body in (
        ("GET", "", None),
        ("PATCH", "", {"name": "x"}),
        ("DELETE", "", None),
        ("GET", "/metrics", None),
        ("GET", "/history", None),
        ("DELETE", "/history", None),
        ("PATCH", "/release", {}),
        ("POST", "/rollback", None),
        ("POST", "/promote/Staging", {}),
    ):
        sentence = api.refused(404, method, f"/apps/App/deployments/Nope%201{path}", body)
        assert sentence == 'Deployment "Nope 1" does not exist.'
        sentence = api.refused(404, method, f"/apps/Nope/deployments/Staging{path}", body)
        assert sentence == 'App "Nope" does not exist.'


def test_a_deployment_shows_its_newest_release(api: ApiClient) -> None:
    api.release(bundle("1"), description="one")
    api.release(bundle("2"), description="two", isDisabled=True)
    shown = api.get("/apps/App/deployments/Staging")["deployment"]["package"]
    assert shown == api.history()[-1]
    assert (shown["label"], shown["description"], shown["isDisabled"]) == ("v2", "two", True)
    assert api.get("/apps/App/deployments/Production")["deployment"]["package"] is None
    listed = {
        each["name"]: each["package"] for each in api.get("/apps/App/deployments")["deployments"]
    }
    assert listed == {"Production": None, "Staging": shown}


# Keys brought along.


def test_a_key_that_devices_have_already_may_be_given(api: ApiClient) -> None:
    assert add(api, key=OLD_KEY)["key"] == OLD_KEY
    api.release(bundle(), deployment="Beta")
    assert api.check(OLD_KEY)["is_available"]
    assert api.key(deployment="Beta") == OLD_KEY


@pytest.mark.parametrize("key", ["x" * 10, "x" * 100, "-_-_-_-_-_", "0123456789"])
def test_a_key_of_any_sound_form_may_be_given(api: ApiClient, key: str) -> None:
    assert add(api, key=key)["key"] == key
    assert status_of(api, key) == 200


@pytest.mark.parametrize("key", [None, ""])
def test_a_key_that_is_not_given_is_made(api: ApiClient, key: str | None) -> None:
    assert KEY.fullmatch(add(api, key=key)["key"])


@pytest.mark.parametrize(
    "key",
    ["x" * 9, "x" * 101, "with spaces in it", "ключключключ", "abcdefghi\n", " abcdefghij", 7],
)
def test_a_key_that_devices_could_not_use_is_refused(api: ApiClient, key: object) -> None:
    sentence = api.refused(400, "POST", "/apps/App/deployments", {"name": "Beta", "key": key})
    assert "key" in sentence
    assert names(api) == ["Production", "Staging"]


def test_a_key_is_unique_on_the_whole_server(api: ApiClient, services: Services) -> None:
    bob = api.another(services, "bob@example.com")
    bob.add_app("His")
    for key in (api.key(), OLD_KEY):
        if key == OLD_KEY:
            add(api, key=key)
        for client, app in ((api, "App"), (bob, "His")):
            body = {"name": "Twin", "key": key}
            sentence = client.refused(409, "POST", f"/apps/{app}/deployments", body)
            assert sentence == (
                "Another deployment on this server has the given key. Leave the key out to get a"
                " new one."
            )
            assert "Twin" not in names(client, app)
    assert status_of(api, OLD_KEY) == 200


def test_a_refused_name_does_not_take_the_key(api: ApiClient) -> None:
    api.refused(409, "POST", "/apps/App/deployments", {"name": "Staging", "key": OLD_KEY})
    assert status_of(api, OLD_KEY) == 404
    assert add(api, key=OLD_KEY)["key"] == OLD_KEY


def test_keys_differ_by_case(api: ApiClient) -> None:
    add(api, "one", key="abcdefghij")
    add(api, "two", key="ABCDEFGHIJ")


# Renaming and deleting.


@pytest.mark.parametrize("prefix", ["", "/v0.1/legacy"])
@pytest.mark.parametrize("slash", ["", "/"])
def test_a_renamed_deployment_keeps_its_key_and_releases(
    api: ApiClient, prefix: str, slash: str
) -> None:
    api.release(bundle())
    before = api.get("/apps/App/deployments/Staging")["deployment"]
    path = f"{prefix}/apps/App/deployments/Staging{slash}"
    answer = api.call("PATCH", path, {"name": "Béta"}, expect=200).get_json()
    assert answer == {"deployment": {**before, "name": "Béta"}}
    assert api.check(before["key"])["label"] == "v1"
    assert api.refused(404, "GET", "/apps/App/deployments/Staging") == (
        'Deployment "Staging" does not exist.'
    )
    add(api, "Staging")


def test_a_deployment_s_key_cannot_be_changed(api: ApiClient) -> None:
    """An answer of 200 would say that it was."""
    for body in ({"key": OLD_KEY}, {"name": "Beta", "key": OLD_KEY}):
        assert api.refused(400, "PATCH", "/apps/App/deployments/Staging", body) == (
            "The key of a deployment cannot be changed, since devices have it. Leave the key"
            " out, or delete the deployment and add one with that key."
        )
    assert names(api) == ["Production", "Staging"]
    assert status_of(api, OLD_KEY) == 404


@pytest.mark.parametrize("given", ["its own", "", None])
def test_a_rename_may_send_the_key_along(api: ApiClient, given: str | None) -> None:
    key = api.key()
    body = {"name": "Beta", "key": key if given else given}
    answer = api.call("PATCH", "/apps/App/deployments/Staging", body, expect=200).get_json()
    assert answer["deployment"]["name"] == "Beta"
    assert answer["deployment"]["key"] == key


def test_a_deployment_is_not_renamed_to_a_taken_name(api: ApiClient) -> None:
    body = {"name": "Production"}
    sentence = api.refused(409, "PATCH", "/apps/App/deployments/Staging", body)
    assert sentence == "A deployment named 'Production' already exists."
    assert names(api) == ["Production", "Staging"]


def test_a_rename_to_the_same_name_or_none_changes_nothing(api: ApiClient) -> None:
    before = api.get("/apps/App/deployments/Staging")
    for body in ({"name": "Staging"}, {}, {"name": None}):
        path = "/apps/App/deployments/Staging"
        assert api.call("PATCH", path, body, expect=200).get_json() == before


@pytest.mark.parametrize("prefix", ["", "/v0.1/legacy"])
@pytest.mark.parametrize("slash", ["", "/"])
def test_a_deleted_deployment_s_key_is_dead_at_once(
    api: ApiClient, prefix: str, slash: str
) -> None:
    api.release(bundle())
    key = api.key()
    assert status_of(api, key) == 200
    path = f"{prefix}/apps/App/deployments/Staging{slash}"
    assert api.call("DELETE", path, expect=204).data == b""
    assert status_of(api, key) == 404
    api.report("download", key, expect=404, label="v1")
    assert names(api) == ["Production"]
    assert api.refused(404, "DELETE", path) == 'Deployment "Staging" does not exist.'


def test_a_deleted_deployment_s_name_and_key_can_be_used_again(api: ApiClient) -> None:
    api.release(bundle())
    key = api.key()
    api.call("DELETE", "/apps/App/deployments/Staging", expect=204)
    made = add(api, "Staging", key=key)
    assert made == {**made, "key": key, "package": None}
    assert api.history() == []
    assert api.metrics() == {}
    assert not api.check(key)["is_available"]
    api.release(bundle())
    assert api.check(key)["label"] == "v1"


def test_all_deployments_may_be_deleted(api: ApiClient) -> None:
    for name in ("Staging", "Production"):
        api.call("DELETE", f"/apps/App/deployments/{name}", expect=204)
    assert api.get("/apps/App")["app"]["deployments"] == []
    assert names(api) == []


# Metrics.


def test_metrics_are_those_of_the_reference_server(api: ApiClient) -> None:
    assert api.metrics() == {}
    api.release(bundle("1"))
    key = api.key()
    version = {"app_version": "1.0.0"}
    api.report("deploy", key, client_unique_id="d1", **version)
    api.report("download", key, client_unique_id="d1", label="v1")
    good = {**version, "label": "v1", "status": "DeploymentSucceeded"}
    api.report("deploy", key, client_unique_id="d2", **good)
    bad = {**version, "label": "v1", "status": "DeploymentFailed"}
    api.report("deploy", key, client_unique_id="d3", **bad)
    expected = {
        "1.0.0": {"active": 1},
        "v1": {"active": 1, "downloaded": 1, "failed": 1, "installed": 1},
    }
    for path in ("metrics", "metrics/"):
        assert api.get(f"/apps/App/deployments/Staging/{path}") == {"metrics": expected}
    assert api.get("/v0.1/legacy/apps/App/deployments/Staging/metrics")["metrics"] == expected
    assert api.metrics("Production") == {}


def test_deleted_deployments_leave_no_metrics_behind(api: ApiClient, redis: StoreClient) -> None:
    before = things(redis)
    add(api, "Beta")
    api.release(bundle(), deployment="Beta")
    api.report("download", api.key(deployment="Beta"), label="v1", client_unique_id="d")
    api.call("DELETE", "/apps/App/deployments/Beta", expect=204)
    assert things(redis) == before
