"""What devices ask and report, in the words of both generations of SDKs."""

import json
from collections import deque
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import exceptions
from werkzeug.test import TestResponse

from codepush.domain.reports import Happening
from codepush.domain.rollout import bucket
from codepush.services.container import Services
from codepush.store.connection import StoreClient
from codepush.store.reports import ReportStore
from tests.api_client import Account, ApiClient, bundle, lasting_keys

CAMEL = "/updateCheck"
SNAKE = "/v0.1/public/codepush/update_check"
BOTH_CHECKS = pytest.mark.parametrize("path", [CAMEL, SNAKE])
DEPLOY = ("/reportStatus/deploy", "/v0.1/public/codepush/report_status/deploy")
DOWNLOAD = ("/reportStatus/download", "/v0.1/public/codepush/report_status/download")
BOTH_DEPLOYS = pytest.mark.parametrize("path", DEPLOY)
BOTH_DOWNLOADS = pytest.mark.parametrize("path", DOWNLOAD)

BAD_KEY = (
    "An update check must include a valid deployment key - please check that your app has been"
    " configured correctly. To view available deployment keys, run 'code-push deployment ls"
    " <appName> -k'."
)
BAD_VERSION = (
    "An update check must include a binary version that conforms to the semver standard (e.g."
    " '1.0.0'). The binary version is normally inferred from the App Store/Play Store version"
    " configured with your app."
)
UNKNOWN_KEY = (
    "No deployment has this key. Please check that your app has been configured with a current"
    " deployment key; 'code-push deployment ls <appName> -k' shows them."
)
BAD_DEPLOY = "A deploy status report must contain a valid appVersion and deploymentKey."
BAD_DOWNLOAD = "A download status report must contain a valid deploymentKey and package label."
BAD_STATUS = "A deploy status report for a labelled package must contain a valid status."

CAMEL_NAMES = {
    "deployment_key": "deploymentKey",
    "app_version": "appVersion",
    "package_hash": "packageHash",
    "is_companion": "isCompanion",
    "client_unique_id": "clientUniqueId",
    "previous_label_or_app_version": "previousLabelOrAppVersion",
    "previous_deployment_key": "previousDeploymentKey",
}


def in_camel_case(fields: dict[str, Any]) -> dict[str, Any]:
    return {CAMEL_NAMES.get(name, name): value for name, value in fields.items()}


@pytest.fixture
def key(api: ApiClient) -> str:
    """The key of a deployment without releases."""
    api.add_app()
    return api.key()


def check(http: FlaskClient, path: str, expect: int = 200, **query: Any) -> TestResponse:
    response = http.get(path, query_string=query)
    assert response.status_code == expect, response.get_data(as_text=True)
    if expect != 200:
        assert response.content_type == "text/plain; charset=utf-8"
    return response


def answer_of(http: FlaskClient, path: str, **query: Any) -> dict[str, Any]:
    """Return an answer without the envelope, under snake_case names."""
    answer: dict[str, Any]
    (answer,) = check(http, path, **query).get_json().values()
    names = {camel: snake for snake, camel in CAMEL_NAMES.items()}
    names |= {"isAvailable": "is_available", "isMandatory": "is_mandatory"}
    return {names.get(name, name): value for name, value in answer.items()}


# Update checks: whole answers.


def test_an_update_in_the_words_of_sdk_3_and_4(api: ApiClient, key: str) -> None:
    content = bundle()
    made = api.release(content, "^1.0.0", description="Fixes ✓", isMandatory=True)
    package = made.get_json()["package"]
    response = check(
        api.http,
        SNAKE,
        deployment_key=key,
        app_version="1.5",
        package_hash="",
        is_companion="",
        label="",
        client_unique_id="d1",
    )
    assert response.get_json() == {
        "update_info": {
            "download_url": package["blobUrl"],
            "description": "Fixes ✓",
            "is_available": True,
            "is_mandatory": True,
            "app_version": "1.5",
            "target_binary_range": "1.5",
            "package_hash": package["packageHash"],
            "label": "v1",
            "package_size": len(content),
            "update_app_version": False,
            "should_run_binary_version": False,
        }
    }
    assert response.content_type == "application/json; charset=utf-8"
    assert response.headers["Cache-Control"] == "private, no-cache"
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert api.http.get(package["blobUrl"], buffered=True).data == content


def test_an_update_in_the_words_of_sdk_2(api: ApiClient, key: str) -> None:
    content = bundle()
    package = api.release(content, "^1.0.0").get_json()["package"]
    response = check(
        api.http,
        CAMEL,
        deploymentKey=key,
        appVersion="1.5",
        packageHash="",
        isCompanion="false",
        label="",
        clientUniqueId="d1",
    )
    assert response.get_json() == {
        "updateInfo": {
            "downloadURL": package["blobUrl"],
            "description": "",
            "isAvailable": True,
            "isMandatory": False,
            "appVersion": "1.5",
            "target_binary_range": "1.5",
            "packageHash": package["packageHash"],
            "label": "v1",
            "packageSize": len(content),
            "updateAppVersion": False,
            "shouldRunBinaryVersion": False,
        }
    }


