"""Who may do what: every route of every dialect, called by everybody, in one generated matrix.

A route without a row fails. Refused calls must leave the store as it was; a stranger's app,
deployment, organization, member or token is 404, never 403.
"""

import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from flask import Flask

from codepush.domain.models import Principal
from codepush.domain.permissions import Permission, Role, Scope
from codepush.domain.releasing import ReleaseOverrides
from codepush.services.container import Services
from codepush.store.connection import StoreClient
from tests.api_client import bundle

ANONYMOUS = "anonymous"
STRANGER = "stranger"
GUEST = "guest collaborator"
MEMBERS = {
    "viewer": Role.VIEWER,
    "developer": Role.DEVELOPER,
    "admin": Role.ADMIN,
    "owner": Role.OWNER,
}
TOKENS = {
    "owner, token may read": Scope.READ,
    "owner, token may release": Scope.RELEASE,
    "owner, token for another app": Scope.MANAGE,
}
OTHER_APP = "owner, token for another app"
ACTORS = (ANONYMOUS, STRANGER, GUEST, *MEMBERS, *TOKENS)

PERMISSIONS = {
    GUEST: Permission.COLLABORATOR,
    "viewer": Permission.READ,
    "developer": Permission.COLLABORATOR,
    "admin": Permission.OWNER,
    "owner": Permission.OWNER,
    "owner, token may read": Permission.OWNER,
    "owner, token may release": Permission.OWNER,
}


@dataclass(frozen=True)
class Row:
    """What a route needs, and a request that succeeds for whoever has it.

    Attributes:
        need: Rule by which the expected status of each actor follows.
        ok: Status for those who may.
        body: JSON body; bytes are an upload.
        known: Statuses of single actors that the rule does not give.
    """

    need: str
    ok: int = 200
    body: Any = None
    known: dict[str, int] = field(default_factory=dict)


PUBLIC, ANY, ACCOUNT, ACCOUNT_READ = "public", "any token", "account", "account, reading"
READ, RELEASE, OWN, ADD_APP = "read", "release", "own", "add an app"
ORGANIZATION, ORGANIZATION_MANAGE = "organization", "organization, managing"

