"""Mends claims and indexes that were lost, from the records that they belong to."""

from collections.abc import Callable, Iterable
from typing import Any, cast

import orjson

from codepush.domain.ids import AppId, DeliveryId, OrganizationId, UserId, WebhookId
from codepush.domain.permissions import Role
from codepush.services.backups.references import UNREAD, Need
from codepush.services.backups.soundness import KINDS, kind_of
from codepush.services.backups.survey import OnGroup, Survey
from codepush.services.clock import Clock
from codepush.store import keys
from codepush.store.connection import StoreClient
from codepush.store.damage import UNREADABLE
from codepush.store.deployments import split_address
from codepush.store.entries import Entry
from codepush.store.groups import GroupReader
from codepush.store.stores import open_stores


class _Nobody:
    """Looks at the groups without keeping anything."""

    def group(self, _tag: str, entries: Iterable[Entry]) -> None:
        for _ in entries:
            pass


def mend(
    client: StoreClient,
    clock: Clock,
    on_group: OnGroup = lambda _done, _all: None,
    on_mended: Callable[[str], None] = lambda _what: None,
) -> int:
    """Enter records where they are missing; may run while the server works.

    A name that another record holds stays with that one, and a key of another type as it is.

    Args:
        client: Of the store; takes any bytes for text.
        clock: Tells the time.
        on_group: Told about each group of keys.
        on_mended: Told what was wrong, for each that was mended.

    Returns:
        How many were mended.
    """
    mending = _Mending(client, clock)
    mended = 0
    for need in Survey(GroupReader(client), clock).run(_Nobody(), on_group):
        if mending.enter(need):
            on_mended(need.what)
            mended += 1
    return mended


