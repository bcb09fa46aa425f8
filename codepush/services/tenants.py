"""Walks over all tenants, for housekeeping."""

import contextlib
import logging
from collections.abc import Iterator

import redis

from codepush.domain.ids import OrganizationId
from codepush.domain.models import App
from codepush.store.connection import is_outage
from codepush.store.damage import UNREADABLE
from codepush.store.stores import Stores

log = logging.getLogger("codepush.damage")


@contextlib.contextmanager
def contained(what: str) -> Iterator[None]:
    """Keep what a damaged record breaks to the one tenant or thing that the block is about.

    It is logged, and the rest of the block is left out, so that all others have their turn.

    Args:
        what: What the block is about, for operators.

    Raises:
        RedisError: The store is away or full, which is so for all.
    """
    try:
        yield
    except (*UNREADABLE, redis.ResponseError) as exc:
        if is_outage(exc):
            raise
        log.exception("%s is left out of housekeeping until its data is mended", what)


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
