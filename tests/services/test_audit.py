"""The audit chain: every event once, in a chain that shows tampering, whoever folds it."""

import random
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from codepush.domain.errors import ConflictError, NotFoundError
from codepush.domain.events import Action
from codepush.domain.ids import AppId, OrganizationId
from codepush.domain.models import Principal
from codepush.domain.permissions import Permission
from codepush.domain.releasing import Change
from codepush.services.clock import system_clock
from codepush.services.container import Services
from codepush.services.telling import Teller
from codepush.store import keys
from codepush.store.audit import AuditEntry
from codepush.store.connection import StoreClient
from tests.conftest import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable


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
        [
            *("organization.created", "token.created", "token.created"),
            *("app.created", "deployment.created", "app.renamed"),
        ]
    )
    assert services.audit.verify(principal.organization_id).length == 6


def pass_an_hour(redis: StoreClient, organization_id: OrganizationId) -> None:
    """Do to the index of logs what an hour of the store's clock does, which no test can move."""
    logs = keys.organization_logs(organization_id)
    for app_id in redis.zrange(logs, 0, -1):
        noted_ms = redis.zscore(logs, app_id)
        assert noted_ms is not None
        redis.zadd(logs, {app_id: noted_ms - 3_601_000})


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
    logs = keys.organization_logs(principal.organization_id)
    assert actions(services, principal.organization_id)[-2:] == ["app.created", "app.deleted"]
    assert len(redis.zrange(logs, 0, -1)) == 1, "it might be yet to come"
    pass_an_hour(redis, principal.organization_id)
    assert actions(services, principal.organization_id)[-1] == "app.deleted"
    assert redis.zrange(logs, 0, -1) == []
    assert actions(services, principal.organization_id)[-1] == "app.deleted"


def test_an_app_to_come_stays_noted_whatever_the_clocks_of_machines_say(
    services: Services, principal: Principal, redis: StoreClient, clock: FakeClock
) -> None:
    organization_id, to_come = principal.organization_id, AppId("A" * 22)
    logs = keys.organization_logs(organization_id)
    for hours in (-5, 10):
        clock.advance(hours * 3_600)
        services.stores.organizations.note_log(organization_id, to_come)
        services.audit.keep_up(organization_id)
        clock.advance(-hours * 3_600)
        services.audit.keep_up(organization_id)
        assert redis.zrange(logs, 0, -1) == [to_come]


def test_cursors_into_logs_that_are_gone_do_not_stay(
    services: Services, principal: Principal, redis: StoreClient
) -> None:
    organization_id = principal.organization_id
    head = keys.audit_head(organization_id)
    ids = [services.apps.create(principal, f"App{number}").id for number in range(3)]
    for number in (0, 1):
        services.apps.delete(principal, f"App{number}")
        entries(services, organization_id)
        pass_an_hour(redis, organization_id)
        before = actions(services, organization_id)
        assert (
            {*ids[number:], "own", "seq", "hash", "latest"}
            >= set(redis.hgetall(head))
            > set(ids[number:])
        )
        redis.delete(keys.app_log(ids[number]))  # as after 30 days
        assert actions(services, organization_id) == before
    services.audit.verify(organization_id)


def test_a_transfer_is_in_both_chains_and_each_sees_only_its_own_time(
    services: Services, principal: Principal, bob: Principal
) -> None:
    services.apps.create(principal, "App")
    services.ownership.transfer(principal, "App", "bob@example.com")
    services.deployments.create(bob, "App", "Beta")
    moved = ["collaborator.added", "app.transferred"]
    assert actions(services, principal.organization_id)[-3:] == ["app.created", *moved]
    assert actions(services, bob.organization_id)[-3:] == [*moved, "deployment.created"]


def test_a_span_of_time_is_found_though_clocks_differ(
    services: Services, principal: Principal, clock: FakeClock
) -> None:
    """Times in the chain are some minutes out of order, and its beginning was dropped."""
    chance = random.Random(7)
    began_ms = clock.now_ms
    times = sorted(began_ms + chance.randrange(100 * 86_400_000) for _ in range(300))
    for at_ms in times:
        clock.now_ms = at_ms + chance.randrange(-600_000, 600_000)
        services.apps.create(principal, f"App{at_ms}", deployments=())
        services.stores.audit.fold(principal.organization_id)
    services.stores.audit.forget(principal.organization_id, before_ms=began_ms + 20 * 86_400_000)
    held = entries(services, principal.organization_id)[::-1]
    assert 200 < len(held) < 300
    for _ in range(50):
        since_ms = began_ms + chance.randrange(-5, 105) * 86_400_000
        until_ms = since_ms + chance.randrange(40 * 86_400_000)
        found = services.stores.audit.between(principal.organization_id, since_ms, until_ms)
        assert list(found) == [e for e in held if since_ms <= e.event.at_ms < until_ms]