INFO = {"packageInfo": {"description": "changed"}}
MEMBER = dict.fromkeys((*MEMBERS, *TOKENS), 409)
MEMBER |= dict.fromkeys(TOKENS, 403)
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
    "POST /apps/<app>/transfer/<email>": Row(OWN, 201),
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
    "POST /apps/<appName>/transfer": Row(OWN, 200, {"email": "heir@example.com"}),
    "POST /apps/<appName>/move": Row(OWN, 200, {"organization": "Second"}),
    "GET /apps/<appName>/collaborators": Row(READ),
    "POST /apps/<appName>/collaborators": Row(
        OWN, 201, {"email": "heir@example.com", "permission": "Collaborator"}
    ),
    "DELETE /apps/<appName>/collaborators/<email>": Row(OWN),
    "GET /apps/<appName>/deployments": Row(READ),
    "POST /apps/<appName>/deployments": Row(OWN, 201, {"name": "Beta"}),
    "GET /apps/<appName>/deployments/<deploymentName>": Row(READ),
    "PATCH /apps/<appName>/deployments/<deploymentName>": Row(OWN, 200, {"name": "Beta"}),
    "DELETE /apps/<appName>/deployments/<deploymentName>": Row(OWN),
    "GET /apps/<appName>/deployments/<deploymentName>/metrics": Row(READ),
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
    "POST /invitations/accept": Row(ACCOUNT, 200, {"token": "<invitation>"}, MEMBER),
    "GET /docs": Row(PUBLIC),
    "GET /docs/<digest>/<name>": Row(PUBLIC, 404),
    "GET /openapi.json": Row(PUBLIC),
}
OPEN = {
    "GET /": Row(PUBLIC),
    "GET /health": Row(PUBLIC),
    "GET /health/live": Row(PUBLIC),
    "GET /health/ready": Row(PUBLIC),
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


def expected(row: Row, actor: str) -> int:
    """Return the status that the rules give."""
    if row.need == PUBLIC:
        return row.ok
    if actor == ANONYMOUS:
        return 401
    if actor in row.known:
        return row.known[actor]
    scope = TOKENS.get(actor, Scope.MANAGE)
    if row.need in {ANY, ACCOUNT, ACCOUNT_READ, ADD_APP}:
        if actor == OTHER_APP and row.need != ANY:
            return 403
        if row.need in {ACCOUNT, ADD_APP} and scope is not Scope.MANAGE:
            return 403
        return 403 if row.need == ADD_APP and actor == "viewer" else row.ok
    if row.need in {READ, RELEASE, OWN}:
        held = PERMISSIONS.get(actor)
        if held is None:
            return 404
        needed = {READ: Permission.READ, RELEASE: Permission.COLLABORATOR, OWN: Permission.OWNER}
        scopes = {READ: Scope.READ, RELEASE: Scope.RELEASE, OWN: Scope.MANAGE}
        order = list(Scope)
        covered = order.index(scope) >= order.index(scopes[row.need])
        return row.ok if held >= needed[row.need] and covered else 403
    if actor == OTHER_APP:
        return 403
    if row.need == ORGANIZATION_MANAGE and scope is not Scope.MANAGE:
        return 403
    if actor in {STRANGER, GUEST}:
        return 404
    return 403 if row.need == ORGANIZATION_MANAGE and actor in {"viewer", "developer"} else row.ok


class World:
    """Two organizations, an app with releases, and one token for each actor."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.tokens: dict[str, str] = {}
        users = {}
        for name in ("owner", "admin", "developer", "viewer", "spare"):
            made = services.accounts.create_user(f"{name}@example.com", organization="Acme")
            users[name] = made
            if name in MEMBERS:
                organization = made.organization.id
                services.stores.organizations.set_role(organization, made.user.id, MEMBERS[name])
        for name in ("stranger", "guest", "heir", "extra"):
            users[name] = services.accounts.create_user(f"{name}@example.com")
        for name, made in users.items():
            self.tokens[GUEST if name == "guest" else name] = made.token
            for machine, is_session in (("spare-key", False), ("laptop", True)):
                services.tokens.issue(
                    made.user,
                    made.organization.id,
                    name=machine,
                    created_by=machine,
                    is_session=is_session,
                )
        owner = services.tokens.authenticate(users["owner"].token)
        services.stores.users.set_password(owner.user.id, PASSWORD_HASH)
        self._fill(owner)
        admin = services.tokens.authenticate(users["admin"].token)
        second = services.organizations.create(owner, "Second")
        services.stores.organizations.set_role(second.id, admin.user.id, Role.OWNER)
        services.stores.organizations.note_member(second.id, admin.user.id)
        secret, invitation = services.organizations.invite(
            owner, "Acme", "somebody@example.com", Role.VIEWER
        )
        self.invitation, self.invitation_id = secret, invitation.id
        for actor, scope in TOKENS.items():
            self.tokens[actor], _ = services.tokens.create(
                owner,
                name=actor,
                created_by="test",
                scopes=[scope],
                app="Other" if actor == OTHER_APP else "",
            )

    def _fill(self, owner: Principal) -> None:
        services = self.services
        services.apps.create(owner, "Other")
        services.apps.create(owner, "App", deployments=("Production",))
        services.deployments.create(owner, "App", "Staging", key="key-of-the-app")
        for text in ("1", "2"):
            target = services.releasing.target(owner, "App", "Staging")
            made = services.releasing.release(
                owner, target, io.BytesIO(bundle(text)), ReleaseOverrides(app_version="1.0.0")
            )
        self.blob_key = made.release.blob_key
        for name in ("guest", "extra"):
            services.apps.add_collaborator(owner, "App", f"{name}@example.com")

    def path(self, method: str, rule: str) -> str:
        """Return an address for a rule; people are chosen so that nobody acts on themselves."""
        person = {"POST": "heir", "DELETE": "extra", "PATCH": "spare"}.get(method, "extra")
        if "/members/" in rule:
            person = "spare"
        values = {
            "<app>": "App",
            "<appName>": "App",
            "<deployment>": "Staging",
            "<deploymentName>": "Staging",
            "<target>": "Production",
            "<label>": "v1",
            "<name>": "spare-key",
            "<tokenName>": "spare-key",
            "<machine>": "laptop",
            "<organization>": "Acme",
            "<email>": f"{person}@example.com",
            "<invitationId>": self.invitation_id,
            "<key>": self.blob_key,
            "<digest>": "0",
        }
        return re.sub(r"<\w+>", lambda match: values[match[0]], rule)

    def call(self, app: Flask, actor: str, method: str, rule: str, row: Row) -> int:
        headers = {}
        if actor in self.tokens:
            headers["Authorization"] = f"Bearer {self.tokens[actor]}"
        options: dict[str, Any] = {}
        if isinstance(row.body, bytes):
            info = json.dumps({"appVersion": "1.0.0"})
            options["data"] = {"package": (io.BytesIO(row.body), "p.zip"), "packageInfo": info}
        elif row.body is not None:
            body = json.dumps(row.body).replace("<invitation>", self.invitation)
            options |= {"data": body, "content_type": "application/json"}
        if rule.lower().endswith("check"):
            options["query_string"] = {"deployment_key": "key-of-the-app", "app_version": "1.0.0"}
        response = app.test_client().open(
            self.path(method, rule), method=method, headers=headers, buffered=True, **options
        )
        return response.status_code


# Of "a long password", made once: argon2 is slow on purpose.
PASSWORD_HASH = (
    "$argon2id$v=19$m=8,t=1,p=1$xyy2ZdhU/2FQpBvsqbz2pw$Ssw4QgVz2tdFsAQiS1HEkkqplzVT/Kld9kQxVDVFUyw"
)


def fingerprint(redis: StoreClient) -> dict[str, bytes]:
    """Return everything in the store but counters of requests."""
    counters = re.compile(r"quota|attempts|LIMITS")
    found = redis.scan_iter()  # type: ignore[attr-defined]
    held = {}
    for key in found:
        if not counters.search(key):
            kind = redis.type(key)  # type: ignore[attr-defined]
            held[key] = {
                "hash": redis.hgetall,
                "set": lambda name: sorted(redis.smembers(name)),
                "string": redis.get,
                "stream": lambda name: redis.xrange(name, "-", "+", 10_000),
                "zset": lambda name: redis.zrange(name, 0, -1),  # type: ignore[attr-defined]
            }[kind](key)
    return held


def all_routes(app: Flask) -> Iterator[str]:
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"<\1>", rule.rule).rstrip("/") or "/"
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            yield f"{method} {path}"


def test_every_route_has_a_row_and_every_row_a_route(app: Flask) -> None:
    assert set(all_routes(app)) == set(ROWS)


def test_the_matrix_has_at_least_300_cells() -> None:
    guarded = [row for row in ROWS.values() if row.need != PUBLIC]
    assert len(guarded) * len(ACTORS) >= 300


@pytest.mark.parametrize("route", sorted(ROWS))
def test_each_actor_gets_the_status_that_the_rules_give(
    route: str, app: Flask, services: Services, redis: StoreClient
) -> None:
    method, _, rule = route.partition(" ")
    row = ROWS[route]
    statuses = {actor: expected(row, actor) for actor in ACTORS}
    refused = [actor for actor, status in statuses.items() if status >= 400]
    allowed = [actor for actor in ACTORS if actor not in refused]
    got: dict[str, int] = {}
    world = World(services)
    before = fingerprint(redis)
    for actor in refused:
        got[actor] = world.call(app, actor, method, rule, row)
    if row.need != PUBLIC:
        assert fingerprint(redis) == before, "a refused call changed something"
    for number, actor in enumerate(allowed):
        if method != "GET" and number + len(refused) > 0:
            redis.flushall()  # type: ignore[attr-defined]
            world = World(services)
        got[actor] = world.call(app, actor, method, rule, row)
    assert got == statuses


@pytest.mark.parametrize(
    "route", sorted(route for route in ROWS if "<app" in route or "<organization>" in route)
)
def test_to_a_stranger_nothing_of_another_tenant_exists(route: str) -> None:
    assert expected(ROWS[route], STRANGER) == 404
