"""What must be there besides each kind of key, once no write is under way."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from codepush.domain.ids import (
    AppId,
    DeliveryId,
    DeploymentId,
    DeploymentKey,
    OrganizationId,
    TokenHash,
    UserId,
    WebhookId,
)
from codepush.domain.names import fold
from codepush.services.backups.references import Need, pairs
from codepush.services.backups.soundness import kind_of
from codepush.store import keys
from codepush.store.audit import OWN
from codepush.store.deliveries import KEPT_S
from codepush.store.delivery_log import id_in
from codepush.store.entries import Entry

_DAY_MS = 86_400_000
_YOUNG_MS = KEPT_S * 1_000 - _DAY_MS
"""Age of a delivery at which it and what it tells are surely there; they go by themselves later."""
_SETTLED_MS = 60_000
"""A delivery that was made later may leave a full log just while that is looked at."""
_SOON_MS = 60_000
"""What expires within this time may be gone already."""


@dataclass(frozen=True, slots=True)
class _Looked:
    """A key that is looked at, and when."""

    entry: Entry
    place: keys.Place
    now_ms: int

    @property
    def id(self) -> str:
        return self.place.id

    def fields(self) -> dict[str, Any]:
        return dict(pairs(self.entry))

    def need(self, key: str, what: str, field: str = "", value: str = "", where: str = "") -> Need:
        key.encode()  # raises ValueError for what was no text in the store
        if keys.place(key) is None:
            raise ValueError(f"it names {key!r}, which can be no key")
        return Need(self.place.tag, key, field, value, where, what)


def needs_of(entry: Entry, now_ms: int) -> Iterator[Need]:
    """Yield what an entry that can be read needs."""
    place = keys.place(entry.key)
    needs = _NEEDS.get(kind_of(place)) if place else None
    if place and needs:
        yield from needs(_Looked(entry, place, now_ms))


def _user(at: _Looked) -> Iterator[Need]:
    user = at.fields()
    home, email = OrganizationId(user["organization_id"]), user["email"]
    yield at.need(keys.organization(home), f"The organization of user {email} is missing.")
    yield at.need(keys.email(email), f"The address of user {email} is not theirs.", "user", at.id)
    yield at.need(keys.USERS, f"The list of users lacks {email}.", at.id)
    what = f"The user {email} is no member of their own organization {home}."
    yield at.need(keys.members(home), what, at.id)


def _of_user(at: _Looked) -> Iterator[Need]:
    yield at.need(keys.user(UserId(at.id)), f"The record of user {at.id} is missing.")


def _tokens(at: _Looked) -> Iterator[Need]:
    yield from _of_user(at)
    for token_id, text in pairs(at.entry):
        token = orjson.loads(text)
        name = token["name"]
        what = f"The name of token {name!r} of user {at.id} is not its own."
        yield at.need(keys.token_names(UserId(at.id)), what, name, token_id)
        if token["expires_at_ms"] > at.now_ms:
            what = f"The token {name!r} of user {at.id} is not found."
            yield at.need(keys.token(TokenHash(token["hash"])), what, "", f"{at.id}|{token_id}")


def _token_names(at: _Looked) -> Iterator[Need]:
    yield from _of_user(at)
    for name, token_id in pairs(at.entry):
        what = f"The token {name!r} of user {at.id} is missing."
        yield at.need(keys.tokens(UserId(at.id)), what, token_id)


def _organization(at: _Looked) -> Iterator[Need]:
    organization = at.fields()
    identity, name = OrganizationId(at.id), organization["name"]
    if organization["is_personal"] == "1":
        return  # made without a name or an event; its owner needs to be a member
    what = f"The name of organization {name!r} is not its own."
    yield at.need(keys.organization_name(fold(name)), what, "organization", at.id)
    yield at.need(keys.members(identity), f"The organization {name!r} has no members.")
    yield from _own_log(at)


def _own_log(at: _Looked) -> Iterator[Need]:
    what = f"The log of organization {at.id} is missing."
    yield at.need(keys.organization_log(OrganizationId(at.id)), what)


def _audit_head(at: _Looked) -> Iterator[Need]:
    if OWN in at.entry.items[::2]:
        yield from _own_log(at)


def _members(at: _Looked) -> Iterator[Need]:
    organization_id = OrganizationId(at.id)
    what = f"The record of organization {at.id} is missing."
    yield at.need(keys.organization(organization_id), what)
    for user in at.entry.items[::2]:
        what = f"The organizations of user {user} lack {at.id}."
        # A member may be a user who never came to be.
        index = keys.user_organizations(UserId(user))
        yield at.need(index, what, at.id, where=keys.user(UserId(user)))


def _invitations(at: _Looked) -> Iterator[Need]:
    for invitation_id, text in pairs(at.entry):
        invitation = orjson.loads(text)
        if invitation.get("hash") and invitation["expires_at_ms"] > at.now_ms + _SOON_MS:
            what = f"The invitation {invitation_id} of organization {at.id} is not found."
            index = keys.invitation(TokenHash(invitation["hash"]))
            yield at.need(index, what, "", f"{at.id}|{invitation_id}")


def _webhooks(at: _Looked) -> Iterator[Need]:
    organization_id = OrganizationId(at.id)
    what = f"The webhooks of organization {at.id} are not on the agenda, so nobody calls them."
    yield at.need(keys.WEBHOOK_AGENDA, what, at.id)
    what = f"Nobody knows what the webhooks of organization {at.id} were told, or tells them more."
    yield at.need(keys.webhook_head(organization_id), what)
    for webhook_id in at.entry.items:
        what = f"The record of webhook {webhook_id} of organization {at.id} is missing."
        yield at.need(keys.webhook(organization_id, WebhookId(webhook_id)), what)


def _webhook(at: _Looked) -> Iterator[Need]:
    organization_id, webhook_id = OrganizationId(at.id), WebhookId(at.place.name.split(":")[1])
    who = f"The webhook {webhook_id} of organization {at.id}"
    yield at.need(keys.webhooks(organization_id), f"{who} is not listed.", webhook_id)
    if not at.fields()["disabled"]:
        # A queue without members is no key.
        queue = keys.queue(organization_id, webhook_id)
        index = keys.webhook_queue(organization_id)
        yield at.need(index, f"{who} has deliveries that nobody makes.", webhook_id, where=queue)


def _delivery_log(at: _Looked) -> Iterator[Need]:
    organization_id, webhook_id = OrganizationId(at.id), WebhookId(at.place.name.split(":")[1])
    webhook = keys.webhook(organization_id, webhook_id)
    for member, made_ms in pairs(at.entry):
        if at.now_ms - _YOUNG_MS < float(made_ms) < at.now_ms - _SETTLED_MS:
            delivery_id = id_in(member)
            what = f"The delivery {delivery_id} of webhook {webhook_id} is missing."
            key = keys.delivery(organization_id, webhook_id, delivery_id)
            yield at.need(key, what, where=webhook)


def _delivery(at: _Looked) -> Iterator[Need]:
    _, webhook, _, delivery = at.place.name.split(":")
    organization_id, webhook_id = OrganizationId(at.id), WebhookId(webhook)
    delivery_id = DeliveryId(delivery)
    record, where = at.fields(), keys.webhook(organization_id, webhook_id)
    if record["next_at_ms"]:
        what = f"The delivery {delivery_id} of webhook {webhook_id} waits in no queue."
        yield at.need(keys.queue(organization_id, webhook_id), what, delivery_id, where=where)
    if int(record["created_at_ms"]) > at.now_ms - _YOUNG_MS:
        what = f"The list of deliveries of webhook {webhook_id} is missing."
        yield at.need(keys.delivery_log(organization_id, webhook_id), what, where=where)
        what = f"What the delivery {delivery_id} of webhook {webhook_id} tells is missing."
        yield at.need(keys.notice(organization_id, record["notice"]), what, where=where)


def _app(at: _Looked) -> Iterator[Need]:
    app = at.fields()
    owner, name, app_id = OrganizationId(app["organization_id"]), app["name"], AppId(at.id)
    yield at.need(keys.organization(owner), f"The organization of app {name!r} is missing.")
    what = f"The name of app {name!r} is not its own."
    yield at.need(keys.app_names(owner), what, fold(name), at.id)
    what = f"The audit log of organization {owner} does not look at app {name!r}."
    yield at.need(keys.organization_logs(owner), what, at.id)
    yield at.need(keys.collaborators(app_id), f"The app {name!r} has no collaborators.")
    yield at.need(keys.app_log(app_id), f"The log of app {name!r} is missing.")


def _of_app(at: _Looked) -> Iterator[Need]:
    yield at.need(keys.app(AppId(at.id)), f"The record of app {at.id} is missing.")


def _collaborators(at: _Looked) -> Iterator[Need]:
    yield from _of_app(at)
    for user in at.entry.items[::2]:
        what = f"The apps of user {user} lack app {at.id}."
        yield at.need(keys.user_apps(UserId(user)), what, at.id)
        yield at.need(keys.user(UserId(user)), f"The record of user {user} is missing.")


def _deployments(at: _Looked) -> Iterator[Need]:
    yield from _of_app(at)
    for name, deployment_id in pairs(at.entry):
        what = f"The app {at.id} names a deployment {name!r} that has no record."
        yield at.need(keys.deployment(AppId(at.id), DeploymentId(deployment_id)), what)


def _deployment(at: _Looked) -> Iterator[Need]:
    yield from _of_app(at)
    deployment, deployment_id = at.fields(), at.place.name.split(":")[1]
    name = deployment["name"]
    what = f"The key of deployment {name!r} of app {at.id} leads elsewhere."
    key = keys.deployment_key(DeploymentKey(deployment["key"]))
    yield at.need(key, what, "deployment", f"{at.id}/{deployment_id}")
    what = f"The app {at.id} does not list its deployment {name!r}."
    yield at.need(keys.deployments(AppId(at.id)), what, name, deployment_id)


def _releases(at: _Looked) -> Iterator[Need]:
    for _, text in pairs(at.entry):
        release = orjson.loads(text)
        if release.get("served"):
            blob = release["blob_key"]
            what = f"What was made of the package {blob} is not noted."
            yield at.need(keys.packages(AppId(at.id)), what, blob)


_NEEDS: dict[str, Callable[[_Looked], Iterator[Need]]] = {
    "u:user": _user,
    "u:apps": _of_user,
    "u:tokens": _tokens,
    "u:token-names": _token_names,
    "o:organization": _organization,
    "o:members": _members,
    "o:audit-head": _audit_head,
    "o:invitations": _invitations,
    "o:webhooks": _webhooks,
    "o:w:*": _webhook,
    "o:w:*:log": _delivery_log,
    "o:w:*:d:*": _delivery,
    "a:app": _app,
    "a:collaborators": _collaborators,
    "a:deployments": _deployments,
    "a:packages": _of_app,
    "a:binaries": _of_app,
    "a:d:*": _deployment,
    "a:d:*:releases": _releases,
}
