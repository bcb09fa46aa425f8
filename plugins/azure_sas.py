"""Signs the URLs under which devices may read one blob for a time (SAS).

https://learn.microsoft.com/rest/api/storageservices/create-service-sas
https://learn.microsoft.com/rest/api/storageservices/create-user-delegation-sas
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Any, Protocol
from urllib.parse import urlencode

from azure.core.exceptions import AzureError
from azure.storage.blob import BlobServiceClient, UserDelegationKey

from codepush.domain.ids import BlobKey
from plugins.azure_url import Place

_VERSION = "2020-12-06"
"""The signatures' own version, not the SDK's: emulators check this one."""
_DELEGATION = timedelta(days=7)
"""The longest that Azure lets a user delegation key live."""
_LONGEST = timedelta(days=6)
"""The longest that a URL signed with one lives, so that a key serves for a day."""
_SKEW = timedelta(minutes=15)
_PAUSE = timedelta(minutes=1)
"""Between two requests for a key, while Azure gives none and the old one still serves."""


class Signer(Protocol):
    """Makes the query that lets its bearer read one blob; fails with ``AzureError`` only."""

    def prepare(self) -> None:
        """Get ready, so that signing does not wait."""
        ...

    def sign(self, place: Place, key: BlobKey, lifetime: timedelta) -> str:
        """Return the query, without a question mark."""
        ...


class AccountSigner:
    """Signs with the account key."""

    def __init__(self, key: str):
        """Use ``key``, in base64."""
        self._key = base64.b64decode(key)

    def prepare(self) -> None:
        """Do nothing: everything is there."""

    def sign(self, place: Place, key: BlobKey, lifetime: timedelta) -> str:
        """Return the query; sends nothing."""
        # The one empty line would name a stored access policy.
        return _sas(place, key, datetime.now(UTC) + lifetime, self._key, {}, ("",))


class IdentitySigner:
    """Signs with user delegation keys, which Azure makes for an identity. Threads may share it."""

    def __init__(self, service: BlobServiceClient, options: Mapping[str, Any]):
        """Ask ``service`` for keys, with ``options`` that keep this short."""
        self._service = service
        self._options = options
        self._lock = Lock()
        self._held: tuple[UserDelegationKey, datetime] | None = None
        self._ask_after = datetime.min.replace(tzinfo=UTC)

    def prepare(self) -> None:
        """Get a key, if none is there that will do for the longest lifetime."""
        self._key(_LONGEST)

    def sign(self, place: Place, key: BlobKey, lifetime: timedelta) -> str:
        """Return the query, for six days at most; once a day this sends a request."""
        lifetime = min(lifetime, _LONGEST)
        signing, until = self._key(lifetime)
        named = {
            "skoid": signing.signed_oid,
            "sktid": signing.signed_tid,
            "skt": signing.signed_start,
            "ske": signing.signed_expiry,
            "sks": signing.signed_service,
            "skv": signing.signed_version,
        }
        fields = {name: value or "" for name, value in named.items()}
        # The three empty lines are for Data Lake: two users and a correlation id.
        lines = (*fields.values(), "", "", "")
        expiry = min(datetime.now(UTC) + lifetime, until)
        return _sas(place, key, expiry, base64.b64decode(signing.value or ""), fields, lines)

    def _key(self, lifetime: timedelta) -> tuple[UserDelegationKey, datetime]:
        """Return a key that lives for ``lifetime``; the one at hand while Azure gives no other."""
        with self._lock:
            now = datetime.now(UTC)
            if self._held and now + lifetime <= self._held[1]:
                return self._held
            usable = self._held if self._held and now + _SKEW < self._held[1] else None
            if usable and now < self._ask_after:
                return usable
            # Earlier, for an Azure whose clock is behind; whole, because the key says it so.
            start = (now - _SKEW).replace(microsecond=0)
            until = start + _DELEGATION
            try:
                key = self._service.get_user_delegation_key(start, until, **self._options)
            except AzureError:
                if not usable:
                    raise
                self._ask_after = now + _PAUSE
                return usable
            self._held = key, until
            return self._held


def _sas(
    place: Place,
    key: BlobKey,
    expiry: datetime,
    secret: bytes,
    fields: Mapping[str, str],
    lines: tuple[str, ...],
) -> str:
    """Return a signed query: may read blob ``key`` until ``expiry``."""
    # Rounded up: the time is in whole seconds.
    ends = (expiry + timedelta(microseconds=999_999)).strftime("%Y-%m-%dT%H:%M:%SZ")
    protocol = "https" if place.endpoint.startswith("https:") else ""
    resource = f"/blob/{place.account}/{place.container}/{key}"
    # Permission, start, expiry, resource; who signs; address, protocol, version, kind, snapshot,
    # encryption scope; and five headers of the answer.
    signed = ["r", "", ends, resource, *lines, "", protocol, _VERSION, "b", "", "", *[""] * 5]
    signature = hmac.new(secret, "\n".join(signed).encode(), hashlib.sha256).digest()
    query = {"sv": _VERSION, "sr": "b", "sp": "r", "se": ends, **fields}
    if protocol:
        query["spr"] = protocol
    return urlencode(query | {"sig": base64.b64encode(signature).decode()})
