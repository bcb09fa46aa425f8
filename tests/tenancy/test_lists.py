"""What each actor finds in a list: all that is theirs to see, and nothing else."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from codepush.domain.permissions import Role
from tests.tenancy.rules import ACCOUNT_READ, ACTORS, Actor, Row, expected
from tests.tenancy.world import NAMESAKE, ROLES, World, email
from tests.test_tenancy import ROWS

MEMBERS = {"owner@example.com": Role.OWNER} | {email(name): role for name, role in ROLES.items()}


def apps(_: World, actor: Actor) -> set[str]:
    """Apps of the token's organization, and those shared with the user."""
    if actor.app:
        return {actor.app}
    if actor.organization == "Second":
        return {"Elsewhere"}
    listed = {"App", "Other"} if actor.role else {f"Home of {actor.user}"}
    if actor.user == "admin":
        listed.add("Elsewhere")  # who made it
    return listed | ({"App"} if actor.permission else set())


def organizations(_: World, actor: Actor) -> set[str]:
    if actor.user == "maker":
        return {email("maker"), "Makers"}  # a home of their own, now that Acme is none
    if not actor.role:
        return {email(actor.user)}
    return {"Acme", "Second"} if actor.user in {"owner", "admin"} else {"Acme"}


def webhooks(world: World, actor: Actor) -> set[str]:
    return {world.webhook_id} if actor.role and not actor.organization else set()


def deliveries(world: World, _: Actor) -> set[str]:
    return {world.delivery_id}


def tokens(world: World, actor: Actor) -> set[str]:
    return world.token_names[actor.user]


def always(*names: str) -> Callable[[World, Actor], set[str]]:
    return lambda _, __: set(names)


HOLDERS = always(*map(email, ("owner", "guest", "extra")))
Expected = tuple[str, Callable[[World, Actor], set[str]]]
"""The member of an entry that names it, and which names an actor is to find."""

CLASSIC: dict[str, Expected] = {
    "GET /accessKeys": ("friendlyName", tokens),
    "GET /apps": ("name", apps),
    "GET /apps/<app>/collaborators": ("", HOLDERS),
    "GET /apps/<app>/deployments": ("name", always("Production", "Staging")),
    "GET /apps/<app>/deployments/<deployment>/history": ("label", always("v1", "v2")),
}
SEED: dict[str, Expected] = {
    "GET /apps": ("name", apps),
    "GET /apps/<appName>/binaries": ("appVersion", always("1.0.0")),
    "GET /apps/<appName>/collaborators": ("email", HOLDERS),
    "GET /apps/<appName>/deployments": ("name", always("Production", "Staging")),
    "GET /apps/<appName>/deployments/<deploymentName>/metrics": ("", always()),
    "GET /apps/<appName>/deployments/<deploymentName>/metrics/days": ("", always()),
    "GET /apps/<appName>/deployments/<deploymentName>/metrics/hours": ("", always()),
    "GET /apps/<appName>/deployments/<deploymentName>/releases/<label>/failures": ("", always()),
    "GET /apps/<appName>/deployments/<deploymentName>/releases": ("label", always("v1", "v2")),
    "GET /auth/tokens": ("friendlyName", tokens),
    "GET /organizations": ("name", organizations),
    "GET /organizations/<organization>/audit": ("app", always("", "App", "Other")),
    "GET /organizations/<organization>/invitations": ("email", always(email("somebody"))),
    "GET /organizations/<organization>/members": ("email", always(*MEMBERS)),
    "GET /webhooks": ("id", webhooks),
    "GET /webhooks/<webhookId>/deliveries": ("id", deliveries),
    "GET /webhooks/<webhookId>/deliveries/<deliveryId>": ("", always()),
}
LISTS = {
    route.replace(" ", f" {prefix}"): row
    for prefix, rows in (("", CLASSIC), ("/v0.1/legacy", CLASSIC), ("/api/v1", SEED))
    for route, row in rows.items()
}


def entries(answer: Any) -> Any:
    """Return the list in an answer; None where it holds none. Collaborators may be an object."""
    found = [value for value in answer.values() if isinstance(value, list)]
    return found[0] if found else answer.get("collaborators")


def names(listed: Iterable[Any], member: str) -> list[str]:
    return [(each[member] or "") if member else each for each in listed]


def test_every_route_that_lists_is_here(world: World) -> None:
    listing = set()
    for route, row in ROWS.items():
        if route.startswith("GET ") and "openapi" not in route:
            answer = world.call("owner", route, row)
            body = answer.get_json() if answer.is_json else None
            if isinstance(body, dict) and entries(body) is not None:
                listing.add(route)
    assert listing == set(LISTS)


@pytest.mark.parametrize("route", sorted(LISTS))
def test_each_actor_finds_what_is_theirs_to_see_and_nothing_else(route: str, world: World) -> None:
    member, rule = LISTS[route]
    may = [actor for actor in ACTORS if expected(ROWS[route], actor) == 200]
    assert may
    found = {
        actor: names(entries(world.call(actor, route, ROWS[route]).get_json()), member)
        for actor in may
    }
    assert {a: set(listed) for a, listed in found.items()} == {
        actor: rule(world, ACTORS[actor]) for actor in may
    }
    if not route.endswith("/audit"):
        assert all(len(listed) == len(set(listed)) for listed in found.values()), "listed twice"


def test_the_log_tells_of_nothing_beyond_the_organization(world: World) -> None:
    path = "GET /api/v1/organizations/<organization>/audit"
    for actor in ("owner", "admin"):
        text = world.call(actor, path, ROWS[path], organization="Acme").text
        for stranger in ("stranger", NAMESAKE, "heir", "Home of", "Elsewhere", "Second"):
            assert stranger not in text.replace("for Second", ""), stranger


ONE_TOKEN = sorted(
    route for route in ROWS if "<tokenName>" in route or "accessKeys/<name>" in route
)


@pytest.mark.parametrize("route", ONE_TOKEN)
def test_the_token_of_another_user_is_as_if_it_did_not_exist(route: str, world: World) -> None:
    before = world.fingerprint()
    variable = "tokenName" if "<tokenName>" in route else "name"
    for actor, who in ACTORS.items():
        for other in ("owner", "viewer", "stranger"):
            if other == who.user:
                continue
            answers = []
            for name in (f"only {other}'s", f"once {other}'s"):
                answer = world.call(actor, route, ROWS[route], **{variable: name})
                answers.append((answer.status, answer.text.replace("once", "only")))
            assert answers[0] == answers[1], actor
            may_look = expected(Row(ACCOUNT_READ), actor)
            assert int(answers[0][0][:3]) == (404 if may_look == 200 else may_look), actor
    assert world.fingerprint() == before


def test_the_sessions_of_another_user_are_as_if_they_did_not_exist(world: World) -> None:
    """Each has one on a machine called laptop; who ends theirs leaves those of others alone."""
    for prefix in ("", "/v0.1/legacy"):
        route = f"DELETE {prefix}/sessions/<machine>"
        world.restore()
        assert world.call("viewer", route, ROWS[route]).status_code == 204
        keys = f"GET {prefix}/accessKeys"
        for actor, left in (("viewer", False), ("owner", True), ("stranger", True)):
            listed = world.call(actor, keys, ROWS[keys]).get_json()["accessKeys"]
            assert ("laptop" in names(listed, "friendlyName")) == left, actor