def test_a_span_of_time_is_found_though_the_clock_jumped_back_in_it(
    services: Services, principal: Principal, clock: FakeClock
) -> None:
    now_ms = clock.now_ms
    for hours, names in (0, "ab"), (1, "cd"), (-2, "ef"), (-1, "gh"), (0, "ij"), (3, "k"):
        clock.now_ms = now_ms + hours * 3_600_000
        for name in names:
            services.apps.create(principal, name * 3, deployments=())
            services.audit.keep_up(principal.organization_id)
    held = entries(services, principal.organization_id)[::-1]
    for hours, names in (-2, "ef"), (-1, "gh"), (0, "abij"), (1, "cd"), (3, "k"):
        since_ms = now_ms + hours * 3_600_000
        found = services.stores.audit.between(principal.organization_id, since_ms, since_ms + 1)
        wanted = [each for each in held if each.event.app[:1] in names and each.event.app]
        assert [each for each in found if each.event.app] == wanted


def test_a_late_span_of_a_long_chain_is_found_without_reading_all(
    services: Services, principal: Principal, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(300):
        clock.advance(60)
        services.apps.create(principal, f"App{number}", deployments=())
    services.audit.keep_up(principal.organization_id)
    audit = services.stores.audit
    after, read = audit.after, []

    def reading(*args: Any, **options: Any) -> list[AuditEntry]:
        read.extend(found := after(*args, **options))
        return found

    monkeypatch.setattr(audit, "after", reading)
    found = audit.between(principal.organization_id, clock.now_ms - 60_000, clock.now_ms + 1)
    # Two of one ms are in any order.
    assert sorted(each.event.app for each in found) == ["App298", "App299"]
    assert len(read) < 15


def test_a_chain_that_began_on_a_former_server_goes_on(
    services: Services, principal: Principal, redis: StoreClient, clock: FakeClock
) -> None:
    organization_id = principal.organization_id
    began_ms = clock.now_ms
    for number in range(6):
        clock.advance(60)
        services.apps.create(principal, f"App{number}", deployments=())
        entries(services, organization_id)
        if number == 2:  # it wrote no times
            chain = keys.audit(organization_id)
            rows = redis.xrange(chain, min="-", max="+", count=100)
            redis.delete(chain)
            for row_id, row in rows:
                redis.xadd(chain, {"e": row["e"], "h": row["h"]}, id=row_id)  # type: ignore[call-arg]
            redis.hdel(keys.audit_head(organization_id), "latest")
    for number in range(6):
        at_ms = began_ms + (number + 1) * 60_000
        found = services.stores.audit.between(organization_id, at_ms, at_ms + 1)
        assert [each.event.app for each in found] == [f"App{number}"]
    assert services.audit.verify(organization_id).length == 8


def test_many_folders_at_once_append_every_event_once(
    services: Services, principal: Principal
) -> None:
    for number in range(30):
        services.apps.create(principal, f"App{number}", deployments=())
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: entries(services, principal.organization_id), range(8)))
    found = entries(services, principal.organization_id)
    assert [entry.sequence for entry in found] == list(range(32, 0, -1))
    assert len({entry.event.id for entry in found}) == 32
    assert services.audit.verify(principal.organization_id).length == 32


def test_an_event_that_was_logged_twice_is_one_entry(
    services: Services, principal: Principal, redis: StoreClient
) -> None:
    """As when a script ran again because its answer was lost."""
    app = services.apps.create(principal, "App")
    (_, row) = redis.xrange(keys.app_log(app.id), min="-", max="+", count=1)[0]
    redis.xadd(keys.app_log(app.id), row)
    assert actions(services, principal.organization_id).count("app.created") == 1


