"""Who may do what: every route of every dialect, called by everybody, in one generated matrix.

A route without a row fails. Refused calls must leave the store as it was; a stranger's app,
deployment, organization, member or token is 404, never 403.
"""

import re
from collections.abc import Iterator

import pytest
from flask import Flask

from tests.api_client import bundle
from tests.tenancy.rules import (
    ACCOUNT,
    ACCOUNT_READ,
    ACTORS,
    ADD_APP,
    ANY,
    JOIN,
    MOVE,
    ORGANIZATION,
    ORGANIZATION_MANAGE,
    OWN,
    PUBLIC,
    READ,
    RELEASE,
    STRANGER,
    WEBHOOK,
    WEBHOOKS,
    Row,
    expected,
)
from tests.tenancy.world import NAMESAKE, World

INFO = {"packageInfo": {"description": "changed"}}
SPAN = {"since": "2025-06-15T00:00:00Z", "until": "2025-06-16T00:00:00Z"}
LOGIN = {"email": "owner@example.com", "password": "a long password"}
REGISTER = {"email": "new@example.com", "password": "a long password"}
REPORT = {"deployment_key": "key-of-the-app", "label": "v1", "app_version": "1.0.0"}
REPORT |= {"status": "DeploymentSucceeded"}
ALIEN = "/organizations/<organization>"