NOTHING = {
    "download_url": "",
    "description": "",
    "is_available": False,
    "is_mandatory": False,
    "app_version": "",
    "target_binary_range": "",
    "package_hash": "",
    "label": "",
    "package_size": 0,
    "update_app_version": False,
    "should_run_binary_version": False,
}


@pytest.mark.parametrize(
    ("versions", "version", "differs"),
    [
        ([], "1.0.0", {"should_run_binary_version": True}),
        (["1.0.0"], "1.0.0", {}),
        (
            ["2.0.0"],
            "1.0.0",
            {
                "app_version": "2.0.0",
                "target_binary_range": "2.0.0",
                "update_app_version": True,
                "should_run_binary_version": True,
            },
        ),
        (
            ["1.0.x"],
            "2.0.0",
            {
                "app_version": "1.0.x",
                "target_binary_range": "1.0.x",
                "should_run_binary_version": True,
            },
        ),
    ],
    ids=["no release", "up to date", "binary too old", "binary too new"],
)
def test_no_update_is_a_whole_answer_too(
    api: ApiClient, key: str, versions: list[str], version: str, differs: dict[str, Any]
) -> None:
    package_hash = ""
    for each in versions:
        package_hash = api.release(bundle(), each).get_json()["package"]["packageHash"]
    expected = {**NOTHING, **differs}
    query = {"deployment_key": key, "app_version": version, "package_hash": package_hash}
    assert check(api.http, SNAKE, **query).get_json() == {"update_info": expected}
    camel = {
        "downloadURL": "",
        "description": "",
        "isAvailable": False,
        "isMandatory": False,
        "appVersion": expected["app_version"],
        "target_binary_range": expected["app_version"],
        "packageHash": "",
        "label": "",
        "packageSize": 0,
        "updateAppVersion": expected["update_app_version"],
        "shouldRunBinaryVersion": expected["should_run_binary_version"],
    }
    assert check(api.http, CAMEL, **in_camel_case(query)).get_json() == {"updateInfo": camel}


@pytest.mark.parametrize("version", ["1.5", "1", "1.5.0", "v1.5.0", "1.5+7", " 1.5.0", "1.5.0+b-7"])
@BOTH_CHECKS
def test_the_binary_version_comes_back_verbatim(
    api: ApiClient, key: str, path: str, version: str
) -> None:
    api.release(bundle(), "*")
    answer = answer_of(api.http, path, deployment_key=key, app_version=version)
    assert (answer["app_version"], answer["target_binary_range"]) == (version, version)


@pytest.mark.parametrize("spelled_as_camel", [True, False])
@BOTH_CHECKS
def test_both_spellings_of_parameters_are_understood_everywhere(
    api: ApiClient, key: str, path: str, spelled_as_camel: bool
) -> None:
    first = api.release(bundle("1")).get_json()["package"]
    api.release(bundle("2"), isMandatory=True)
    api.release(bundle("3"), "9.0.0", rollout=50)
    inside = next(f"d{n}" for n in range(99) if bucket(f"d{n}", "v3") < 50)
    outside = next(f"d{n}" for n in range(99) if bucket(f"d{n}", "v3") >= 50)
    for client, label in ((inside, "v3"), (outside, "v2")):
        query = {
            "deployment_key": key,
            "app_version": "1.0.0",
            "package_hash": first["packageHash"],
            "label": "v1",
            "is_companion": "true",
            "client_unique_id": client,
        }
        given = in_camel_case(query) if spelled_as_camel else query
        answer = answer_of(api.http, path, **given)
        assert (answer["label"], answer["is_mandatory"]) == (label, True)


@BOTH_CHECKS
def test_the_camel_case_value_wins_if_there_is_one(api: ApiClient, key: str, path: str) -> None:
    api.release(bundle(), "1.0.0")
    query = {"deploymentKey": key, "deployment_key": "x" * 20, "app_version": "1.0.0"}
    assert answer_of(api.http, path, **query, appVersion="2.0.0")["is_available"] is False
    assert answer_of(api.http, path, **query, appVersion="")["is_available"] is True


@BOTH_CHECKS
def test_absent_parameters_are_empty_ones(api: ApiClient, key: str, path: str) -> None:
    # A mandatory release in between would show any difference.
    for n, mandatory in enumerate([False, True, False]):
        api.release(bundle(str(n)), isMandatory=mandatory)
    query = {"deployment_key": key, "app_version": "1.0.0"}
    absent = answer_of(api.http, path, **query)
    empty = {"package_hash": "", "label": "", "client_unique_id": "", "is_companion": ""}
    assert answer_of(api.http, path, **query, **empty) == absent
    assert answer_of(api.http, path, **query, **in_camel_case(empty)) == absent
    assert (absent["label"], absent["is_mandatory"]) == ("v3", False)
    older = api.history()[0]["packageHash"]
    by_hash = answer_of(api.http, path, **query, package_hash=older)
    assert by_hash == answer_of(api.http, path, **query, package_hash=older, label="")
    assert by_hash["is_mandatory"] is True


