"""What mends each kind of key, for operators."""

from dataclasses import dataclass

from codepush.services.backups.references import UNREAD, Need
from codepush.services.backups.soundness import kind_of
from codepush.store import keys


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not sound.

    Attributes:
        what: What is wrong, as a sentence.
        remedy: What would mend it, as a sentence.
    """

    what: str
    remedy: str


_ENTERS = "codepush repair enters it, unless another record holds it by right."
_RESTORE = "Restore it from a backup."
_METRICS = "Clear the metrics of the deployment; devices report again."
_PASSING = "It may be removed with DEL; nothing but a count or a short memory is lost."
_CHAIN = "Nothing mends it; compare it with a backup."
_EVENTS = "The next event begins it anew; what was not in the audit log yet is lost."

DERIVED = frozenset(
    {
        *("e:email", "n:organization-name", "k:deployment-key", "o:app-names"),
        *("u:apps", "u:organizations", "u:token-names", "users:all", "t:token", "i:invitation"),
        *("a:deployments", "o:logs", "o:webhooks", "o:webhook-queue", "o:webhook-head"),
        *("o:w:*:queue", "o:w:*:log", "jobs:webhooks", "a:packages"),
    }
)
"""Kinds of keys that ``codepush repair`` can make anew from others."""

_MISSING = {
    **dict.fromkeys(DERIVED, _ENTERS),
    "a:packages": "codepush repair has a worker look into the package again.",
    "o:members": "codepush repair enters the owner of a personal organization. For any other,"
    " restore it from a backup; where it has no members at all, who is made with codepush user"
    " create --organization becomes its owner and can invite the others.",
    "u:tokens": "Restore it from a backup, or make another with codepush token create.",
    "a:collaborators": "Restore it from a backup; until then the owners of its organization can"
    " manage it and add them.",
    "a:d:*": "Restore the app from a backup, or remove the deployment.",
    "o:w:*": "Restore it from a backup, or make the webhook anew.",
    "o:w:*:d:*": "Nothing mends it, and it is not delivered; the audit log tells what happened.",
    "o:notice:*": "Nothing mends it, and it is not delivered; the audit log tells what happened.",
    "a:log": _EVENTS,
    "o:log": _EVENTS,
}
_UNREAD = {
    **dict.fromkeys(("a:d:*:counts", "a:d:*:devices", "a:d:*:series", "a:d:*:failures"), _METRICS),
    **dict.fromkeys(
        ("jobs:outcomes", "jobs:counts", "a:once:*", "e:known-networks", "users:welcomed"), _PASSING
    ),
    **dict.fromkeys(("e:attempts", "e:attempts:*", "q:attempts"), _PASSING),
    **dict.fromkeys(("o:audit", "o:audit-head"), _CHAIN),
}


def remedy(need: Need) -> str:
    """Return what would mend an unmet need, as a sentence."""
    place = keys.place(need.key)
    kind = kind_of(place) if place else ""
    if need.field != UNREAD:
        return _MISSING.get(kind, _RESTORE)
    if kind in DERIVED:
        return (
            "Run codepush repair; where that does not help, remove the record (DEL, with redis-cli)"
            " and run it again."
        )
    return _UNREAD.get(kind, _RESTORE)
