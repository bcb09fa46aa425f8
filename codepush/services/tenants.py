"""Walks over all tenants, for housekeeping."""

import contextlib
import logging
from collections.abc import Iterator

import redis

from codepush.domain.ids import OrganizationId
from codepush.domain.models import App
from codepush.store.connection import is_outage
from codepush.store.damage import UNREADABLE, UnreadableError
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
        if isinstance(exc, UnreadableError):
            log.warning("%s is left out until it is mended: %s", what, exc)
        else:
            log.exception("%s is left out until it is mended", what)


def every_organization(stores: Stores) -> set[OrganizationId]:
    """Return the ids of all organizations, and of some that never came to be.

    From indexes alone, so that the record of a user who is their only member may be damaged.
    """
    organizations: set[OrganizationId] = set()
    for user_id in stores.users.ids():
        with contained(f"The user {user_id}"):
            organizations.update(stores.organizations.joined(user_id))
    return organizations


def every_app(stores: Stores) -> Iterator[App]:
    """Yield all apps whose records can be read."""
    for organization_id in every_organization(stores):
        with contained(f"The organization {organization_id}"):
            for app_id in stores.apps.ids_of(organization_id):
                with contained(f"The app {app_id}"):
                    app = stores.apps.get(app_id)
                    if app and app.organization_id == organization_id:
                        yield app
