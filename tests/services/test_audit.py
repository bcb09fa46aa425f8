"""The audit chain: every event once, in a chain that shows tampering, whoever folds it."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import orjson
import pytest

from codepush.domain.errors import ConflictError
from codepush.domain.events import Action
from codepush.domain.ids import OrganizationId
from codepush.domain.models import Principal
from codepush.services.container import Services
from codepush.store import keys
from codepush.store.audit import AuditEntry
from codepush.store.connection import StoreClient
from tests.conftest import FakeClock


@pytest.fixture
def principal(services: Services) -> Principal:
    made = services.accounts.create_user("alice@example.com", organization="Acme")
    return services.tokens.authenticate(made.token, "192.0.2.7")


@pytest.fixture
def bob(services: Services) -> Principal:
    made = services.accounts.create_user("bob@example.com", organization="Bobs")
    return services.tokens.authenticate(made.token)


def entries(services: Services, organization_id: OrganizationId) -> list[AuditEntry]:
    return services.audit.read(organization_id, count=1_000)


def actions(services: Services, organization_id: OrganizationId) -> list[str]:
    return [entry.event.action.value for entry in reversed(entries(services, organization_id))]


def test_an_entry_says_who_did_what_when_and_from_where(
    services: Services, principal: Principal, clock: FakeClock
) -> None:
    clock.advance(60)
    services.apps.create(principal, "App")
    newest = entries(services, principal.organization_id)[0]
    event = newest.event
    assert event.action is Action.APP_CREATED
    assert event.at_ms == clock.now_ms
    assert event.app == "App"
    assert (event.actor.email, event.actor.address) == ("alice@example.com", "192.0.2.7")
    assert event.actor.token_id == principal.token.id


def test_events_of_apps_and_of_the_organization_are_in_one_chain(
    services: Services, principal: Principal
) -> None:
    services.apps.create(principal, "App")
    services.deployments.create(principal, "App", "Beta")
    services.tokens.create(principal, name="CI", created_by="ci")
    services.apps.rename(principal, "App", "Better")
    assert Counter(actions(services, principal.organization_id)) == Counter(
        ["token.created", "token.created", "app.created", "deployment.created", "app.renamed"]
    )
    assert services.audit.verify(principal.organization_id) == 5


def test_a_refused_action_leaves_no_entry(services: Services, principal: Principal) -> None:
    services.apps.create(principal, "App")
    before = actions(services, principal.organization_id)
    with pytest.raises(ConflictError):
        services.apps.create(principal, "App")
    with pytest.raises(ConflictError):
        services.deployments.create(principal, "App", "Staging")
    assert actions(services, principal.organization_id) == before


def test_the_deletion_of_an_app_is_remembered(
    services: Services, principal: Principal, redis: StoreClient
) -> None:
    services.apps.create(principal, "App")
    services.apps.delete(principal, "App")
    assert actions(services, principal.organization_id)[-2:] == ["app.created", "app.deleted"]
    assert redis.smembers(keys.organization_logs(principal.organization_id)) == set()
    assert actions(services, principal.organization_id)[-1] == "app.deleted"


def test_a_transfer_is_in_both_chains_and_each_sees_only_its_own_time(
    services: Services, principal: Principal, bob: Principal
) -> None:
    services.apps.create(principal, "App")
    services.apps.transfer(principal, "App", "bob@example.com")
    services.deployments.create(bob, "App", "Beta")
    assert actions(services, principal.organization_id)[-2:] == ["app.created", "app.transferred"]
    assert actions(services, bob.organization_id)[-2:] == ["app.transferred", "deployment.created"]


def test_many_folders_at_once_append_every_event_once(
    services: Services, principal: Principal
) -> None:
    for number in range(30):
        services.apps.create(principal, f"App{number}", deployments=())
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: entries(services, principal.organization_id), range(8)))
    found = entries(services, principal.organization_id)
    assert [entry.sequence for entry in found] == list(range(31, 0, -1))
    assert len({entry.event.id for entry in found}) == 31
    assert services.audit.verify(principal.organization_id) == 31


def test_an_event_that_was_logged_twice_is_one_entry(
    services: Services, principal: Principal, redis: StoreClient
) -> None:
    """As when a script ran again because its answer was lost."""
    app = services.apps.create(principal, "App")
    (_, row) = redis.xrange(keys.app_log(app.id), min="-", max="+", count=1)[0]
    redis.xadd(keys.app_log(app.id), row)
    assert actions(services, principal.organization_id).count("app.created") == 1


@pytest.mark.parametrize("tamper", ["change", "remove", "insert"])
def test_tampering_shows(
    services: Services, principal: Principal, redis: StoreClient, tamper: str
) -> None:
    for number in range(3):
        services.apps.create(principal, f"App{number}")
    entries(services, principal.organization_id)
    chain = keys.audit(principal.organization_id)
    rows = redis.xrange(chain, min="-", max="+", count=100)
    redis.delete(chain)
    if tamper == "change":
        record = orjson.loads(rows[1][1]["e"])
        rows[1][1]["e"] = orjson.dumps(record | {"app": "Other"}).decode()
    elif tamper == "remove":
        del rows[1]
    else:
        rows.insert(2, ("2-5", rows[1][1]))
    for row_id, row in rows:
        redis.xadd(chain, row, id=row_id)  # type: ignore[call-arg]
    with pytest.raises(ConflictError, match="tampered"):
        services.audit.verify(principal.organization_id)


def test_old_entries_leave_and_the_rest_still_verifies(
    services: Services, principal: Principal, clock: FakeClock
) -> None:
    services.apps.create(principal, "Old")
    entries(services, principal.organization_id)
    clock.advance(366 * 86_400)
    services.apps.create(principal, "New")
    assert [entry.event.app for entry in entries(services, principal.organization_id)] == ["New"]
    assert services.audit.verify(principal.organization_id) == 1


def test_when_all_entries_are_old_all_leave_and_numbers_go_on(
    services: Services, principal: Principal, clock: FakeClock
) -> None:
    services.apps.create(principal, "Old")
    assert len(entries(services, principal.organization_id)) == 2
    clock.advance(366 * 86_400)
    assert entries(services, principal.organization_id) == []
    services.apps.create(principal, "New")
    assert [entry.sequence for entry in entries(services, principal.organization_id)] == [3]


def test_housekeeping_folds_every_organization(
    services: Services, principal: Principal, bob: Principal, redis: StoreClient
) -> None:
    services.apps.create(bob, "App")
    services.audit.keep_up_all()
    assert redis.hget(keys.audit_head(principal.organization_id), "seq") == "1"
    assert redis.hget(keys.audit_head(bob.organization_id), "seq") == "2"


def test_pages_go_on_where_the_last_one_ended(services: Services, principal: Principal) -> None:
    for number in range(5):
        services.apps.create(principal, f"App{number}", deployments=())
    first = services.audit.read(principal.organization_id, count=4)
    rest = services.audit.read(principal.organization_id, before=first[-1].sequence, count=4)
    assert [e.sequence for e in first + rest] == [6, 5, 4, 3, 2, 1]