@pytest.mark.parametrize(
    ("given", "companion"),
    [
        ("true", True),
        ("TRUE", True),
        ("True", True),
        ("1", False),
        ("yes", False),
        ("false", False),
    ],
)
@BOTH_CHECKS
def test_a_companion_says_true_in_any_case(
    api: ApiClient, key: str, path: str, given: str, companion: bool
) -> None:
    api.release(bundle(), "9.0.0")
    query = {"deployment_key": key, "app_version": "1.0.0", "is_companion": given}
    assert answer_of(api.http, path, **query)["is_available"] is companion


@BOTH_CHECKS
def test_white_space_around_the_key_is_taken_off(api: ApiClient, key: str, path: str) -> None:
    api.release(bundle())
    query = {"deployment_key": f" {key}\n", "app_version": "1.0.0"}
    assert answer_of(api.http, path, **query)["is_available"]


@BOTH_CHECKS
def test_a_rollout_is_decided_by_the_client_s_id(api: ApiClient, key: str, path: str) -> None:
    api.release(bundle("1"))
    api.release(bundle("2"), rollout=40)
    query = {"deployment_key": key, "app_version": "1.0.0"}
    for n in range(30):
        answer = answer_of(api.http, path, **query, client_unique_id=f"device {n}")
        assert answer["label"] == ("v2" if bucket(f"device {n}", "v2") < 40 else "v1")
    assert answer_of(api.http, path, **query)["label"] == "v1", "nobody in particular waits"


def test_a_check_sees_every_change_at_once(api: ApiClient, key: str) -> None:
    assert not api.check(key)["is_available"]
    for n in range(1, 4):
        api.release(bundle(str(n)))
        assert api.check(key)["label"] == f"v{n}"
    api.patch(isDisabled=True)
    assert api.check(key)["label"] == "v2"
    api.call("DELETE", "/apps/App/deployments/Staging/history", expect=204)
    assert not api.check(key)["is_available"]


@BOTH_CHECKS
def test_a_check_tells_nobody_s_secrets_and_needs_none(api: ApiClient, key: str, path: str) -> None:
    for header in ({}, {"Authorization": "Bearer nonsense"}):
        query = {"deployment_key": key, "app_version": "1.0.0"}
        assert api.http.get(path, query_string=query, headers=header).status_code == 200


# Update checks: errors.


@pytest.mark.parametrize(
    "bad", [None, "", " ", "short", "x" * 101, "with space inside", "ключключключ", "a/b/c/d/e/f"]
)
@BOTH_CHECKS
def test_a_check_without_a_sound_key_is_400(http: FlaskClient, path: str, bad: str | None) -> None:
    for version in ("1.0.0", "nonsense"):
        query = {"app_version": version} | ({} if bad is None else {"deployment_key": bad})
        response = check(http, path, 400, **query)
        assert response.get_data(as_text=True) == BAD_KEY, "the key is judged first"


@pytest.mark.parametrize(
    "bad",
    [None, "", "one", "1.0.0.0", "1.x", "^1.0.0", "-1", "1.0.0-", "x" * 300, "１.０.０", "\0"],
)
@BOTH_CHECKS
def test_a_check_without_a_sound_version_is_400(
    http: FlaskClient, key: str, path: str, bad: str | None
) -> None:
    for known in (key, "unknown-key"):
        query = {"deployment_key": known} | ({} if bad is None else {"app_version": bad})
        assert check(http, path, 400, **query).get_data(as_text=True) == BAD_VERSION


@BOTH_CHECKS
def test_a_check_with_an_unknown_key_is_404(http: FlaskClient, key: str, path: str) -> None:
    for unknown in ("x" * 20, key[:-1], key.swapcase()):
        response = check(http, path, 404, deployment_key=unknown, app_version="1.0.0")
        assert response.get_data(as_text=True) == UNKNOWN_KEY
        assert response.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("name", ["deployment_key", "app_version", "label", "unknown"])
@BOTH_CHECKS
def test_a_parameter_given_twice_is_400(http: FlaskClient, key: str, path: str, name: str) -> None:
    query = f"deployment_key={key}&app_version=1.0.0&label=v1&unknown=1&{name}=x"
    response = http.get(f"{path}?{query}")
    assert response.status_code == 400
    assert name in response.get_data(as_text=True)


def test_a_check_leaves_no_trace_in_the_store(api: ApiClient, key: str, redis: StoreClient) -> None:
    before = lasting_keys(redis)
    for version in ("1.0.0", "2.0.0"):
        for label in ("", "v1", "v99"):
            api.check(key, version, label=label, client_unique_id=f"d-{version}-{label}")
    check(api.http, SNAKE, 404, deployment_key="x" * 30, app_version="1.0.0")
    assert lasting_keys(redis) == before


# Web views.


