"""Webhooks that nobody can call, since they were encrypted under a SECRET_KEY that is not there.

``SECRET_KEY`` is in no backup: who has one of both should not have the other.
"""

import contextlib
import json
from collections.abc import Mapping
from typing import Any, cast

from codepush.services.vault import LockedError, Vault
from codepush.store import keys
from codepush.store.connection import StoreClient
from codepush.store.scanning import every_key


def webhook_id(name: str) -> str:
    """Return the id of the webhook whose record a key's name is; "" for any other name."""
    kind, _, identity = name.partition(":")
    return identity if kind == "w" and ":" not in identity else ""


def is_locked(record: Mapping[str, str], vault: Vault) -> bool:
    """Return whether a webhook's record holds something that the vault cannot decrypt."""
    try:
        for kept in (record["url"], *json.loads(record["secrets"])):
            vault.decrypt(kept)
    except LockedError:
        return True
    return False


def count_locked(client: StoreClient, vault: Vault) -> int:
    """Return how many webhooks of a store there are that cannot be called, of those readable."""
    locked = set()
    for key in every_key(client, f"{keys.ROOT}:{{o:*}}:w:*"):
        place = keys.place(key)
        if place and webhook_id(place.name):
            if cast(Any, client).type(key) != "hash":
                continue
            url, secrets = client.hmget(key, ["url", "secrets"])
            with contextlib.suppress(ValueError, TypeError):
                if url and secrets and is_locked({"url": url, "secrets": secrets}, vault):
                    locked.add(key)
    return len(locked)
