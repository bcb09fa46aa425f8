"""Many writers at once on the real store: nothing lost, nothing twice."""

import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier
from typing import TypeVar

import pytest

from codepush.domain import releasing as rules
from codepush.domain.errors import CodePushError, ConflictError, NotFoundError
from codepush.domain.events import Action, Actor, Event
from codepush.domain.ids import (
    AppId,
    BlobKey,
    DeploymentKey,
    PackageHash,
    TokenId,
    UserId,
    new_id,
)
from codepush.domain.models import (
    App,
    Deployment,
    History,
    Organization,
    Principal,
    Release,
    ReleaseMethod,
)
from codepush.domain.permissions import Permission
from codepush.domain.releasing import Change, ReleaseOverrides
from codepush.services.container import Services
from codepush.store import keys

T = TypeVar("T")


def at_once(count: int, act: Callable[[int], T]) -> list[T | CodePushError]:
    """Run ``act(0)`` to ``act(count - 1)`` at the same moment; return results and refusals."""
    barrier = Barrier(count)

    def run(number: int) -> T | CodePushError:
        barrier.wait()
        try:
            return act(number)
        except CodePushError as exc:
            return exc

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def a_release(number: int) -> Release:
    return Release(
        id=new_id(),
        number=0,
        app_version="1.0.0",
        package_hash=PackageHash(f"{number:064x}"),
        blob_key=BlobKey(f"app/{number:064x}"),
        size=number + 1,
        uploaded_at_ms=1,
        released_by="alice@example.com",
        method=ReleaseMethod.UPLOAD,
    )


@pytest.fixture
def principal(services: Services) -> Principal:
    made = services.accounts.create_user("alice@example.com")
    return services.tokens.authenticate(made.token)


@pytest.fixture
def target(services: Services, principal: Principal) -> tuple[App, Deployment]:
    services.apps.create(principal, "App")
    return services.deployments.get(principal, "App", "Staging")


def telling(app: App) -> Callable[[Change], Event]:
    actor = Actor(UserId("u"), "alice@example.com", TokenId("t"), "token", "127.0.0.1")
    return lambda _: Event(new_id(), Action.DEPLOYMENT_RELEASED, 1, app.organization_id, actor)


def add(services: Services, target: tuple[App, Deployment], number: int) -> Release:
    release = a_release(number)

    def decide(history: History) -> Change:
        return rules.add_release(history, release, limit=500)

    change = services.stores.releases.change(
        target[0].id, target[1].id, decide, tell=telling(target[0])
    )
    assert change.added is not None
    return change.added


def test_64_releases_at_once_get_64_labels(
    services: Services, target: tuple[App, Deployment]
) -> None:
    made = at_once(64, lambda number: add(services, target, number))
    releases = [each for each in made if isinstance(each, Release)]
    assert sorted(each.number for each in releases) == list(range(1, 65))
    history = services.stores.releases.history(target[0].id, target[1].id)
    assert {each.id: each for each in history.releases} == {each.id: each for each in releases}


def test_64_creations_of_one_app_name_make_one_app(
    services: Services, principal: Principal
) -> None:
    names = ["App", "app", "APP", "aPP"]
    made = at_once(64, lambda number: services.apps.create(principal, names[number % 4]))
    apps = [each for each in made if isinstance(each, App)]
    assert len(apps) == 1
    assert all(isinstance(each, ConflictError) for each in made if not isinstance(each, App))
    assert [each.app.id for each in services.apps.list_for(principal)] == [apps[0].id]


def test_32_users_of_one_address_make_one_user(services: Services) -> None:
    made = at_once(32, lambda number: services.accounts.create_user("Bob@example.com"))
    assert sum(not isinstance(each, ConflictError) for each in made) == 1
    assert [user.email for user, _ in services.accounts.list_users()] == ["Bob@example.com"]


def test_16_users_of_one_new_organization_get_one_organization_with_one_owner(
    services: Services,
) -> None:
    def make(number: int) -> str:
        made = services.accounts.create_user(f"user{number}@example.com", organization="Acme")
        return made.organization.id

    made = at_once(16, make)
    ids = {each for each in made if isinstance(each, str)}
    assert len(ids) == 1
    organization = services.stores.organizations.find("acme")
    assert organization is not None
    assert organization.id in ids


def test_one_deployment_key_is_given_to_one_of_many_apps(
    services: Services, principal: Principal
) -> None:
    for number in range(16):
        services.apps.create(principal, f"App{number}")
    key = "a-key-from-another-server"

    def make(number: int) -> Deployment:
        return services.deployments.create(principal, f"App{number}", "Migrated", key=key)

    made = at_once(16, make)
    deployments = [each for each in made if isinstance(each, Deployment)]
    assert len(deployments) == 1
    address = services.stores.deployments.address(DeploymentKey(key))
    assert address == (deployments[0].app_id, deployments[0].id)


