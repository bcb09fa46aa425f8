"""Signs the URLs under which devices may read one blob for a time (SAS).

https://learn.microsoft.com/rest/api/storageservices/create-service-sas
https://learn.microsoft.com/rest/api/storageservices/create-user-delegation-sas
"""

import base64
import contextlib
import hashlib
import hmac
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from threading import Lock, Thread
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


def _in_a_thread(work: Callable[[], None]) -> None:
    Thread(target=work, name="delegation", daemon=True).start()


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

    def __init__(
        self,
        service: BlobServiceClient,
        options: Mapping[str, Any],
        later: Callable[[Callable[[], None]], None] = _in_a_thread,
    ):
        """Ask ``service`` for keys, with ``options`` that keep this short.

        ``later`` runs what may take its time while somebody waits for a signature.
        """
        self._service = service
        self._options = options
        self._later = later
        self._lock = Lock()
        self._held: tuple[UserDelegationKey, datetime] | None = None
        self._ask_after = datetime.min.replace(tzinfo=UTC)

    def prepare(self) -> None:
        """Get a key, if none is there that will do for the longest lifetime."""
        self._key(_LONGEST)

    def sign(self, place: Place, key: BlobKey, lifetime: timedelta) -> str:
        """Return the query, for six days at most.

        Once a day a new key is asked for, while the old one serves: update checks are signed on an
        event loop, which must not wait. Only without any key that serves does this wait.
        """
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
        now = datetime.now(UTC)
        held = self._held
        if held and now + lifetime <= held[1]:
            return held
        if held and now + _SKEW < held[1]:
            if self._may_ask(now):
                self._later(self._renew)
            return self._held or held
        with self._lock:
            if not self._held or now + _SKEW >= self._held[1]:
                self._held = self._ask(now)
            return self._held

    def _may_ask(self, now: datetime) -> bool:
        with self._lock:
            if now < self._ask_after:
                return False
            self._ask_after = now + _PAUSE
            return True

    def _renew(self) -> None:
        with contextlib.suppress(AzureError):  # the next one asks again
            self._held = self._ask(datetime.now(UTC))

    def _ask(self, now: datetime) -> tuple[UserDelegationKey, datetime]:
        # Earlier, for an Azure whose clock is behind; whole, because the key says it so.
        start = (now - _SKEW).replace(microsecond=0)
        until = start + _DELEGATION
        return self._service.get_user_delegation_key(start, until, **self._options), until


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