@pytest.mark.parametrize("path", [CAMEL, SNAKE, *DEPLOY, *DOWNLOAD])
def test_a_web_view_of_any_origin_may_ask(http: FlaskClient, path: str) -> None:
    response = http.options(
        path,
        headers={
            "Origin": "http://localhost",
            "Access-Control-Request-Method": "GET" if "heck" in path else "POST",
            "Access-Control-Request-Headers": "content-type,x-codepush-sdk-version",
        },
    )
    assert response.status_code in {200, 204}
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in response.headers
    methods = response.headers["Access-Control-Allow-Methods"].split(", ")
    assert {"GET", "POST"} <= set(methods)
    allowed = response.headers["Access-Control-Allow-Headers"].lower().split(", ")
    assert {
        "content-type",
        "x-codepush-plugin-name",
        "x-codepush-plugin-version",
        "x-codepush-sdk-version",
    } <= set(allowed)


# Reports.


@dataclass
class Fleet:
    """Devices of one deployment, and what the server made of their reports."""

    http: FlaskClient
    api: ApiClient
    key: str
    deployment: str = "Staging"
    camel: bool = False

    def send(self, kind: str, expect: int = 200, **fields: Any) -> TestResponse:
        body = {"deployment_key": self.key, **fields}
        paths = DEPLOY if kind == "deploy" else DOWNLOAD
        path = paths[0] if self.camel else paths[1]
        response = self.http.post(path, json=in_camel_case(body) if self.camel else body)
        assert response.status_code == expect, response.get_data(as_text=True)
        return response

    def runs(
        self, device: str | None, label: str = "", version: str = "1.0.0", **more: Any
    ) -> None:
        """Report that a package runs, or without a label that the binary's own does."""
        fields: dict[str, Any] = {"app_version": version, "client_unique_id": device, **more}
        if label:
            fields |= {"label": label, "status": "DeploymentSucceeded"}
        self.send("deploy", **fields)

    def failed(self, device: str | None, label: str, **more: Any) -> None:
        self.send("deploy", app_version="1.0.0", client_unique_id=device, label=label,
                  status="DeploymentFailed", **more)  # fmt: skip

    def downloaded(self, device: str | None, label: str) -> None:
        self.send("download", client_unique_id=device, label=label)

    def metrics(self) -> dict[str, dict[str, int]]:
        return self.api.metrics(self.deployment)

    def active(self) -> dict[str, int]:
        """Return where devices are, places without any left out."""
        counted = {place: each["active"] for place, each in self.metrics().items()}
        return {place: number for place, number in counted.items() if number}

    def count(self, label: str, counter: str) -> int:
        return self.metrics().get(label, {}).get(counter, 0)


@pytest.fixture(params=["camelCase", "snake_case"])
def fleet(request: pytest.FixtureRequest, api: ApiClient, key: str) -> Fleet:
    """Devices of a deployment with the releases v1, v2 and v3."""
    for n in range(1, 4):
        api.release(bundle(str(n)))
    return Fleet(api.http, api, key, camel=request.param == "camelCase")


@pytest.fixture
def production(fleet: Fleet) -> Fleet:
    """The same app's other deployment, with v1."""
    fleet.api.promote()
    key = fleet.api.key(deployment="Production")
    return Fleet(fleet.http, fleet.api, key, "Production", fleet.camel)


def test_a_report_is_answered_with_ok(fleet: Fleet) -> None:
    for response in (
        fleet.send("download", label="v1", client_unique_id="d"),
        fleet.send("deploy", app_version="1.0.0", client_unique_id="d"),
        fleet.send("deploy", app_version="1.0.0", label="v1", status="DeploymentSucceeded"),
    ):
        assert response.status_code == 200, "SDK 2 and 3 take nothing but 200"
        assert response.get_data(as_text=True) == "OK"
        assert response.headers["Access-Control-Allow-Origin"] == "*"


def test_a_device_that_runs_a_label_is_active_and_installed_there(fleet: Fleet) -> None:
    fleet.runs("d", "v1")
    expected = {"v1": {"active": 1, "downloaded": 0, "failed": 0, "installed": 1}}
    assert fleet.metrics() == expected


def test_a_device_that_runs_its_binary_is_active_at_that_version(fleet: Fleet) -> None:
    fleet.runs("d", version="1.0")
    assert fleet.metrics() == {"1.0": {"active": 1}}, "as written, and without an install"


@pytest.mark.parametrize("status", ["DeploymentSucceeded", "DeploymentFailed", "Downloaded", ""])
def test_a_report_without_a_label_is_about_the_binary_whatever_its_status(
    fleet: Fleet, status: str
) -> None:
    fleet.runs("d", status=status)
    assert fleet.metrics() == {"1.0.0": {"active": 1}}


def test_a_device_moves_between_labels(fleet: Fleet) -> None:
    for label in ("v1", "v2", "v3"):
        fleet.runs("d", label)
        assert fleet.active() == {label: 1}
    assert [fleet.count(f"v{n}", "installed") for n in (1, 2, 3)] == [1, 1, 1]


