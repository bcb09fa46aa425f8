"""Walks the text of the reference: what stands there works, in the shapes that stand there."""

import io
import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from codepush.app import create_app
from codepush.settings import Settings, load_settings
from codepush.store.connection import StoreClient
from tests.api.v1.client import ABSENT, BASE, SeedClient
from tests.api_client import bundle

TEXT = Path(__file__).with_name("api-reference.txt").read_text("utf-8")
_ENDPOINT = re.compile(r"(GET|POST|PUT|PATCH|DELETE) (/\S+)")
_FORM = re.compile(r"package: \[binary file\] packageInfo: (\{.*\})")
_END = "Error Responses"


@dataclass(frozen=True)
class Endpoint:
    """One endpoint, with what its examples say."""

    method: str
    path: str
    request: Any = ABSENT
    response: Any = ABSENT
    is_form: bool = False

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def endpoints() -> list[Endpoint]:
    """Parse the text; a line that is neither an endpoint, an example nor prose fails."""
    found: list[Endpoint] = []
    for line in TEXT[: TEXT.index(_END)].splitlines():
        if match := _ENDPOINT.fullmatch(line):
            found.append(Endpoint(match[1], match[2]))
        elif match := _FORM.fullmatch(line):
            last = found.pop()
            found.append(Endpoint(last.method, last.path, json.loads(match[1]), is_form=True))
        elif line.startswith("{"):
            found.append(_with(found.pop(), json.loads(line)))
    return found


def _with(endpoint: Endpoint, example: Any) -> Endpoint:
    """The first example of what has a body is that body, and the next one the answer."""
    if endpoint.method in {"POST", "PATCH", "PUT"} and endpoint.request is ABSENT:
        return Endpoint(endpoint.method, endpoint.path, request=example)
    assert endpoint.response is ABSENT, endpoint
    return Endpoint(endpoint.method, endpoint.path, endpoint.request, example)


