"""What every kind of key must hold to be read, and which of it can be.

A *kind* of key is ``a:d:*:releases``: what its tag begins with, and its name with a star for an id.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import orjson

from codepush.domain.events import decode_event
from codepush.domain.ids import (
    AppId,
    DeliveryId,
    DeploymentId,
    OrganizationId,
    PackageHash,
    TokenId,
    UserId,
    WebhookId,
)
from codepush.domain.permissions import Permission, Role
from codepush.domain.webhook_events import Notice, WebhookEvent
from codepush.store import keys
from codepush.store.apps import decode_app
from codepush.store.binaries import decode_binary
from codepush.store.damage import UNREADABLE, number_in, text_in, why
from codepush.store.delivery_log import decode_delivery, decode_notice, encode_notice
from codepush.store.deployments import decode_deployment
from codepush.store.entries import Entry
from codepush.store.organizations import decode_invitation, decode_organization
from codepush.store.packages import decode_diff, decode_prepared
from codepush.store.releases import decode_release
from codepush.store.tokens import decode_token
from codepush.store.users import decode_user
from codepush.store.webhooks import decode_webhook

_ANY_NOTICE, _ = encode_notice(Notice(next(iter(WebhookEvent)), {}, "", ""))
_IDS_BEHIND = {"d", "w", "notice", "once", "attempts", "tick"}

Record = Callable[[dict[str, str]], object]
Part = Callable[[str, Any], object]


@dataclass(frozen=True, slots=True)
class Kind:
    """What a key must be.

    Attributes:
        type: As Redis names it.
        record: Reads a hash whose fields mean something only together.
        part: Reads a field and its value, a member of a sorted set and its score, an entry of a
            stream, or an element and "". It raises one of ``UNREADABLE``.
    """

    type: str
    record: Record | None = None
    part: Part | None = None


def kind_of(place: keys.Place) -> str:
    """Return of which kind a key is."""
    words = place.name.split(":")
    named = ["*" if at and words[at - 1] in _IDS_BEHIND else each for at, each in enumerate(words)]
    return ":".join([place.kind, *named])


def sift(entry: Entry) -> tuple[Entry | None, list[str]]:
    """Return what can be read of an entry, None for nothing, and what is wrong with the rest.

    What is wrong is a sentence that names the key and, for a collection, the first such part of it.
    """
    place = keys.place(entry.key)
    kind = KINDS.get(kind_of(place)) if place else None
    if kind is None:
        return entry, []
    if entry.type != kind.type:
        return None, [f"The record {entry.key} is a {entry.type} and no {kind.type}."]
    if kind.record:
        try:
            kind.record(dict(zip(entry.items[::2], entry.items[1::2], strict=True)))
        except UNREADABLE as exc:
            return None, [f"The record {entry.key} cannot be read: {why(exc)}."]
    if kind.part is None:
        return entry, []
    items: list[Any] = []
    wrong: list[str] = []
    is_paired = kind.type in {"hash", "zset", "stream"}
    for name, content in _parts(entry, is_paired=is_paired):
        try:
            kind.part(name, content)
        except UNREADABLE as exc:
            wrong.append(f"{name!r} in the record {entry.key} cannot be read: {why(exc)}.")
        else:
            items += [name, content] if is_paired else [name]
    return (replace(entry, items=items) if wrong else entry), wrong[:1]


def _parts(entry: Entry, *, is_paired: bool) -> Iterator[tuple[str, Any]]:
    if is_paired:
        yield from zip(entry.items[::2], entry.items[1::2], strict=True)
    else:
        yield from ((item, "") for item in entry.items)


def _split(text: str, mark: str) -> None:
    before, found, after = text.partition(mark)
    if not (before and found and after):
        raise ValueError(text)


def _claim(_name: str, text: str) -> None:
    owner, _, since_ms = text.rpartition("|")
    if not owner or not since_ms.isdigit():
        raise ValueError(text)


def _deployment(record: dict[str, str]) -> None:
    decode_deployment(AppId(""), DeploymentId(""), record, None)
    int(record["label_seq"])
    int(record["latest"] or 0)


def _package(field: str, text: str) -> None:
    if "|" in field:
        decode_diff(text)
    else:
        decode_prepared(text)


def _device(_digest: str, text: str) -> None:
    _place, day, *lists = text.split("|")
    if len(lists) != 4:
        raise ValueError(text)
    int(day or 0)


def _change(field: str, text: str) -> None:
    when, _label, _counter = field.split("|")
    int(when[1:])
    int(text)


def _reasons(_label: str, text: str) -> None:
    for _reason, count, at_s in orjson.loads(text):
        int(count)
        int(at_s)


def _token(token_id: str, text: str) -> None:
    token = decode_token(UserId(""), TokenId(token_id), text)
    number_in(token.expires_at_ms)
    text_in(token.name)
    text_in(orjson.loads(text)["hash"])


def _invitation(invitation_id: str, text: str) -> None:
    number_in(decode_invitation(OrganizationId(""), invitation_id, text).expires_at_ms)
    text_in(orjson.loads(text).get("hash", ""))


def _head(field: str, text: str) -> None:
    if field in {"seq", "base"}:
        int(text)


def _event(_row: str, fields: list[str]) -> None:
    decode_event(dict(zip(fields[::2], fields[1::2], strict=True))["e"])


def _audit(row: str, fields: list[str]) -> None:
    int(row.partition("-")[0])
    written = dict(zip(fields[::2], fields[1::2], strict=True))
    _ = written["e"], written["h"], int(written.get("t", 0))


def _delivery(record: dict[str, str]) -> None:
    _ = record["notice"]
    decode_delivery(WebhookId(""), DeliveryId(""), record, _ANY_NOTICE)


def _notice(record: dict[str, str]) -> None:
    decode_notice(record["text"]).body.items()


def _webhook(record: dict[str, str]) -> None:
    for each in decode_webhook(OrganizationId(""), WebhookId(""), record).secrets:
        text_in(each)


_CLAIMS = Kind("hash", part=_claim)
_LOG = Kind("stream", part=_event)
_PLACES = Kind("zset", part=lambda member, _score: _split(member, "~"))
_POINTER = Kind("string", part=lambda text, _: _split(text, "|"))

KINDS = {
    "u:user": Kind("hash", record=lambda record: decode_user(UserId(""), record)),
    "u:organizations": Kind("set"),
    "u:apps": Kind("set"),
    "u:tokens": Kind("hash", part=_token),
    "u:token-names": Kind("hash"),
    "t:token": _POINTER,
    "o:organization": Kind(
        "hash", record=lambda record: decode_organization(OrganizationId(""), record)
    ),
    "o:members": Kind("hash", part=lambda _user, role: Role(role)),
    "o:app-names": _CLAIMS,
    "o:log": _LOG,
    "o:logs": Kind("zset"),
    "o:audit": Kind("stream", part=_audit),
    "o:audit-head": Kind("hash", part=_head),
    "o:invitations": Kind("hash", part=_invitation),
    "o:webhooks": Kind("set"),
    "o:w:*": Kind("hash", record=_webhook),
    "o:w:*:queue": _PLACES,
    "o:w:*:log": _PLACES,
    "o:w:*:d:*": Kind("hash", record=_delivery),
    "o:notice:*": Kind("hash", record=_notice),
    "o:webhook-queue": Kind("zset"),
    "o:webhook-head": Kind("string", part=lambda text, _: int(text)),
    "a:app": Kind("hash", record=lambda record: decode_app(AppId(""), record, {}, {})),
    "a:collaborators": Kind("hash", part=lambda _user, held: Permission(int(held))),
    "a:deployments": Kind("hash"),
    "a:packages": Kind("hash", part=_package),
    "a:binaries": Kind("hash", part=lambda base, text: decode_binary(PackageHash(base), text)),
    "a:d:*": Kind("hash", record=_deployment),
    "a:d:*:releases": Kind("hash", part=lambda number, text: decode_release(int(number), text)),
    "a:d:*:counts": Kind("hash", part=lambda _counter, text: int(text)),
    "a:d:*:devices": Kind("hash", part=_device),
    "a:d:*:series": Kind("hash", part=_change),
    "a:d:*:failures": Kind("hash", part=_reasons),
    "a:log": _LOG,
    "a:once:*": Kind("string"),
    "i:invitation": _POINTER,
    "e:email": _CLAIMS,
    "e:attempts:*": Kind("zset"),
    "e:attempts": Kind("zset"),
    "e:known-networks": Kind("zset"),
    "q:attempts": Kind("zset"),
    "n:organization-name": _CLAIMS,
    "k:deployment-key": _CLAIMS,
    "users:all": Kind("set"),
    "users:welcomed": Kind("string"),
    "jobs:webhooks": Kind("zset"),
    "jobs:outcomes": Kind("hash", part=lambda _outcome, text: int(text)),
    "jobs:counts": Kind("hash", part=lambda _counter, text: float(text)),
}
"""All that may be in a backup."""
