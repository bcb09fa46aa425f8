"""The OpenAPI document is valid, whole, and says what the routes do."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from openapi_spec_validator import OpenAPIV31SpecValidator

from codepush.app import create_app
from codepush.domain.webhook_events import WebhookEvent
from codepush.settings import load_settings
from codepush.web.errors import error_codes
from tests.api.v1.client import BASE, Contract, SeedClient

UNDOCUMENTED = {"/openapi.json", "/docs", "/docs/{digest}/{name}"}
"""The documentation itself."""
ACTS = ("enable", "disable", "ping", "rotate-secret", "deliveries/{deliveryId}/redeliver")
BODILESS = {"/auth/logout", *(f"/webhooks/{{webhookId}}/{act}" for act in ACTS)}
HTTP = (Path(__file__).parents[3] / "docs" / "http.md").read_text("utf-8")


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Any:
    app = create_app(
        load_settings(
            {
                "CODEPUSH_ENV": "testing",
                "REDIS_URL": "unix:///nowhere",
                "DATA_DIR": str(tmp_path_factory.mktemp("openapi")),
            }
        )
    )
    response = app.test_client().get(f"{BASE}/openapi.json")
    assert response.mimetype == "application/json"
    return response.get_json()


@pytest.fixture(scope="module")
def contract(document: Any) -> Contract:
    return Contract(document)


def operations(document: Any) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, held in document["paths"].items():
        for method, operation in held.items():
            if method != "parameters":
                yield method.upper(), path, operation


def test_the_document_is_valid(document: Any) -> None:
    assert document["openapi"] == "3.1.0"
    OpenAPIV31SpecValidator(document).validate()


def test_the_document_introduces_itself(document: Any) -> None:
    assert document["info"]["title"]
    assert document["info"]["version"]
    assert "**Errors**" in document["info"]["description"]
    assert document["servers"] == [{"url": f"http://localhost{BASE}"}]
    assert document["security"] == [{"bearer": []}]
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"


def test_the_server_is_below_the_path_of_the_public_url(tmp_path: Path) -> None:
    app = create_app(
        load_settings(
            {
                "CODEPUSH_ENV": "testing",
                "REDIS_URL": "unix:///nowhere",
                "DATA_DIR": str(tmp_path),
                "PUBLIC_URL": "https://example.com/push",
            }
        )
    )
    http = app.test_client()
    for prefix in ("", "/push"):
        document: Any = http.get(f"{prefix}{BASE}/openapi.json").get_json()
        assert document["servers"] == [{"url": f"https://example.com/push{BASE}"}]
        page = http.get(f"{prefix}{BASE}/docs").get_data(as_text=True)
        assert f'data-document="/push{BASE}/openapi.json"' in page


def test_the_document_and_the_routes_agree(document: Any, app: Flask) -> None:
    routes = set()
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith(BASE):
            path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule.removeprefix(BASE))
            methods = (rule.methods or set()) - {"HEAD", "OPTIONS"}
            routes |= {f"{method} {path}" for method in methods if path not in UNDOCUMENTED}
    assert {f"{method} {path}" for method, path, _ in operations(document)} == routes


def test_every_operation_is_described(document: Any) -> None:
    tags = {tag["name"]: tag["description"] for tag in document["tags"]}
    names = []
    for method, path, operation in operations(document):
        where = f"{method} {path}"
        assert operation["summary"].endswith("."), where
        assert len(operation["tags"]) == 1, where
        assert tags[operation["tags"][0]], where
        names.append(operation["operationId"])
    assert len(set(names)) == len(names)
    assert set(tags) == {o["tags"][0] for _, _, o in operations(document)}


def test_only_registering_and_logging_in_are_open(document: Any) -> None:
    opened = {
        f"{method} {path}"
        for method, path, operation in operations(document)
        if operation.get("security") == []
    }
    assert opened == {"POST /auth/register", "POST /auth/login"}


def test_every_parameter_is_described(document: Any) -> None:
    for path, held in document["paths"].items():
        listed = list(held.get("parameters", []))
        assert {p["name"] for p in listed} == set(re.findall(r"{(\w+)}", path))
        for method, operation in held.items():
            if method != "parameters":
                listed += operation.get("parameters", [])
        for parameter in listed:
            assert parameter["description"], (path, parameter)
            assert parameter["schema"].get("examples") or parameter["name"] == "cursor"


def test_every_field_is_described(document: Any) -> None:
    for name, schema in document["components"]["schemas"].items():
        for field, said in schema["properties"].items():
            inner = said.get("items", said)
            is_described = "description" in said or "$ref" in said or "$ref" in inner
            assert is_described, f"{name}.{field}"


def test_every_body_has_an_example_that_is_valid(document: Any, contract: Contract) -> None:
    for method, path, operation in operations(document):
        if "requestBody" not in operation:
            assert method in {"GET", "DELETE"} or path in BODILESS, path
            continue
        [(media_type, body)] = operation["requestBody"]["content"].items()
        assert media_type == (
            "multipart/form-data"
            if path.endswith(("/release", "/binaries"))
            else "application/json"
        )
        assert body["example"] is not None, path
        contract.validate(body["example"], body["schema"])
        schema = contract.resolved(body["schema"])
        assert schema["additionalProperties"] is False, path
        assert operation["requestBody"]["required"] is bool(schema.get("required")), path


def test_every_answer_has_an_example_that_is_valid(document: Any, contract: Contract) -> None:
    for method, path, operation in operations(document):
        for status, held in operation["responses"].items():
            answer = contract.resolved(held)
            assert answer["description"]
            [(media_type, content)] = answer["content"].items()
            assert media_type == "application/json"
            assert content["example"], (method, path, status)
            contract.validate(content["example"], content["schema"])
            for name in ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"):
                assert name in answer["headers"], (method, path, status)


def test_every_operation_documents_its_errors(document: Any) -> None:
    for method, path, operation in operations(document):
        where = f"{method} {path}"
        statuses = {int(status) for status in operation["responses"]}
        [success] = [status for status in statuses if status < 400]
        assert success in ({200, 201} if method == "POST" else {200}), where
        expected = {429, 500, 503}
        if "security" not in operation:
            expected |= {401, 403}
        if "{" in path:
            expected |= {404}
        if "requestBody" in operation:
            expected |= {400, 413, 415}
        if any(p["in"] != "path" for p in operation.get("parameters", [])):
            expected |= {400}
        assert expected <= statuses, where
        assert list(operation["responses"]) == sorted(operation["responses"]), where


def test_errors_have_the_envelope_and_a_code_of_the_closed_list(document: Any) -> None:
    codes = document["components"]["schemas"]["ErrorBody"]["properties"]["code"]["enum"]
    assert codes == list(error_codes())
    for name, answer in document["components"]["responses"].items():
        content = answer["content"]["application/json"]
        assert content["schema"] == {"$ref": "#/components/schemas/Error"}, name
        assert content["example"]["error"]["code"] in codes, name
    unauthorized = document["components"]["responses"]["UNAUTHORIZED"]
    assert "WWW-Authenticate" in unauthorized["headers"]
    assert "Retry-After" in document["components"]["responses"]["TOO_MANY_REQUESTS"]["headers"]


def test_the_closed_list_of_codes_is_documented() -> None:
    rows = re.findall(r"^\| `([A-Z]\w+)` \| (\d{3}) \|", HTTP, re.MULTILINE)
    assert {code: int(status) for code, status in rows} == error_codes()
    assert all(re.fullmatch(r"([A-Z][a-z]+)+", code) for code in error_codes())


def test_links_lead_to_operations_and_fill_their_parameters(
    document: Any, contract: Contract
) -> None:
    parameters = {
        operation["operationId"]: set(re.findall(r"{(\w+)}", path))
        for _, path, operation in operations(document)
    }
    found = 0
    for _, path, operation in operations(document):
        for answer in operation["responses"].values():
            for link in contract.resolved(answer).get("links", {}).values():
                assert set(link["parameters"]) == parameters[link["operationId"]], path
                found += 1
    assert found > 10


def test_names_are_spelled_alike(document: Any) -> None:
    for schema in document["components"]["schemas"].values():
        for field in schema["properties"]:
            assert re.fullmatch(r"[a-z]+([A-Z][a-z]+)*", field), field


def test_the_document_is_not_sent_twice(app: Flask) -> None:
    http = app.test_client()
    first = http.get(f"{BASE}/openapi.json")
    assert first.headers["Cache-Control"] == "no-cache"
    again = http.get(f"{BASE}/openapi.json", headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304


def test_no_token_is_needed_to_read_it(seed: SeedClient) -> None:
    assert seed.app.test_client().get(f"{BASE}/openapi.json").status_code == 200


def test_every_event_of_webhooks_is_described_with_a_valid_example(
    document: Any, contract: Contract
) -> None:
    assert set(document["webhooks"]) == {event.value for event in WebhookEvent}
    for name, held in document["webhooks"].items():
        operation = held["post"]
        assert operation["summary"].endswith("."), name
        headers = {each["name"] for each in operation["parameters"]}
        assert headers == {"webhook-id", "webhook-timestamp", "webhook-signature"}
        content = operation["requestBody"]["content"]["application/json"]
        assert content["example"]["event"] == name
        contract.validate(content["example"], content["schema"])
