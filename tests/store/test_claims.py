"""A crash between the claim of a name and the commit leaves a name that frees itself."""

import pytest

from codepush.domain.errors import ConflictError, StoreUnavailableError
from codepush.domain.events import Action, Actor, Event
from codepush.domain.ids import (
    AppId,
    DeploymentId,
    DeploymentKey,
    OrganizationId,
    TokenId,
    UserId,
    new_id,
)
from codepush.domain.models import App, Organization, Principal
from codepush.domain.permissions import Role
from codepush.services.container import Services
from codepush.store import claims, keys
from codepush.store.claims import Claim, Claims
from codepush.store.connection import StoreClient
from codepush.store.scripts import Scripts


@pytest.fixture
def names(redis: StoreClient) -> Claims:
    return Claims(redis, Scripts(redis))


@pytest.fixture
def principal(services: Services) -> Principal:
    made = services.accounts.create_user("alice@example.com")
    return services.tokens.authenticate(made.token)


def nobody(holder: str) -> bool:
    return False


def an_event() -> Event:
    actor = Actor(UserId("u"), "alice@example.com", TokenId("t"), "token", "127.0.0.1")
    return Event(new_id(), Action.APP_CREATED, 1, OrganizationId("o"), actor)


def age(redis: StoreClient, key: str, field: str) -> None:
    """Make a claim as old as one that a crash left behind."""
    held = redis.hget(key, field)
    assert held is not None
    owner, _, since = held.rpartition("|")
    redis.hset(key, field, f"{owner}|{int(since) - claims.TAKEOVER_AFTER_MS - 1}")


def test_a_fresh_claim_is_not_taken_over_even_if_nothing_bears_the_name(names: Claims) -> None:
    assert names.take("k", "f", "first", bears=nobody)
    assert names.take("k", "f", "second", bears=nobody) is None
    assert names.holder("k", "f") == "first"


def test_claiming_again_for_the_same_owner_succeeds(names: Claims) -> None:
    assert names.take("k", "f", "first", bears=nobody)
    assert names.take("k", "f", "first", bears=nobody)


def test_an_old_claim_is_taken_over_only_if_nothing_bears_the_name(
    names: Claims, redis: StoreClient
) -> None:
    names.take("k", "f", "first", bears=nobody)
    age(redis, "k", "f")
    assert names.take("k", "f", "second", bears=lambda holder: holder == "first") is None
    assert names.take("k", "f", "second", bears=nobody)
    assert names.holder("k", "f") == "second"


def test_giving_back_frees_the_name_of_its_owner_only(names: Claims) -> None:
    names.take("k", "f", "first", bears=nobody)
    assert names.held("k", "f", "second") == ""
    names.give_back("k", "f", "")
    names.give_back("k", "f", "first|1")
    assert names.holder("k", "f") == "first"
    names.give_back("k", "f", names.held("k", "f", "first"))
    assert names.holder("k", "f") is None


def test_owners_with_a_bar_in_their_ids_are_kept_apart(names: Claims) -> None:
    names.take("k", "f", "a|1", bears=nobody)
    assert names.holder("k", "f") == "a|1"


def test_a_commit_after_the_deadline_is_refused_and_writes_nothing(
    services: Services, principal: Principal, redis: StoreClient
) -> None:
    app = App(AppId("late"), principal.organization_id, "App", None, None, 1)
    with pytest.raises(StoreUnavailableError, match="too slow"):
        services.stores.apps.create(app, [], 1, event=an_event())
    assert services.stores.apps.get(app.id) is None


def test_a_name_left_by_a_crash_before_the_commit_can_be_used_after_a_minute(
    services: Services, principal: Principal, redis: StoreClient
) -> None:
    organization = principal.organization_id
    assert services.stores.apps.claim_name(organization, "App", AppId("crashed"))
    with pytest.raises(ConflictError):
        services.apps.create(principal, "App")
    assert services.apps.list_for(principal) == []
    age(redis, keys.app_names(organization), "app")
    made = services.apps.create(principal, "App")
    assert [listed.app.id for listed in services.apps.list_for(principal)] == [made.id]


def test_a_crash_in_the_middle_of_a_rename_leaves_one_app_of_one_name(
    services: Services, principal: Principal, redis: StoreClient
) -> None:
    made = services.apps.create(principal, "Old")
    services.stores.apps.claim_name(principal.organization_id, "New", made.id)
    assert [listed.app.name for listed in services.apps.list_for(principal)] == ["Old"]
    services.stores.apps.update(made, name="New", events=[])  # and the old name is not given back
    assert [listed.app.name for listed in services.apps.list_for(principal)] == ["New"]
    age(redis, keys.app_names(principal.organization_id), "old")
    services.apps.create(principal, "Old")
    names = [listed.app.name for listed in services.apps.list_for(principal)]
    assert names == ["New", "Old"]


def test_a_deployment_key_left_by_a_crash_can_be_used_after_a_minute(
    services: Services, principal: Principal, redis: StoreClient
) -> None:
    services.apps.create(principal, "App")
    key = DeploymentKey("key-of-a-crash")
    claim = services.stores.deployments.claim_key(key, AppId("a"), DeploymentId("d"))
    assert isinstance(claim, Claim)
    with pytest.raises(ConflictError):
        services.deployments.create(principal, "App", "Beta", key=key)
    age(redis, keys.deployment_key(key), "deployment")
    assert services.deployments.create(principal, "App", "Beta", key=key).key == key


def test_an_address_left_by_a_crash_can_be_registered_after_a_minute(
    services: Services, redis: StoreClient
) -> None:
    services.stores.users.claim_email("bob@example.com", UserId("crashed"))
    with pytest.raises(ConflictError):
        services.accounts.create_user("bob@example.com")
    assert services.stores.users.find("bob@example.com") is None
    age(redis, keys.email("bob@example.com"), "user")
    assert services.accounts.create_user("BOB@example.com").user.email == "BOB@example.com"


def test_an_organization_whose_first_owner_never_came_to_be_gets_an_owner(
    services: Services,
) -> None:
    made = Organization(OrganizationId("o"), "Acme", is_personal=False, created_at_ms=1)
    claim = services.stores.organizations.claim_name("Acme", made.id)
    assert claim is not None
    services.stores.organizations.create(made, UserId("never"), claim.deadline_ms)
    joined = services.accounts.create_user("carol@example.com", organization="acme")
    role = services.stores.organizations.role(joined.organization.id, joined.user.id)
    assert role is Role.OWNER