CLASSIC = {
    "GET /authenticated": Row(ANY),
    "GET /account": Row(ANY),
    "GET /accessKeys": Row(ACCOUNT_READ),
    "POST /accessKeys": Row(ACCOUNT, 201, {"friendlyName": "new"}),
    "GET /accessKeys/<name>": Row(ACCOUNT_READ),
    "PATCH /accessKeys/<name>": Row(ACCOUNT, 200, {"friendlyName": "newer"}),
    "DELETE /accessKeys/<name>": Row(ACCOUNT, 204),
    "DELETE /sessions/<machine>": Row(ACCOUNT, 204),
    "GET /apps": Row(ANY),
    "POST /apps": Row(ADD_APP, 201, {"name": "New"}),
    "GET /apps/<app>": Row(READ),
    "PATCH /apps/<app>": Row(OWN, 200, {"name": "Renamed"}),
    "DELETE /apps/<app>": Row(OWN, 204),
    "POST /apps/<app>/transfer/<email>": Row(MOVE, 201),
    "GET /apps/<app>/collaborators": Row(READ),
    "POST /apps/<app>/collaborators/<email>": Row(OWN, 201),
    "DELETE /apps/<app>/collaborators/<email>": Row(OWN, 204),
    "GET /apps/<app>/deployments": Row(READ),
    "POST /apps/<app>/deployments": Row(OWN, 201, {"name": "Beta"}),
    "GET /apps/<app>/deployments/<deployment>": Row(READ),
    "PATCH /apps/<app>/deployments/<deployment>": Row(OWN, 200, {"name": "Beta"}),
    "DELETE /apps/<app>/deployments/<deployment>": Row(OWN, 204),
    "GET /apps/<app>/deployments/<deployment>/history": Row(READ),
    "DELETE /apps/<app>/deployments/<deployment>/history": Row(OWN, 204),
    "GET /apps/<app>/deployments/<deployment>/metrics": Row(READ),
    "POST /apps/<app>/deployments/<deployment>/release": Row(RELEASE, 201, bundle("3")),
    "PATCH /apps/<app>/deployments/<deployment>/release": Row(RELEASE, 200, INFO),
    "POST /apps/<app>/deployments/<deployment>/promote/<target>": Row(RELEASE, 201, INFO),
    "POST /apps/<app>/deployments/<deployment>/rollback": Row(RELEASE, 201),
    "POST /apps/<app>/deployments/<deployment>/rollback/<label>": Row(RELEASE, 201),
}
SEED = {
    "GET /account": Row(ANY),
    "PATCH /account": Row(ACCOUNT, 200, {"name": "New Name"}),
    "POST /auth/register": Row(PUBLIC, 201, REGISTER),
    "POST /auth/login": Row(PUBLIC, 200, LOGIN),
    "POST /auth/logout": Row(ANY),
    "GET /auth/tokens": Row(ACCOUNT_READ),
    "POST /auth/tokens": Row(ACCOUNT, 201, {"friendlyName": "new"}),
    "DELETE /auth/tokens/<tokenName>": Row(ACCOUNT),
    "GET /apps": Row(ANY),
    "POST /apps": Row(ADD_APP, 201, {"name": "New"}),
    "GET /apps/<appName>": Row(READ),
    "PATCH /apps/<appName>": Row(OWN, 200, {"name": "Renamed"}),
    "DELETE /apps/<appName>": Row(OWN),
    "POST /apps/<appName>/transfer": Row(MOVE, 200, {"email": "heir@example.com"}),
    "POST /apps/<appName>/move": Row(MOVE, 200, {"organization": "Second"}),
    "GET /apps/<appName>/collaborators": Row(READ),
    "POST /apps/<appName>/collaborators": Row(
        OWN, 201, {"email": "heir@example.com", "permission": "Collaborator"}
    ),
    "DELETE /apps/<appName>/collaborators/<email>": Row(OWN),
    "GET /apps/<appName>/binaries": Row(READ),
    "POST /apps/<appName>/binaries": Row(RELEASE, 201, bundle("3")),
    "DELETE /apps/<appName>/binaries/<packageHash>": Row(RELEASE),
    "GET /apps/<appName>/deployments": Row(READ),
    "POST /apps/<appName>/deployments": Row(OWN, 201, {"name": "Beta"}),
    "GET /apps/<appName>/deployments/<deploymentName>": Row(READ),
    "PATCH /apps/<appName>/deployments/<deploymentName>": Row(OWN, 200, {"name": "Beta"}),
    "DELETE /apps/<appName>/deployments/<deploymentName>": Row(OWN),
    "GET /apps/<appName>/deployments/<deploymentName>/metrics": Row(READ),
    "GET /apps/<appName>/deployments/<deploymentName>/metrics/hours": Row(READ),
    "GET /apps/<appName>/deployments/<deploymentName>/metrics/days": Row(READ),
    "GET /apps/<appName>/deployments/<deploymentName>/releases/<label>/failures": Row(READ),
    "POST /apps/<appName>/deployments/<deploymentName>/release": Row(RELEASE, 201, bundle("3")),
    "POST /apps/<appName>/deployments/<deploymentName>/promote": Row(
        RELEASE, 201, {"to": "Production"}
    ),
    "POST /apps/<appName>/deployments/<deploymentName>/rollback": Row(RELEASE, 201, {}),
    "GET /apps/<appName>/deployments/<deploymentName>/releases": Row(READ),
    "DELETE /apps/<appName>/deployments/<deploymentName>/releases": Row(OWN),
    "GET /apps/<appName>/deployments/<deploymentName>/releases/<label>": Row(READ),
    "PATCH /apps/<appName>/deployments/<deploymentName>/releases/<label>": Row(
        RELEASE, 200, {"isMandatory": True}
    ),
    "GET /organizations": Row(ACCOUNT_READ),
    "POST /organizations": Row(ACCOUNT, 201, {"name": "Third"}),
    f"GET {ALIEN}": Row(ORGANIZATION),
    f"PATCH {ALIEN}": Row(ORGANIZATION_MANAGE, 200, {"name": "Renamed"}),
    f"GET {ALIEN}/audit": Row(ORGANIZATION_MANAGE),
    f"GET {ALIEN}/members": Row(ORGANIZATION),
    f"PATCH {ALIEN}/members/<email>": Row(ORGANIZATION_MANAGE, 200, {"role": "Developer"}),
    f"DELETE {ALIEN}/members/<email>": Row(ORGANIZATION_MANAGE),
    f"GET {ALIEN}/invitations": Row(ORGANIZATION_MANAGE),
    f"POST {ALIEN}/invitations": Row(
        ORGANIZATION_MANAGE, 201, {"email": "heir@example.com", "role": "Viewer"}
    ),
    f"DELETE {ALIEN}/invitations/<invitationId>": Row(ORGANIZATION_MANAGE),
    "POST /invitations/accept": Row(JOIN, 200, {"token": "<invitation>"}),
    "GET /webhooks": Row(WEBHOOKS),
    "POST /webhooks": Row(WEBHOOKS, 201, {"url": "https://example.com/hook"}),
    "GET /webhooks/<webhookId>": Row(WEBHOOK),
    "PATCH /webhooks/<webhookId>": Row(WEBHOOK, 200, {"description": "changed"}),
    "DELETE /webhooks/<webhookId>": Row(WEBHOOK),
    "POST /webhooks/<webhookId>/enable": Row(WEBHOOK),
    "POST /webhooks/<webhookId>/disable": Row(WEBHOOK),
    "POST /webhooks/<webhookId>/ping": Row(WEBHOOK, 201),
    "POST /webhooks/<webhookId>/rotate-secret": Row(WEBHOOK),
    "POST /webhooks/<webhookId>/replay": Row(WEBHOOK, 200, SPAN),
    "GET /webhooks/<webhookId>/deliveries": Row(WEBHOOK),
    "GET /webhooks/<webhookId>/deliveries/<deliveryId>": Row(WEBHOOK),
    "POST /webhooks/<webhookId>/deliveries/<deliveryId>/redeliver": Row(WEBHOOK),
    "GET /docs": Row(PUBLIC),
    "GET /docs/<digest>/<name>": Row(PUBLIC, 404),
    "GET /openapi.json": Row(PUBLIC),
}
OPEN = {
    "GET /": Row(PUBLIC),
    "GET /health": Row(PUBLIC),
    "GET /health/live": Row(PUBLIC),
    "GET /health/ready": Row(PUBLIC),
    "GET /metrics": Row(PUBLIC, 404),
    "GET /auth/login": Row(PUBLIC),
    "POST /auth/login": Row(PUBLIC, 401),
    "GET /auth/register": Row(PUBLIC, 403),
    "GET /auth/link": Row(PUBLIC, 410),
    "GET /blobs/<key>": Row(PUBLIC),
    "GET /updateCheck": Row(PUBLIC),
    "POST /reportStatus/deploy": Row(PUBLIC, 200, REPORT),
    "POST /reportStatus/download": Row(PUBLIC, 200, REPORT),
    "GET /v0.1/public/codepush/update_check": Row(PUBLIC),
    "POST /v0.1/public/codepush/report_status/deploy": Row(PUBLIC, 200, REPORT),
    "POST /v0.1/public/codepush/report_status/download": Row(PUBLIC, 200, REPORT),
}


