"""Deliveries that were made after the keys of their organization had been looked for.

A busy organization makes some each second, so to look again until there are none would never end.
"""

from collections.abc import Callable, Container, Iterable, Iterator

from codepush.domain.ids import OrganizationId, WebhookId
from codepush.store import keys
from codepush.store.delivery_log import id_in
from codepush.store.entries import Entry


def with_late_deliveries(
    entries: Iterable[Entry],
    known: Container[str],
    read: Callable[[list[str]], Iterator[Entry]],
) -> Iterator[Entry]:
    """Yield the entries of an organization, then deliveries that its logs name, and what they tell.

    They are read a moment later than the logs; one that left its log meanwhile is not there.

    Args:
        entries: Of one organization.
        known: Keys that were looked for.
        read: Returns what some keys hold.
    """
    deliveries: dict[str, None] = {}
    organization_id = OrganizationId("")
    for entry in entries:
        found = keys.place(entry.key)
        parts = found.name.split(":") if found else []
        if found and entry.type == "zset" and parts[0] == "w" and parts[-1] == "log":
            organization_id = OrganizationId(found.id)
            named = (
                keys.delivery(organization_id, WebhookId(parts[1]), id_in(member))
                for member in entry.items[::2]
            )
            deliveries.update((key, None) for key in named if key not in known)
        yield entry
    notices: dict[str, None] = {}
    for entry in read(list(deliveries)):
        if entry.type == "hash":
            digest = dict(zip(entry.items[::2], entry.items[1::2], strict=True)).get("notice", "")
            notices[keys.notice(organization_id, digest)] = None
        yield entry
    yield from read([key for key in notices if key not in known])