def assert_shape(example: Any, actual: Any, where: str = "answer") -> None:
    """Fail unless ``actual`` has everything of ``example``, in the same types and formats."""
    assert type(actual) is type(example), (where, actual)
    if isinstance(example, dict):
        for name, value in example.items():
            assert name in actual, f"{where}.{name} is missing"
            assert_shape(value, actual[name], f"{where}.{name}")
    elif isinstance(example, list):
        assert actual, f"{where} is empty"
        for index, value in enumerate(actual):
            assert_shape(example[0], value, f"{where}[{index}]")
    elif isinstance(example, str):
        for form in (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", r"https?://.*", r"v\d+"):
            if re.fullmatch(form, example):
                assert re.fullmatch(form.replace(r"https\?", "https?"), actual), (where, actual)
    elif isinstance(example, int) and example > 10**12:
        assert actual > 10**12, f"{where} is no time in milliseconds"


NAMES = {
    ":tokenName": "Spare",
    ":appName": "Walked",
    ":deploymentName": "Production",
    ":label": "v1",
    ":email": "user@example.com",
}


@pytest.fixture
def world(seed: SeedClient) -> SeedClient:
    """What the examples need: an app with a release, a token, a user to share with."""
    seed.add_app("Walked", platform="ios")
    for deployment in ("Production", "Staging"):
        seed.release(app="Walked", deployment=deployment, description="first")
    seed.post("/auth/tokens", {"friendlyName": "Spare"})
    seed.another("user@example.com")
    return seed


@pytest.mark.parametrize("endpoint", endpoints(), ids=str)
def test_an_endpoint_of_the_reference_works_as_it_stands_there(
    world: SeedClient, endpoint: Endpoint
) -> None:
    path = endpoint.path
    for name, value in NAMES.items():
        path = path.replace(name, value)
    assert ":" not in path, "the reference has a new parameter"
    if path.endswith("/collaborators/user@example.com"):
        world.post("/apps/Walked/collaborators", {"email": "user@example.com"})
    if str(endpoint) == "POST /apps/:appName/deployments":
        world.delete("/apps/Walked/deployments/Staging")
    options: dict[str, Any] = {}
    if endpoint.is_form:
        path = path.replace("Production", "Staging")
        options["data"] = {
            "package": (io.BytesIO(bundle("new")), "package.zip"),
            "packageInfo": json.dumps(endpoint.request),
        }
        response = world.call(endpoint.method, path, **options)
    elif endpoint.method == "PATCH" and endpoint.request is ABSENT:
        response = world.call("PATCH", path, {})
    else:
        response = world.call(endpoint.method, path, endpoint.request)
    expected = 201 if endpoint.method == "POST" else 200
    assert response.status_code == expected, response.get_data(as_text=True)
    answer = response.get_json()
    assert isinstance(answer, dict)
    assert answer
    if endpoint.response is not ABSENT:
        assert_shape(endpoint.response, answer)
    if endpoint.request is not ABSENT:
        assert echoes(endpoint.request, answer), answer


def echoes(request: dict[str, Any], answer: Any) -> bool:
    """Return whether what was asked for is somewhere in the answer."""
    if isinstance(answer, dict):
        asked = {name: value for name, value in request.items() if name != "ttl"}
        if asked.items() <= answer.items():
            return True
        return any(echoes(request, value) for value in answer.values())
    return False


def test_the_examples_of_making_an_app_are_answered_word_for_word(seed: SeedClient) -> None:
    made = next(each for each in endpoints() if str(each) == "POST /apps")
    answer = seed.post("/apps", made.request)["app"]
    assert {name: answer[name] for name in made.response["app"]} == made.response["app"]


def test_every_line_of_the_reference_was_walked() -> None:
    walked = {str(each) for each in endpoints()}
    assert len(walked) == len(endpoints()) == 17
    for line in TEXT.splitlines():
        if re.match(r"[A-Z]+ /", line):
            assert line in walked, line


def test_every_route_of_the_reference_is_documented(seed: SeedClient) -> None:
    for endpoint in endpoints():
        path = re.sub(r":(\w+)", r"{\1}", endpoint.path)
        assert endpoint.method.lower() in seed.contract.document["paths"].get(path, {}), endpoint


def _section(title: str, end: str) -> str:
    return TEXT[TEXT.index(title) : TEXT.index(end)]


def test_the_base_url_is_that_of_the_reference(seed: SeedClient) -> None:
    assert f"server.com{BASE}\n" in TEXT


def test_an_error_has_the_envelope_of_the_reference(seed: SeedClient) -> None:
    lines = _section(_END, "HTTP Status Codes").splitlines()
    [example] = [json.loads(line) for line in lines if line.startswith("{")]
    seed.add_app()
    answer = seed.call("POST", "/apps", {"name": "App"}, expect=409).get_json()
    assert_shape(example, answer)
    assert set(answer) == {"error"}
    assert set(answer["error"]) == set(example["error"])
    assert set(answer["error"]["details"]) == set(example["error"]["details"])
    assert answer["error"]["details"]["reason"] == example["error"]["details"]["reason"]


def test_every_status_of_the_reference_is_documented(seed: SeedClient) -> None:
    listed = set(re.findall(r"\d{3}", _section("HTTP Status Codes", "Rate Limiting")))
    assert listed == {"200", "201", "400", "401", "403", "404", "409", "500"}
    documented = {
        status
        for operations in seed.contract.document["paths"].values()
        for method, operation in operations.items()
        if method != "parameters"
        for status in operation["responses"]
    }
    assert documented - listed == {"413", "415", "429", "503"}
    assert listed <= documented


def test_the_quotas_of_the_reference_are_those_of_the_server(
    settings: Settings, redis: StoreClient
) -> None:
    said = _section("Rate Limiting", "Webhooks")
    user, address = re.findall(r"- (\d+) requests per hour for", said)
    names = re.findall(r"(X-RateLimit-\w+): \d+", said)
    assert len(names) == 3
    defaults = load_settings({"DATA_DIR": str(settings.data_dir)})
    assert str(defaults.quota_user_per_hour) == user
    assert str(defaults.quota_address_per_hour) == address
    app = create_app(
        replace(settings, quota_user_per_hour=int(user), quota_address_per_hour=int(address))
    )
    nobody = SeedClient(app, None)
    somebody = nobody.another("ann@example.com")
    for client, limit in ((somebody, user), (nobody, address)):
        for path in ("/apps", "/apps/Missing", "/nothing"):
            response = client.call("GET", path)
            assert response.headers["X-RateLimit-Limit"] == limit
            for name in names:
                assert re.fullmatch(r"\d+", response.headers[name]), (path, name)