def below(prefix: str, rows: dict[str, Row]) -> dict[str, Row]:
    return {route.replace(" ", f" {prefix}", 1): row for route, row in rows.items()}


ROWS = OPEN | CLASSIC | below("/v0.1/legacy", CLASSIC) | below("/api/v1", SEED)


REFERENCES = (
    "App",
    "aPP",
    "owner@example.com:App",
    "OWNER@example.com:app",
    "Acme:App",
    "acme:aPP",
    "owner@example.com~~App",
)
"""What an app may be called by; all mean the same."""

OF_APPS = sorted(route for route in ROWS if "<app" in route)
OF_ORGANIZATIONS = sorted(route for route in ROWS if "<organization>" in route)


def all_routes(app: Flask) -> Iterator[str]:
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"<\1>", rule.rule).rstrip("/") or "/"
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            yield f"{method} {path}"


def named(route: str, reference: str) -> dict[str, str]:
    """Return the variable of a route's path that names an app, as ``reference``."""
    return {"app": reference, "appName": reference} if "<app" in route else {}


def test_every_route_has_a_row_and_every_row_a_route(app: Flask) -> None:
    assert set(all_routes(app)) == set(ROWS)


def test_the_matrix_has_at_least_300_cells() -> None:
    guarded = [row for row in ROWS.values() if row.need != PUBLIC]
    assert len(guarded) * len(ACTORS) >= 300


@pytest.mark.parametrize("route", sorted(ROWS))
def test_each_actor_gets_the_status_that_the_rules_give(route: str, world: World) -> None:
    row = ROWS[route]
    statuses = {actor: expected(row, actor) for actor in row.actors}
    refused = [actor for actor, status in statuses.items() if status >= 400]
    got: dict[str, int] = {}
    before = world.fingerprint()
    for actor in refused:
        got[actor] = world.call(actor, route, row).status_code
    if row.need != PUBLIC:
        assert world.fingerprint() == before, "a refused call changed something"
    for actor in row.actors:
        if actor not in refused:
            got[actor] = world.call(actor, route, row).status_code
            if not route.startswith("GET "):
                world.restore()
    assert got == statuses


@pytest.mark.parametrize("route", OF_APPS)
def test_whatever_an_app_is_called_by_the_status_is_the_same(route: str, world: World) -> None:
    row = ROWS[route]
    before = world.fingerprint()

    def status(actor: str, reference: str) -> int:
        return world.call(actor, route, row, **named(route, reference)).status_code

    for reference in REFERENCES:
        statuses = {actor: expected(row, actor) for actor in row.actors}
        if reference.lower() != "app":
            statuses[NAMESAKE] = 404
        refused = [actor for actor, known in statuses.items() if known >= 400]
        got = {actor: status(actor, reference) for actor in refused}
        assert world.fingerprint() == before, f"a refused call of {reference} changed something"
        for actor in statuses.keys() - got.keys():
            got[actor] = status(actor, reference)
            if not route.startswith("GET "):
                world.restore()
        assert got == statuses, reference


PASSING = {"Date", "X-Request-ID"}
"""Headers that differ from one answer to the next."""


@pytest.mark.parametrize("route", OF_APPS + OF_ORGANIZATIONS)
def test_to_whom_a_thing_does_not_exist_it_is_as_if_it_did_not(route: str, world: World) -> None:
    """Status, headers and body equal those for a thing that nobody has."""
    row = ROWS[route]
    outsiders = [actor for actor in row.actors if expected(row, actor) == 404]
    assert STRANGER in outsiders
    variables = {"app", "appName", "organization"} & set(re.findall(r"<(\w+)>", route))
    [variable] = variables
    present = "Acme" if variable == "organization" else "App"
    absent = "Xyzzy"[: len(present)]  # for the same Content-Length
    for actor in outsiders:
        answers = []
        for name in (present, absent):
            answer = world.call(actor, route, row, **{variable: name})
            headers = [pair for pair in answer.headers if pair[0] not in PASSING]
            answers.append((answer.status, headers, answer.text.replace(absent, present)))
        assert answers[0] == answers[1], actor
        assert answers[0][0].startswith("404")