def test_a_device_moves_from_its_binary_to_a_label_and_back(fleet: Fleet) -> None:
    fleet.runs("d")
    fleet.runs("d", "v1", previous_label_or_app_version="1.0.0")
    assert fleet.active() == {"v1": 1}
    fleet.runs("d", previous_label_or_app_version="v1")
    assert fleet.active() == {"1.0.0": 1}


def test_a_device_moves_between_binary_versions(fleet: Fleet) -> None:
    fleet.runs("d", version="1.0.0")
    fleet.runs("d", version="1.1.0")
    assert fleet.metrics() == {"1.1.0": {"active": 1}}, "nothing is left of what nobody runs"


def test_the_server_s_own_record_decides_where_a_device_was(fleet: Fleet) -> None:
    fleet.runs("other", "v3")
    fleet.runs("d", "v1")
    fleet.runs("d", "v2", previous_label_or_app_version="v3")
    assert fleet.active() == {"v2": 1, "v3": 1}
    fleet.runs("new", "v2", previous_label_or_app_version="v3")
    assert fleet.active() == {"v2": 2, "v3": 1}


def test_a_report_of_where_the_device_is_already_does_nothing(fleet: Fleet) -> None:
    fleet.runs("d", "v1")
    before = fleet.metrics()
    fleet.runs("d", "v1", previous_label_or_app_version="1.0.0")
    fleet.runs("d", "v1", version="1.0.1")
    assert fleet.metrics() == before


def test_a_device_that_comes_back_to_a_label_is_installed_there_once(fleet: Fleet) -> None:
    fleet.runs("d", "v1")
    fleet.runs("d", "v2", previous_label_or_app_version="v1")
    fleet.runs("d", "v1", previous_label_or_app_version="v2")
    assert fleet.active() == {"v1": 1}
    assert fleet.count("v1", "installed") == 1


def test_a_replayed_report_changes_nothing(fleet: Fleet) -> None:
    fleet.runs("d")
    for label, previous in (("v1", "1.0.0"), ("v2", "v1"), ("v3", "v2")):
        fleet.runs("d", label, previous_label_or_app_version=previous)
    before = fleet.metrics()
    for label, previous in (("v1", "1.0.0"), ("v2", "v1"), ("v3", "v2")):
        fleet.runs("d", label, previous_label_or_app_version=previous)
        assert fleet.metrics() == before
    fleet.runs("d")
    assert fleet.metrics() == before


def test_the_last_eight_reports_are_remembered_and_no_more(fleet: Fleet) -> None:
    fleet.runs("d", "v1")
    for n in range(1, 8):
        fleet.runs("d", version=f"1.0.{n}")
    fleet.runs("d", "v1")  # the eighth last: a replay
    assert fleet.active() == {"1.0.7": 1}
    fleet.runs("d", version="1.0.8")
    fleet.runs("d", "v1")  # forgotten: it may well be true
    assert fleet.active() == {"v1": 1}
    assert fleet.count("v1", "installed") == 1


def test_reports_of_one_device_say_nothing_of_another(fleet: Fleet) -> None:
    for device in ("a", "b", "c"):
        fleet.runs(device, "v1")
        fleet.downloaded(device, "v1")
        fleet.failed(device, "v2")
    assert fleet.metrics() == {
        "v1": {"active": 3, "downloaded": 3, "failed": 0, "installed": 3},
        "v2": {"active": 0, "downloaded": 0, "failed": 3, "installed": 0},
    }


def test_a_failure_and_a_download_count_once_per_device_and_label(fleet: Fleet) -> None:
    for n in range(3):
        fleet.failed("d", "v1", previous_label_or_app_version=f"1.0.{n}")
        fleet.downloaded("d", "v1")
        fleet.failed("d", "v2")
    assert fleet.metrics() == {
        "v1": {"active": 0, "downloaded": 1, "failed": 1, "installed": 0},
        "v2": {"active": 0, "downloaded": 0, "failed": 1, "installed": 0},
    }


def test_downloads_are_not_counted_again_once_eight_reports_have_passed(fleet: Fleet) -> None:
    fleet.downloaded("d", "v1")
    fleet.failed("d", "v1")
    for n in range(9):
        fleet.runs("d", version=f"1.0.{n}")
    fleet.downloaded("d", "v1")
    fleet.failed("d", "v1")
    assert (fleet.count("v1", "downloaded"), fleet.count("v1", "failed")) == (1, 1)


def test_a_failure_or_download_moves_no_device(fleet: Fleet) -> None:
    fleet.runs("d", "v1")
    fleet.downloaded("d", "v2")
    fleet.failed("d", "v2")
    assert fleet.active() == {"v1": 1}


def test_a_deploy_report_may_say_that_a_label_was_downloaded(fleet: Fleet) -> None:
    fleet.send("deploy", app_version="1.0.0", client_unique_id="d", label="v1", status="Downloaded")
    assert fleet.metrics()["v1"] == {"active": 0, "downloaded": 1, "failed": 0, "installed": 0}