def test_one_deployment_name_is_given_once(services: Services, principal: Principal) -> None:
    services.apps.create(principal, "App", deployments=())
    made = at_once(16, lambda number: services.deployments.create(principal, "App", "Beta"))
    deployments = [each for each in made if isinstance(each, Deployment)]
    assert len(deployments) == 1
    assert services.deployments.list_for(principal, "App") == deployments
    # The keys of those that lost lead nowhere.
    for other in made:
        assert isinstance(other, (Deployment, ConflictError))


def test_patches_promotes_clears_and_releases_at_once_neither_lose_nor_resurrect(
    services: Services, principal: Principal, target: tuple[App, Deployment]
) -> None:
    """The history is rebuilt from what each writer was told, in the order of label numbers."""
    production = services.deployments.get(principal, "App", "Production")[1]
    for number in range(5):
        add(services, target, number)
    choices = random.Random(1).choices(["release", "patch", "promote", "clear", "back"], k=96)

    def act(number: int) -> tuple[str, Release | None]:
        what = choices[number]
        if what == "release":
            return what, add(services, target, 1_000 + number)
        if what == "patch":
            overrides = ReleaseOverrides(description=f"patched {number}")
            return what, services.releasing.patch(
                principal, "App", "Staging", overrides, only_up=False
            )
        if what == "promote":
            made = services.releasing.promote(
                principal, "App", "Staging", "Production", ReleaseOverrides()
            )
            return what, made.release
        if what == "clear":
            services.releasing.clear(principal, "App", "Staging")
            return what, None
        return what, services.releasing.roll_back(principal, "App", "Staging")

    done = at_once(96, act)
    for outcome in done:
        assert isinstance(outcome, (tuple, ConflictError, NotFoundError)), outcome
    told = [each for each in done if isinstance(each, tuple)]
    added = [r for what, r in told if what in {"release", "back"} and r]
    numbers = [r.number for r in added]
    assert len(set(numbers)) == len(numbers), "a label was given twice"

    history = services.stores.releases.history(target[0].id, target[1].id)
    known = {r.id for r in added}
    for release in history.releases:
        if release.number > 5:
            assert release.id in known, "a release that nobody made"
    # What a clear left is a run of the newest: nothing older than a survivor came back.
    survivors = [r.number for r in history.releases]
    if survivors:
        later = [n for n in numbers if n > survivors[0]]
        assert set(later) <= set(survivors), "a release was lost"
    assert history.last_number == max([5, *numbers])

    promoted = [r for what, r in told if what == "promote" and r]
    shipped = services.stores.releases.history(target[0].id, production.id)
    assert {r.id for r in shipped.releases} == {r.id for r in promoted}
    assert [r.number for r in shipped.releases] == list(range(1, len(promoted) + 1))


def test_a_patch_of_every_release_at_once_keeps_all_patches(
    services: Services, principal: Principal, target: tuple[App, Deployment]
) -> None:
    for number in range(16):
        add(services, target, number)

    def patch(number: int) -> Release | None:
        return services.releasing.patch(
            principal,
            "App",
            "Staging",
            ReleaseOverrides(description=f"mine is {number + 1}"),
            label=f"v{number + 1}",
            only_up=False,
        )

    at_once(16, patch)
    history = services.stores.releases.history(target[0].id, target[1].id)
    assert [r.description for r in history.releases] == [f"mine is {n}" for n in range(1, 17)]