class _Mending:
    """Enters what is missing; each way of it says whether it did."""

    def __init__(self, client: StoreClient, clock: Clock):
        self._client = cast(Any, client)
        self._stores = open_stores(client)
        self._log = self._stores.delivery_log
        self._clock = clock
        self._ways: dict[str, Callable[[Need, keys.Place], bool]] = {
            "e:email": self._email,
            "n:organization-name": self._organization_name,
            "k:deployment-key": self._deployment_key,
            "o:app-names": self._app_name,
            **dict.fromkeys(("u:apps", "u:organizations", "users:all", "o:webhooks"), self._add),
            **dict.fromkeys(("o:logs", "o:webhook-queue", "jobs:webhooks"), self._add_by_time),
            **dict.fromkeys(("u:token-names", "a:deployments"), self._name),
            "t:token": self._token,
            "i:invitation": self._invitation,
            "o:members": self._owner,
            "o:w:*:queue": self._queue,
            "o:w:*:log": self._list,
            "o:webhook-head": self._head,
        }

    def enter(self, need: Need) -> bool:
        """Enter what is needed, if it can be known."""
        place = keys.place(need.key)
        kind = kind_of(place) if place else ""
        way = self._ways.get(kind)
        if way is None or place is None or need.field == UNREAD:
            return False
        if self._client.type(need.key) not in {"none", KINDS[kind].type}:
            return False
        try:
            return way(need, place)
        except UNREADABLE:  # what it would be made from was damaged, too
            return False

    # A claim of somebody whose record does not bear the name, or is gone, is taken over, as it is
    # by whoever wants the name anew.

    def _email(self, need: Need, _place: keys.Place) -> bool:
        users, user_id = self._stores.users, UserId(need.value)
        user = users.get(user_id)
        return user is not None and users.claim_email(user.email, user_id) is not None

    def _organization_name(self, need: Need, _place: keys.Place) -> bool:
        organizations, its_id = self._stores.organizations, OrganizationId(need.value)
        found = organizations.get(its_id)
        return found is not None and organizations.claim_name(found.name, its_id) is not None

    def _deployment_key(self, need: Need, _place: keys.Place) -> bool:
        deployments, address = self._stores.deployments, split_address(need.value)
        key = deployments.key_of(*address)
        return key is not None and deployments.claim_key(key, *address) is not None

    def _app_name(self, need: Need, place: keys.Place) -> bool:
        apps, app_id, home = self._stores.apps, AppId(need.value), OrganizationId(place.id)
        app = apps.get(app_id)
        return app is not None and apps.claim_name(home, app.name, app_id) is not None

    def _add(self, need: Need, _place: keys.Place) -> bool:
        return bool(self._client.sadd(need.key, need.field))

    def _add_by_time(self, need: Need, _place: keys.Place) -> bool:
        return bool(self._client.zadd(need.key, {need.field: self._clock()}, nx=True))

    def _name(self, need: Need, _place: keys.Place) -> bool:
        return bool(self._client.hsetnx(need.key, need.field, need.value))

    def _token(self, need: Need, _place: keys.Place) -> bool:
        user, _, token_id = need.value.partition("|")
        text = self._client.hget(keys.tokens(UserId(user)), token_id)
        return self._point(need, text)

    def _invitation(self, need: Need, _place: keys.Place) -> bool:
        organization, _, invitation_id = need.value.partition("|")
        text = self._client.hget(keys.invitations(OrganizationId(organization)), invitation_id)
        return self._point(need, text)

    def _point(self, need: Need, text: str | None) -> bool:
        left_ms = orjson.loads(text)["expires_at_ms"] - self._clock() if text else 0
        return left_ms > 0 and bool(self._client.set(need.key, need.value, px=left_ms, nx=True))

    def _owner(self, need: Need, place: keys.Place) -> bool:
        """Make somebody the owner of a personal organization that is theirs alone."""
        record = self._client.hgetall(keys.organization(OrganizationId(place.id)))
        if not need.field or record.get("is_personal") != "1":
            return False
        return bool(self._client.hsetnx(need.key, need.field, Role.OWNER.value))

    def _queue(self, need: Need, place: keys.Place) -> bool:
        organization_id, webhook_id = _webhook_at(place)
        wanted = DeliveryId(need.field)
        found = self._log.get_many(organization_id, webhook_id, [wanted]).get(wanted)
        if found is None or found.next_at_ms is None:
            return False
        due = found.next_at_ms
        self._client.zadd(need.key, {found.place: due}, nx=True)
        if self._client.hget(keys.webhook(organization_id, webhook_id), "disabled") == "":
            self._client.zadd(keys.webhook_queue(organization_id), {webhook_id: due}, lt=True)
        return True

    def _list(self, need: Need, place: keys.Place) -> bool:
        """List the deliveries of a webhook again."""
        organization_id, webhook_id = _webhook_at(place)
        pattern = keys.delivery(organization_id, webhook_id, DeliveryId("*"))
        ids = [DeliveryId(key.rpartition(":")[2]) for key in self._client.scan_iter(pattern)]
        found = self._log.get_many(organization_id, webhook_id, ids)
        made = {each.place: each.created_at_ms for each in found.values()}
        return bool(made) and bool(self._client.zadd(need.key, made, nx=True))

    def _head(self, need: Need, place: keys.Place) -> bool:
        """Begin after what is known to have been handed on; a delivery that is there stays one."""
        organization_id = OrganizationId(place.id)
        known = []
        for webhook_id in map(WebhookId, self._client.smembers(keys.webhooks(organization_id))):
            since = self._client.hget(keys.webhook(organization_id, webhook_id), "since")
            known.append(int(since or 0))
            log = keys.delivery_log(organization_id, webhook_id)
            newest = self._client.zrange(log, -_NEWEST, -1)
            known += [int(member.partition(".")[0]) for member in newest]
        return bool(known) and bool(self._client.set(need.key, str(max(known)), nx=True))


_NEWEST = 100
"""Deliveries of each webhook that are asked how far the events were handed on."""


def _webhook_at(place: keys.Place) -> tuple[OrganizationId, WebhookId]:
    return OrganizationId(place.id), WebhookId(place.name.split(":")[1])