@pytest.mark.parametrize("nobody", [None, ""])
def test_reports_without_a_client_id_count_but_move_no_active(
    fleet: Fleet, nobody: str | None
) -> None:
    for _ in range(2):
        fleet.runs(nobody, "v1")
        fleet.failed(nobody, "v1")
        fleet.downloaded(nobody, "v1")
        fleet.runs(nobody)
    assert fleet.metrics() == {"v1": {"active": 0, "downloaded": 2, "failed": 2, "installed": 2}}


def test_a_device_moves_between_deployments(fleet: Fleet, production: Fleet) -> None:
    fleet.runs("d", "v1")
    production.runs("d", "v1", previous_deployment_key=fleet.key,
                    previous_label_or_app_version="v1")  # fmt: skip
    assert fleet.active() == {}
    assert production.active() == {"v1": 1}
    fleet.runs("d", "v2", previous_deployment_key=production.key)
    assert (fleet.active(), production.active()) == ({"v2": 1}, {})
    assert fleet.count("v1", "installed") == 1, "what was installed was installed"


def test_a_device_that_comes_with_its_binary_leaves_the_other_deployment_too(
    fleet: Fleet, production: Fleet
) -> None:
    fleet.runs("d", "v1")
    production.runs("d", previous_deployment_key=fleet.key)
    assert (fleet.active(), production.active()) == ({}, {"1.0.0": 1})


def test_a_replayed_move_between_deployments_changes_nothing(
    fleet: Fleet, production: Fleet
) -> None:
    fleet.runs("d", "v1")
    production.runs("d", "v1", previous_deployment_key=fleet.key)
    fleet.runs("d", "v2", previous_deployment_key=production.key)
    production.runs("d", "v1", previous_deployment_key=fleet.key)
    assert (fleet.active(), production.active()) == ({"v2": 1}, {})


