"""Lists that are cut into pages on request."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

import pytest

from codepush.web.paging import Page
from tests.api.v1.client import SeedClient

LISTS = {
    "/auth/tokens": "tokens",
    "/apps": "apps",
    "/apps/App0/collaborators": "collaborators",
    "/apps/App0/deployments": "deployments",
    "/apps/App0/deployments/Staging/releases": "releases",
    "/apps/App0/deployments/Staging/metrics": "metrics",
    "/apps/App0/deployments/Staging/metrics/hours": "series",
    "/apps/App0/deployments/Staging/metrics/days": "series",
    "/organizations": "organizations",
    "/organizations/Acme/members": "members",
    "/organizations/Acme/invitations": "invitations",
    "/organizations/Acme/audit": "entries",
}
ELSEWHERE = {
    "/apps/{appName}/binaries",
    "/webhooks",
    "/webhooks/{webhookId}/deliveries",
}
"""Tested beside what they list."""


@pytest.fixture
def world(seed: SeedClient) -> SeedClient:
    """At least five rows in every list."""
    for number in range(5):
        email = f"user{number}@example.com"
        user = seed.another(email)
        seed.add_app(f"App{number}")
        seed.post("/auth/tokens", {"friendlyName": str(number)})
        seed.post("/organizations", {"name": f"Organization {number}"})
        seed.post("/apps/App0/deployments", {"name": f"Beta {number}"})
        seed.post("/apps/App0/collaborators", {"email": email})
        seed.release(str(number).encode(), app="App0")
        token = seed.post("/organizations/Acme/invitations", {"email": email})["token"]
        user.post("/invitations/accept", {"token": token}, 200)
        seed.post("/organizations/Acme/invitations", {"email": f"other{number}@example.com"})
    deployment = seed.get("/apps/App0/deployments/Staging")["deployment"]
    for number in range(5):
        seed.http.post(
            "/v0.1/public/codepush/report_status/download",
            json={
                "deployment_key": deployment["key"],
                "label": f"v{number + 1}",
                "client_unique_id": "a",
            },
        )
    return seed


def test_every_paged_list_is_tested(seed: SeedClient) -> None:
    paged = set()
    for path, held in seed.contract.document["paths"].items():
        names = {p["name"] for p in held.get("get", {}).get("parameters", [])}
        if "limit" in names:
            assert "cursor" in names
            paged.add(path)
    assert paged > ELSEWHERE
    assert len(paged - ELSEWHERE) == len(LISTS)
    for path in paged:
        answer = seed.contract.document["paths"][path]["get"]["responses"]["200"]
        assert answer["content"]["application/json"]["schema"]["$ref"].endswith(("List", "Series"))


@pytest.mark.parametrize("limit", [1, 2, 3, 1000])
@pytest.mark.parametrize("path", LISTS)
def test_pages_make_up_the_whole_list(world: SeedClient, path: str, limit: int) -> None:
    name = LISTS[path]
    whole = world.get(path)
    assert set(whole) == {name}, "a list is whole unless asked for otherwise"
    assert len(whole[name]) >= 5
    rows: list[Any] = []
    query: dict[str, Any] = {"limit": limit}
    while True:
        page = world.get(path, **query)
        assert 1 <= len(page[name]) <= limit
        rows += page[name]
        if "nextCursor" not in page:
            break
        assert len(page[name]) == limit
        query["cursor"] = page["nextCursor"]
    assert rows == whole[name]


@pytest.mark.parametrize("path", LISTS)
def test_a_page_that_just_fits_is_the_last(world: SeedClient, path: str) -> None:
    count = len(world.get(path)[LISTS[path]])
    assert "nextCursor" not in world.get(path, limit=count)
    assert "nextCursor" in world.get(path, limit=count - 1)


def test_rows_that_come_and_go_neither_repeat_nor_hide_others(world: SeedClient) -> None:
    page = world.get("/apps", limit=2)
    assert [each["name"] for each in page["apps"]] == ["App0", "App1"]
    world.delete("/apps/App1")  # the row that the cursor names
    world.add_app("App00")  # before it
    world.add_app("App2b")  # after it
    rest = world.get("/apps", cursor=page["nextCursor"])
    assert [each["name"] for each in rest["apps"]] == ["App2", "App2b", "App3", "App4"]


def test_new_releases_come_after_the_cursor(world: SeedClient) -> None:
    path = "/apps/App0/deployments/Staging/releases"
    cursor = world.get(path, limit=4)["nextCursor"]
    world.release(b"new", app="App0")
    assert [each["label"] for each in world.get(path, cursor=cursor)["releases"]] == ["v5", "v6"]


def test_new_entries_of_the_log_do_not_move_its_pages(world: SeedClient) -> None:
    path = "/organizations/Acme/audit"
    first = world.get(path, limit=3)
    world.add_app("New")
    second = world.get(path, limit=3, cursor=first["nextCursor"])
    sequences = [each["sequence"] for each in first["entries"] + second["entries"]]
    assert sequences == list(range(sequences[0], sequences[0] - 6, -1))


@pytest.mark.parametrize(
    "limit", ["0", "-1", "1001", "1.0", "1e2", "x", "", " 1", "+5", "0x10", "１", "1_0", "99999999"]
)
@pytest.mark.parametrize("path", ["/apps", "/organizations/Acme/audit"])
def test_a_limit_of_nonsense_is_refused(seed: SeedClient, path: str, limit: str) -> None:
    error = seed.refused(400, "GET", path, query_string={"limit": limit})
    assert error["details"]["parameter"] == "limit"
    assert "1 to 1000" in error["message"]


def cursor(*position: object) -> str:
    import json

    return urlsafe_b64encode(json.dumps(position).encode()).decode().rstrip("=")


BAD_CURSORS = [
    "x",
    "!!!!",
    "ünï",
    "e30",
    "bnVsbA",
    cursor(),
    cursor("apps"),
    cursor("entries"),
    cursor("tokens", 1, "x"),
    cursor("apps", 1, "x"),
    cursor("apps", None),
    cursor("apps", ["x"]),
    cursor("apps", 1.5),
    cursor("apps", True),
    cursor("entries", 0),
    cursor("entries", -5),
    cursor("entries", "5"),
    cursor("entries", 5, 5),
    cursor("entries", 10**18),
    "A" * 7_999,
    "A" * 8_001,
]


@pytest.mark.parametrize("value", BAD_CURSORS)
@pytest.mark.parametrize("path", ["/apps", "/organizations/Acme/audit"])
def test_a_cursor_of_nonsense_is_refused(seed: SeedClient, path: str, value: str) -> None:
    seed.add_app()
    error = seed.refused(400, "GET", path, query_string={"cursor": value})
    assert error["details"] == {"parameter": "cursor", "reason": "Malformed"}
    assert "Begin again" in error["message"]


def test_an_empty_cursor_is_the_first_page(seed: SeedClient) -> None:
    seed.add_app()
    assert seed.get("/apps", cursor="") == seed.get("/apps")


def test_unknown_query_parameters_are_passed_over(seed: SeedClient) -> None:
    seed.add_app()
    assert seed.get("/apps", _="1700000000", page="2") == seed.get("/apps")


def test_a_cursor_fits_into_an_address_whatever_it_names(seed: SeedClient) -> None:
    for name in ("x" * 1_000, "ü" * 400):
        seed.add_app(name)
    seed.add_app("zz")
    for name in ("y" * 900, "z" * 900):
        seed.post("/auth/tokens", {"friendlyName": name})
    for path in ("/apps", "/auth/tokens"):
        held = seed.get(path, limit=1)["nextCursor"]
        assert len(held) < 4_000
        seed.get(path, cursor=held)


def test_a_cursor_holds_nothing_but_what_was_shown(seed: SeedClient) -> None:
    for name in ("One", "Two"):
        seed.add_app(name)
    held = seed.get("/apps", limit=1)["nextCursor"]
    text = urlsafe_b64decode(f"{held}===").decode()
    assert "One" in text
    assert "Two" not in text


def test_a_list_that_nobody_asked_to_be_cut_ends_at_a_thousand_rows() -> None:
    rows = list(range(1_001))
    page = Page().cut("rows", rows, lambda row: (row,))
    assert page["rows"] == rows[:1_000]
    assert Page(cursor=page["next_cursor"]).cut("rows", rows, lambda row: (row,)) == {
        "rows": [1_000]
    }
    assert "next_cursor" not in Page().cut("rows", rows[:1_000], lambda row: (row,))