def test_reading_while_an_app_is_made_does_not_forget_it(
    services: Services, principal: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = services.stores.apps.create

    def read_and_create(*args: object, **options: object) -> None:
        services.audit.keep_up(principal.organization_id)
        create(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(
        type(services.stores.apps), "create", lambda _self, *a, **o: read_and_create(*a, **o)
    )
    services.apps.create(principal, "App")
    services.deployments.create(principal, "App", "Beta")
    assert actions(services, principal.organization_id)[-2:] == [
        "app.created",
        "deployment.created",
    ]


def test_entries_of_many_logs_are_in_the_order_of_their_times(
    services: Services, principal: Principal, clock: FakeClock
) -> None:
    for number in range(250):
        services.apps.create(principal, f"App{number}", deployments=())
        clock.advance(1)
        time.sleep(0.001)
        if number % 50 == 0:
            services.tokens.create(principal, name=f"T{number}", created_by="test")
    times = [entry.event.at_ms for entry in entries(services, principal.organization_id)]
    assert len(times) == 257
    assert times == sorted(times, reverse=True)


def test_an_app_that_moved_is_logged_where_it_was_and_where_it_is_or_not_at_all(
    services: Services, principal: Principal, bob: Principal
) -> None:
    """What was decided on before the move is refused after it."""
    services.apps.create(principal, "App")
    app = services.apps.get(principal, "App").app
    services.ownership.transfer(principal, "App", "bob@example.com")
    carol = services.accounts.create_user("carol@example.com").user
    teller = Teller(system_clock)
    event = teller.about_app(principal, Action.COLLABORATOR_ADDED, app)
    deployment = services.stores.deployments.get(app, "Staging")
    stores = services.stores
    late: list[Callable[[], object]] = [
        lambda: stores.apps.add_collaborator(app, carol.id, Permission.OWNER, event=event),
        lambda: stores.apps.delete(app, event=event),
        lambda: stores.deployments.rename(app, deployment, "Other", event=event),
        lambda: stores.deployments.delete(app, deployment, event=event),
        lambda: stores.releases.change(
            app.id, deployment.id, lambda _: Change(cleared=True), tell=lambda _: event
        ),
    ]
    for act in late:
        with pytest.raises(NotFoundError):
            act()
    assert actions(services, principal.organization_id)[-1] == "app.transferred"
    assert services.apps.get(bob, "App").app.deployments.keys() == {"Production", "Staging"}


@pytest.mark.parametrize("cut", ["newest", "oldest", "all", "oldest after it was kept a while"])
def test_a_chain_that_was_cut_shows(
    services: Services, principal: Principal, redis: StoreClient, clock: FakeClock, cut: str
) -> None:
    organization = principal.organization_id
    services.apps.create(principal, "Old")
    if cut == "oldest after it was kept a while":
        entries(services, organization)
        clock.advance(366 * 86_400)
    for number in range(4):
        services.apps.create(principal, f"App{number}")
    length = services.audit.verify(organization).length
    chain = keys.audit(organization)
    rows = redis.xrange(chain, min="-", max="+", count=100)
    gone = {"newest": rows[-1:], "all": rows}.get(cut, rows[:1])
    for row_id, _ in gone:
        redis.xdel(chain, row_id)  # type: ignore[attr-defined]
    with pytest.raises(ConflictError, match="tampered"):
        services.audit.verify(organization)
    assert length == len(rows)


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
    assert services.audit.verify(principal.organization_id).length == 1


def test_when_all_entries_are_old_all_leave_and_numbers_go_on(
    services: Services, principal: Principal, clock: FakeClock
) -> None:
    services.apps.create(principal, "Old")
    assert len(entries(services, principal.organization_id)) == 3
    clock.advance(366 * 86_400)
    assert entries(services, principal.organization_id) == []
    services.apps.create(principal, "New")
    assert [entry.sequence for entry in entries(services, principal.organization_id)] == [4]


@pytest.fixture
def aged(services: Services, principal: Principal, clock: FakeClock) -> tuple[int, int]:
    """A chain of nine entries, of which four are older than a time, and six than another."""
    times = []
    for number in range(7):
        clock.advance(60)
        times.append(clock.now_ms)
        services.apps.create(principal, f"App{number}", deployments=())
        entries(services, principal.organization_id)  # two in one ms would be in any order
    return times[2], times[4]


def test_who_drops_fewer_entries_after_another_leaves_the_chain_whole(
    services: Services,
    principal: Principal,
    aged: tuple[int, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    organization_id, audit = principal.organization_id, services.stores.audit
    oldest_first = audit.oldest_first

    def overtaken(organization_id: OrganizationId) -> Any:
        for entry in oldest_first(organization_id):
            if entry.event.at_ms >= aged[0]:  # the last that is looked at
                monkeypatch.setattr(audit, "oldest_first", oldest_first)
                audit.forget(organization_id, before_ms=aged[1])
            yield entry

    monkeypatch.setattr(audit, "oldest_first", overtaken)
    audit.forget(organization_id, before_ms=aged[0])
    assert audit.ends(organization_id).base == 6
    assert services.audit.verify(organization_id).length == 3


def test_entries_that_leave_while_a_chain_is_checked_are_no_tampering(
    services: Services,
    principal: Principal,
    aged: tuple[int, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    organization_id, audit = principal.organization_id, services.stores.audit
    ends = audit.ends
    later = iter(aged)

    def overtaken(organization_id: OrganizationId) -> Any:
        found = ends(organization_id)
        before_ms = next(later, None)
        if before_ms:
            audit.forget(organization_id, before_ms=before_ms)
        return found

    monkeypatch.setattr(audit, "ends", overtaken)
    assert services.audit.verify(organization_id).length == 3


def test_housekeeping_folds_every_organization(
    services: Services, principal: Principal, bob: Principal, redis: StoreClient
) -> None:
    services.apps.create(bob, "App")
    services.audit.keep_up_all()
    assert redis.hget(keys.audit_head(principal.organization_id), "seq") == "2"
    assert redis.hget(keys.audit_head(bob.organization_id), "seq") == "3"


def test_pages_go_on_where_the_last_one_ended(services: Services, principal: Principal) -> None:
    for number in range(5):
        services.apps.create(principal, f"App{number}", deployments=())
    first = services.audit.read(principal.organization_id, count=4)
    rest = services.audit.read(principal.organization_id, before=first[-1].sequence, count=4)
    assert [e.sequence for e in first + rest] == [7, 6, 5, 4, 3, 2, 1]