def test_a_report_repeated_after_a_failure_still_takes_the_device_off_the_other_deployment(
    fleet: Fleet, production: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = ReportStore.count

    def fail(store: ReportStore, address: Any, told: Any, **options: Any) -> Any:
        if told[0].happening is Happening.LEAVES:
            raise exceptions.ConnectionError("The store went away between the two steps.")
        return count(store, address, told, **options)

    fleet.runs("d", "v1")
    body = {
        "app_version": "1.0.0",
        "client_unique_id": "d",
        "label": "v1",
        "status": "DeploymentSucceeded",
        "previous_deployment_key": fleet.key,
    }
    with monkeypatch.context() as patch:
        patch.setattr(ReportStore, "count", fail)
        production.send("deploy", 503, **body)
    assert (fleet.active(), production.active()) == ({"v1": 1}, {"v1": 1})
    production.send("deploy", **body)
    assert (fleet.active(), production.active()) == ({}, {"v1": 1})


def test_a_device_that_says_its_own_deployment_came_before_stays(fleet: Fleet) -> None:
    fleet.runs("d", "v1", previous_deployment_key=fleet.key)
    fleet.runs("d", "v2", previous_deployment_key=fleet.key)
    assert fleet.active() == {"v2": 1}


def test_a_failure_takes_no_device_off_another_deployment(fleet: Fleet, production: Fleet) -> None:
    fleet.runs("d", "v1")
    production.failed("d", "v1", previous_deployment_key=fleet.key)
    assert fleet.active() == {"v1": 1}


@pytest.mark.parametrize("previous", ["unknown-key-of-nobody", "short", "", "ключ", None])
def test_a_previous_deployment_that_is_none_does_not_matter(
    fleet: Fleet, redis: StoreClient, previous: str | None
) -> None:
    fleet.runs("first", "v1")
    before = lasting_keys(redis)
    fleet.runs("d", "v1", previous_deployment_key=previous)
    assert fleet.active() == {"v1": 2}
    assert lasting_keys(redis) == before


@pytest.mark.parametrize(
    "label", ["v4", "v99", "v0", "v", "1", "1.0.0", "x" * 500, "v1\0", "V1", "v01"]
)
def test_an_unknown_label_creates_nothing(fleet: Fleet, redis: StoreClient, label: str) -> None:
    fleet.runs("first", "v1")
    keys, metrics = lasting_keys(redis), fleet.metrics()
    for device in ("d", "first", None):
        fleet.runs(device, label)
        fleet.failed(device, label)
        fleet.downloaded(device, label)
    assert fleet.metrics() == metrics
    assert lasting_keys(redis) == keys


def test_the_first_report_of_an_unknown_label_creates_no_keys(
    fleet: Fleet, redis: StoreClient
) -> None:
    before = lasting_keys(redis)
    fleet.runs("d", "v9")
    fleet.downloaded("d", "v9")
    assert lasting_keys(redis) == before
    assert fleet.metrics() == {}


@BOTH_DEPLOYS
def test_a_deploy_report_with_an_unknown_key_is_404_and_creates_nothing(
    http: FlaskClient, redis: StoreClient, path: str
) -> None:
    before = lasting_keys(redis)
    body = {"deploymentKey": "x" * 30, "appVersion": "1.0.0", "clientUniqueId": "d"}
    response = http.post(path, json=body)
    assert response.status_code == 404
    assert response.get_data(as_text=True) == UNKNOWN_KEY
    assert lasting_keys(redis) == before


@BOTH_DOWNLOADS
def test_a_download_report_with_an_unknown_key_is_404_and_creates_nothing(
    http: FlaskClient, redis: StoreClient, path: str
) -> None:
    before = lasting_keys(redis)
    body = {"deployment_key": "x" * 30, "label": "v1", "client_unique_id": "d"}
    response = http.post(path, json=body)
    assert response.status_code == 404
    assert response.get_data(as_text=True) == UNKNOWN_KEY
    assert lasting_keys(redis) == before


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({}, BAD_DEPLOY),
        ({"appVersion": "1.0.0"}, BAD_DEPLOY),
        ({"deploymentKey": "KEY"}, BAD_DEPLOY),
        ({"deploymentKey": "KEY", "appVersion": ""}, BAD_DEPLOY),
        ({"deploymentKey": "KEY", "appVersion": None}, BAD_DEPLOY),
        ({"deploymentKey": "KEY", "appVersion": "v7"}, BAD_DEPLOY),
        ({"deploymentKey": "KEY", "appVersion": "1" * 257}, BAD_DEPLOY),
        ({"deploymentKey": "short", "appVersion": "1.0.0"}, BAD_DEPLOY),
        ({"deploymentKey": "", "appVersion": "1.0.0"}, BAD_DEPLOY),
        ({"deploymentKey": "KEY", "appVersion": "1.0.0", "label": "v1"}, BAD_STATUS),
        ({"deploymentKey": "KEY", "appVersion": "1.0.0", "label": "v1", "status": ""}, BAD_STATUS),
        (
            {"deploymentKey": "KEY", "appVersion": "1.0.0", "label": "v1", "status": "Great"},
            "Invalid status: Great",
        ),
        (
            {"deploymentKey": "KEY", "appVersion": "1.0.0", "status": "Great"},
            "Invalid status: Great",
        ),
    ],
)
@pytest.mark.parametrize("camel", [True, False])
def test_a_deploy_report_that_lacks_something_is_400_with_the_known_sentence(
    fleet: Fleet, redis: StoreClient, fields: dict[str, Any], sentence: str, camel: bool
) -> None:
    before = lasting_keys(redis)
    fields = {name: fleet.key if value == "KEY" else value for name, value in fields.items()}
    if not camel:
        names = {old: new for new, old in CAMEL_NAMES.items()}
        fields = {names.get(name, name): value for name, value in fields.items()}
    response = fleet.http.post(DEPLOY[not camel], json=fields)
    assert response.status_code == 400
    assert response.get_data(as_text=True) == sentence
    assert response.content_type == "text/plain; charset=utf-8"
    assert lasting_keys(redis) == before


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"label": "v1"},
        {"deploymentKey": "KEY"},
        {"deploymentKey": "KEY", "label": ""},
        {"deploymentKey": "KEY", "label": None},
        {"deploymentKey": "short", "label": "v1"},
        {"deploymentKey": "x" * 101, "label": "v1"},
    ],
)
@BOTH_DOWNLOADS
def test_a_download_report_that_lacks_something_is_400_with_the_known_sentence(
    http: FlaskClient, key: str, path: str, fields: dict[str, Any]
) -> None:
    fields = {name: key if value == "KEY" else value for name, value in fields.items()}
    response = http.post(path, json=fields)
    assert response.status_code == 400
    assert response.get_data(as_text=True) == BAD_DOWNLOAD


@pytest.mark.parametrize("path", [*DEPLOY, *DOWNLOAD])
def test_what_devices_add_to_a_report_is_ignored(fleet: Fleet, path: str) -> None:
    body = {
        "deploymentKey": f" {fleet.key} ",
        "deployment_key": "",
        "appVersion": "1.0.0",
        "label": "v1",
        "status": "DeploymentSucceeded",
        "clientUniqueId": "d",
        "something": {"new": [1]},
    }
    response = fleet.http.post(path, data=json.dumps(body), content_type="text/plain")
    assert response.status_code == 200
    assert sum(fleet.metrics()["v1"].values()) > 0


def test_a_cleared_history_forgets_devices_and_old_labels(fleet: Fleet) -> None:
    fleet.runs("d", "v1")
    fleet.api.call("DELETE", "/apps/App/deployments/Staging/history", expect=204)
    assert fleet.metrics() == {}
    fleet.runs("d", "v1")
    assert fleet.metrics() == {}
    fleet.api.release(bundle("9"))
    fleet.runs("d", "v4")
    assert fleet.active() == {"v4": 1}


def test_ids_of_devices_are_not_stored(fleet: Fleet, redis: Any) -> None:
    fleet.runs("a-very-telling-device-id", "v1")
    for name in redis.scan_iter():
        is_ours = not name.startswith("rq:")
        stored = str(redis.hgetall(name)) if is_ours and redis.type(name) == "hash" else name
        assert "telling-device" not in stored


