"""Walks over all tenants, for housekeeping."""

from collections.abc import Iterator

from codepush.domain.ids import OrganizationId
from codepush.domain.models import App
from codepush.store.stores import Stores


def every_organization(stores: Stores) -> set[OrganizationId]:
    """Return the ids of all organizations."""
    users = stores.users.list_all()
    organizations = {user.organization_id for user in users}
    for user in users:
        organizations.update(stores.organizations.joined(user.id))
    return organizations


def every_app(stores: Stores) -> Iterator[App]:
    """Yield all apps."""
    for organization_id in every_organization(stores):
        yield from stores.apps.list_of(organization_id)
