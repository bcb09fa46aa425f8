"""Backups of organizations that make deliveries all the time."""

import itertools
from typing import Any

import pytest

from codepush.domain.models import Principal
from codepush.services.container import Services
from codepush.services.handing_on import HandingOn
from codepush.services.webhooks import WebhookChanges
from codepush.store import groups, keys
from codepush.store.connection import StoreClient, connect
from codepush.store.delivery_log import id_in
from codepush.store.groups import GroupReader, GroupWriter
from tests.conftest import FakeClock

_NUMBERS = itertools.count()


@pytest.mark.parametrize("most_at_once", [10_000, 0], ids=["small", "large"])
def test_a_log_is_read_with_all_deliveries_that_it_names(
    most_at_once: int,
    services: Services,
    principal: Principal,
    clock: FakeClock,
    redis: StoreClient,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They come into the backup although their keys are younger than the search for keys."""
    monkeypatch.setattr(groups, "_MOST_AT_ONCE", most_at_once)
    organization_id = principal.user.organization_id
    shown, _ = services.webhooks.create(principal, WebhookChanges(url="https://example.com/"))
    handing_on = HandingOn(services.stores, clock)

    def happen(count: int) -> None:
        for _ in range(count):
            services.apps.create(principal, f"More{next(_NUMBERS)}", deployments=())
        handing_on.keep_up(organization_id)

    happen(3)
    client: Any = connect(redis_url, any_bytes=True)
    reader = GroupReader(client)
    tag = f"o:{organization_id}"
    found = [key for key in reader.find() if (place := keys.place(key)) and place.tag == tag]
    happen(700)
    entries = list(reader.read(tag, found))
    held = [entry.key for entry in entries]
    log = keys.delivery_log(organization_id, shown.webhook.id)
    members = [m for entry in entries if entry.key == log for m in entry.items[::2]]
    assert len(members) == 703
    named = [keys.delivery(organization_id, shown.webhook.id, id_in(each)) for each in members]
    assert set(named) <= set(held)
    assert all(held.count(each) == 1 for each in named[::50])

    # Restored, each of them can be shown.
    redis.flushall()  # type: ignore[attr-defined]
    GroupWriter(client).write(entries)
    ids = [id_in(each) for each in members]
    restored = services.stores.delivery_log.get_many(organization_id, shown.webhook.id, ids)
    assert list(restored) == ids
    client.close()