def test_odd_client_ids_are_devices_too(fleet: Fleet) -> None:
    for device in ("客户端", "😀", "a|b", "a b", "0", "x" * 1_000, "v1", "\x7f"):
        fleet.runs(device, "v1")
    assert fleet.active() == {"v1": 8}


@pytest.mark.parametrize("version", ["1.0|active", "latest", "1.0.0.0", "x" * 100, "1.0|beta"])
def test_what_is_no_version_is_not_counted_as_one(fleet: Fleet, version: str) -> None:
    fleet.send("deploy", 400, app_version=version, client_unique_id="d")
    assert fleet.active() == {}


# Any sequence of reports, against the rules in their plainest form.


@dataclass
class Place:
    """One deployment as the rules of spec/README.md see it."""

    labels: set[str]
    at: dict[str, str] = field(default_factory=dict)
    memory: dict[str, deque[tuple[str, ...]]] = field(default_factory=dict)
    counted: set[tuple[str, str, str]] = field(default_factory=set)
    unnamed: list[tuple[str, str]] = field(default_factory=list)

    def is_new(self, device: str, report: tuple[str, ...]) -> bool:
        """Remember a report, unless it is one of the device's last eight."""
        last = self.memory.setdefault(device, deque(maxlen=8))
        if report in last:
            return False
        last.append(report)
        return True

    def metrics(self) -> dict[str, dict[str, int]]:
        numbers: dict[str, dict[str, int]] = {}
        for place in self.at.values():
            numbers.setdefault(place, {}).setdefault("active", 0)
            numbers[place]["active"] += 1
        for counter, label in [(c, at) for _, c, at in self.counted] + self.unnamed:
            numbers.setdefault(label, {}).setdefault(counter, 0)
            numbers[label][counter] += 1
        zeros = dict.fromkeys(("active", "downloaded", "failed", "installed"), 0)
        return {
            place: {**zeros, **each} if place in self.labels else each
            for place, each in numbers.items()
        }


Step = tuple[int, str, str, str, str, int]


def apply_to(places: list[Place], step: Step) -> None:
    where, kind, device, label, version, came_from = step
    here = places[where]
    if label and label not in here.labels:
        return
    if not device:
        if label:
            counter = {"runs": "installed"}.get(kind, kind)
            here.unnamed.append((counter, label))
        return
    at = label or version
    new = here.is_new(device, (kind, label, version if kind != "downloaded" else "", str(came_from)
                               if kind != "downloaded" else ""))  # fmt: skip
    if new:
        if kind == "runs":
            here.at[device] = at
        if label:
            here.counted.add((device, {"runs": "installed"}.get(kind, kind), label))
    if kind == "runs" and came_from not in {-1, where} and here.at.get(device) == at:
        places[came_from].at.pop(device, None)


a_step = st.tuples(
    st.integers(0, 1),
    st.sampled_from(["runs", "runs", "runs", "downloaded", "failed"]),
    st.sampled_from(["", "a", "b", "c"]),
    st.sampled_from(["", "v1", "v2", "v3", "v9"]),
    st.sampled_from(["1.0.0", "1.1.0"]),
    st.sampled_from([-1, -1, 0, 1]),
).filter(lambda step: step[1] == "runs" or bool(step[3]))

_serial = count()


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=st.lists(a_step, max_size=40), camel=st.booleans())
def test_any_sequence_of_reports_counts_as_the_rules_say(
    api: ApiClient, services: Services, steps: list[Step], camel: bool
) -> None:
    account = Account.create(services, f"user{next(_serial)}@example.com")
    owner = ApiClient(api.http, account)
    owner.add_app()
    for n in (1, 2, 3):
        owner.release(bundle(str(n)))
    owner.promote()
    fleets = [
        Fleet(api.http, owner, owner.key(deployment=name), name, camel)
        for name in ("Staging", "Production")
    ]
    places = [Place({"v1", "v2", "v3"}), Place({"v1"})]
    for step in steps:
        where, kind, device, label, version, came_from = step
        fleet = fleets[where]
        acts = {"runs": fleet.runs, "failed": fleet.failed, "downloaded": fleet.downloaded}
        previous = fleets[came_from].key if came_from >= 0 else None
        more = {} if kind == "downloaded" else {"previous_deployment_key": previous}
        if kind == "runs":
            more["version"] = version
        elif kind == "failed":
            step = (where, kind, device, label, "1.0.0", came_from)
        acts[kind](device, label, **more)
        apply_to(places, step)
        assert_sound(fleets, places)


def assert_sound(fleets: list[Fleet], places: list[Place]) -> None:
    for fleet, place in zip(fleets, places, strict=True):
        metrics = fleet.metrics()
        shown = {at: each for at, each in metrics.items() if any(each.values())}
        assert shown == place.metrics()
        assert all(number >= 0 for each in metrics.values() for number in each.values())
        assert sum(each["active"] for each in metrics.values()) == len(place.at)