def test_a_commit_whose_answer_was_lost_is_not_made_twice(
    services: Services, target: tuple[App, Deployment], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the connection breaks after Redis ran the script and the client runs it again."""
    store = services.stores.releases
    commit = store._commit
    lost = iter([True])

    def commit_and_lose_the_answer(*args: object) -> bool:
        done = commit(*args)  # type: ignore[arg-type]
        return done and not next(lost, False)

    monkeypatch.setattr(
        type(store), "_commit", lambda self, *args: commit_and_lose_the_answer(*args)
    )
    made = add(services, target, 7)
    assert made.number == 1
    history = store.history(target[0].id, target[1].id)
    assert [r.number for r in history.releases] == [1]
    assert history.releases == (replace(made),)


def test_deleting_an_app_while_releasing_to_it_leaves_no_keys_behind(
    services: Services, principal: Principal, target: tuple[App, Deployment]
) -> None:
    def act(number: int) -> object:
        if number == 7:
            return services.apps.delete(principal, "App")
        return add(services, target, number)

    at_once(16, act)
    left = list(services.stores.client.scan_iter(f"cp:1:{{a:{target[0].id}}}*"))
    assert left == [keys.app_log(target[0].id)], "the log stays until it is folded"


def test_renames_to_and_fro_at_once_lose_no_app_and_no_name(
    services: Services, principal: Principal
) -> None:
    services.apps.create(principal, "A", deployments=())

    def rename(number: int) -> App:
        old, new = ("A", "B") if number % 2 else ("B", "A")
        return services.apps.rename(principal, old, new)

    for _ in range(10):
        for done in at_once(8, rename):
            assert isinstance(done, (App, ConflictError, NotFoundError))
        (listed,) = services.apps.list_for(principal)
        assert services.apps.get(principal, listed.app.name).app.id == listed.app.id
        with pytest.raises(ConflictError):
            services.apps.create(principal, listed.app.name)


def test_organizations_renamed_to_and_fro_at_once_keep_their_names(
    services: Services, principal: Principal
) -> None:
    services.organizations.create(principal, "Here")

    def rename(number: int) -> Organization:
        old, new = ("Here", "There") if number % 2 else ("There", "Here")
        return services.organizations.rename(principal, old, new)

    for _ in range(10):
        for done in at_once(8, rename):
            assert isinstance(done, (Organization, ConflictError, NotFoundError))
        (name,) = [
            each.name for each, _ in services.organizations.list_all() if not each.is_personal
        ]
        assert services.stores.organizations.find(name)
        with pytest.raises(ConflictError):
            services.organizations.create(principal, name)


def test_a_rename_between_reading_and_renaming_is_noticed(
    services: Services, principal: Principal
) -> None:
    """The steps of two renames, in the order that once lost an app's name."""
    stores = services.stores
    first = services.apps.create(principal, "A", deployments=())
    services.apps.rename(principal, "A", "B")
    services.apps.rename(principal, "B", "A")
    claim = stores.apps.claim_name(principal.organization_id, "C", first.id)
    assert claim
    with pytest.raises(ConflictError, match="Somebody else changed this app"):
        stores.apps.update(first, name="C", deadline_ms=claim.deadline_ms, events=[])
    assert services.apps.get(principal, "A").app.version == 2


def test_no_two_claims_on_a_name_are_the_same(services: Services, principal: Principal) -> None:
    apps = services.stores.apps
    made = services.apps.create(principal, "A", deployments=())
    claims = set()
    for _ in range(50):
        assert apps.claim_name(principal.organization_id, "A", made.id)
        claims.add(apps.name_claim(made))
    assert len(claims) == 50


def test_a_rename_that_overtakes_a_giving_back_keeps_its_name(
    services: Services, principal: Principal
) -> None:
    """The steps of two renames, in the order that once lost an app."""
    stores = services.stores
    first = services.apps.create(principal, "A", deployments=())
    stores.apps.claim_name(principal.organization_id, "B", first.id)
    old = stores.apps.name_claim(first)
    stores.apps.update(first, name="B", events=[])
    time.sleep(0.002)
    services.apps.rename(principal, "B", "A")
    stores.apps.give_back_name(first, old)
    assert services.apps.get(principal, "A").app.id == first.id


def test_two_transfers_at_once_leave_one_owner(services: Services, principal: Principal) -> None:
    for name in ("bob", "carol"):
        joined = services.accounts.create_user(f"{name}@example.com")
        services.stores.users.note_app(joined.user.id, AppId("none"))
    services.apps.create(principal, "App", deployments=())
    (listed,) = services.apps.list_for(principal)
    app = listed.app
    bob = services.accounts.find_user("bob@example.com").id
    carol = services.accounts.find_user("carol@example.com").id
    owner = principal.user.id

    def transfer(number: int) -> None:
        changed = {owner: Permission.COLLABORATOR, (bob, carol)[number]: Permission.OWNER}
        services.stores.apps.update(app, collaborators=changed, events=[])

    done = at_once(2, transfer)
    assert sum(isinstance(each, ConflictError) for each in done) == 1
    found = services.stores.apps.get(app.id)
    assert found is not None
    assert list(found.collaborators.values()).count(Permission.OWNER) == 1


def test_an_impostor_with_anothers_address_for_a_name_gets_no_release(services: Services) -> None:
    boss = services.tokens.authenticate(services.accounts.create_user("boss@x.com").token)
    thief = services.tokens.authenticate(
        services.accounts.create_user("thief@x.com", name="boss@x.com").token
    )
    helper = services.tokens.authenticate(services.accounts.create_user("al@x.com").token)
    for owner in (boss, thief):
        services.apps.create(owner, "Pay")
        services.ownership.add_collaborator(owner, "Pay", "al@x.com")
    found = services.apps.get(helper, "boss@x.com:Pay")
    assert found.app.owner_id == boss.user.id
