"""What records of one group need in another: the claims on their names, and their indexes.

Scripts see one group only, so these are kept true by the order of writes (``store/claims.py``).
What must hold once no write is under way is in ``needs.py``.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from codepush.services.backups.soundness import kind_of
from codepush.store import keys
from codepush.store.claims import owner_in
from codepush.store.delivery_log import id_in
from codepush.store.entries import Entry

UNREAD = "\0"
"""Field of what nothing ever meets: the key holds something that cannot be read."""


@dataclass(frozen=True, slots=True)
class Need:
    """What must be held elsewhere.

    Attributes:
        tag: Group that needs it.
        key: Where it must be held.
        field: Field of a hash, member of a set or of a sorted set, "" for the key, or ``UNREAD``.
        value: Whom the field must name, or "".
        where: Key that must exist for the need to be one; "" for always.
        what: Sentence about it where it is missing.
    """

    tag: str
    key: str
    field: str
    value: str
    where: str
    what: str


Held = tuple[str, str, str]
"""Key, field and value as a need names them."""

_CLAIMS = {"o:app-names", "n:organization-name", "k:deployment-key", "e:email"}
_POINTERS = {"t:token", "i:invitation"}
_NAMES = {"u:token-names", "a:deployments"}
_FIELDS = {"u:tokens", "o:members"}
_SETS = {"u:apps", "u:organizations", "users:all", "o:webhooks"}
_SORTED_SETS = {"o:logs", "o:webhook-queue", "jobs:webhooks"}


def held_in(entry: Entry) -> Iterator[Held]:
    """Yield what an entry that can be read holds that others may need."""
    key, items = entry.key, entry.items
    place = keys.place(key)
    kind = kind_of(place) if place else ""
    if kind in _POINTERS:
        yield key, "", items[0]
        return
    if entry.is_first:
        yield key, "", ""
    if kind in _CLAIMS:
        yield from ((key, name, owner_in(claim)) for name, claim in pairs(entry))
    elif kind in _NAMES:
        yield from ((key, name, named) for name, named in pairs(entry))
    elif kind in _FIELDS or kind in _SORTED_SETS:
        yield from ((key, field, "") for field in items[::2])
    elif kind in _SETS:
        yield from ((key, member, "") for member in items)
    elif kind == "a:packages":
        yield from ((key, field, "") for field in items[::2] if "|" not in field)
    elif kind == "o:w:*:queue":
        yield from ((key, id_in(member), "") for member in items[::2])


def pairs(entry: Entry) -> Iterator[tuple[str, Any]]:
    """Yield fields and values, members and scores, or ids and rows."""
    return zip(entry.items[::2], entry.items[1::2], strict=True)
