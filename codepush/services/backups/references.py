"""What records of one group need in another: the claims on their names, and their indexes.

Scripts see one group only, so these are kept true by the order of writes (``store/claims.py``).
Here is what must hold once no write is under way.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from codepush.domain.ids import DeploymentKey, OrganizationId, TokenHash, UserId
from codepush.domain.names import fold
from codepush.store import keys
from codepush.store.claims import owner_in
from codepush.store.groups import Entry


@dataclass(frozen=True, slots=True)
class Need:
    """What must be held elsewhere.

    Attributes:
        tag: Group that needs it.
        key: Where it must be held.
        field: Field of a hash, member of a set, or "".
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


def needs_of(entry: Entry, now_ms: int) -> Iterator[Need]:
    """Yield what an entry needs."""
    place = keys.place(entry.key)
    if place is None:
        return

    def need(key: str, what: str, field: str = "", value: str = "", where: str = "") -> Need:
        return Need(place.tag, key, field, value, where, what)

    match place.kind, place.name:
        case "a", "app":
            app = _fields(entry)
            owner, name = OrganizationId(app["organization_id"]), app["name"]
            yield need(keys.organization(owner), f"The organization of app {name!r} is missing.")
            yield need(
                keys.app_names(owner),
                f"The name of app {name!r} is not its own.",
                fold(name),
                place.id,
            )
        case "a", "collaborators":
            for user in entry.items[::2]:
                what = f"The apps of user {user} lack app {place.id}."
                yield need(keys.user_apps(UserId(user)), what, place.id)
        case "a", name if name.startswith("d:") and name.count(":") == 1:
            deployment = _fields(entry)
            yield need(
                keys.deployment_key(DeploymentKey(deployment["key"])),
                f"The key of deployment {deployment['name']!r} of app {place.id} leads elsewhere.",
                "deployment",
                f"{place.id}/{name.removeprefix('d:')}",
            )
        case "u", "user":
            user = _fields(entry)
            home, email = OrganizationId(user["organization_id"]), user["email"]
            yield need(keys.organization(home), f"The organization of user {email} is missing.")
            yield need(
                keys.email(email), f"The address of user {email} is not theirs.", "user", place.id
            )
            yield need(keys.USERS, f"The list of users lacks {email}.", place.id)
        case "u", "tokens":
            for token_id, text in _pairs(entry):
                token = orjson.loads(text)
                if token["expires_at_ms"] > now_ms:
                    what = f"The token {token['name']!r} of user {place.id} is not found."
                    at = keys.token(TokenHash(token["hash"]))
                    yield need(at, what, "", f"{place.id}|{token_id}")
        case "o", "organization":
            organization = _fields(entry)
            name = organization["name"]
            if organization["is_personal"] != "1":
                what = f"The name of organization {name!r} is not its own."
                yield need(keys.organization_name(fold(name)), what, "organization", place.id)
        case "o", "members":
            for user in entry.items[::2]:
                what = f"The organizations of user {user} lack {place.id}."
                at = keys.user_organizations(UserId(user))
                # A member may be a user who never came to be.
                yield need(at, what, place.id, where=keys.user(UserId(user)))


def held_in(entry: Entry) -> Iterator[Held]:
    """Yield what an entry holds that others may need."""
    place = keys.place(entry.key)
    if place is None:
        return
    match place.kind, place.name:
        case ("o", "app-names") | (
            "n" | "k" | "e",
            "organization-name" | "deployment-key" | "email",
        ):
            for field, claim in _pairs(entry):
                yield entry.key, field, owner_in(claim)
        case "t", "token":
            yield entry.key, "", entry.items[0]
        case ("u", "apps" | "organizations") | ("users", "all"):
            for member in entry.items:
                yield entry.key, member, ""
        case ("o", "organization") | ("u", "user"):
            yield entry.key, "", ""


def _pairs(entry: Entry) -> Iterator[tuple[str, str]]:
    return zip(entry.items[::2], entry.items[1::2], strict=True)


def _fields(entry: Entry) -> dict[str, Any]:
    return dict(_pairs(entry))
