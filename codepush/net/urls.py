"""Which URLs may be called at all; what they resolve to is checked when they are called."""

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

from codepush.domain.errors import InvalidParameterError
from codepush.net.addresses import AddressRules

MAX_URL = 2_000

_HOST_NAME = re.compile(
    r"(?=.{1,253}\Z)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?",
    re.IGNORECASE,
)
_PRINTABLE = re.compile(r"[!-~]+")


class UrlRules:
    """Judges URLs that tenants write down."""

    def __init__(self, addresses: AddressRules, *, allow_http: bool):
        """Judge literal addresses by ``addresses``; take ``http:`` if ``allow_http``."""
        self._addresses = addresses
        self._schemes = ("https", "http") if allow_http else ("https",)

    def check(self, url: str) -> str:
        """Return a URL that may be called.

        Raises:
            InvalidParameterError: It may not; the reason says why.
        """
        if len(url) > MAX_URL:
            raise _refused(f"it is longer than {MAX_URL} characters")
        if not _PRINTABLE.fullmatch(url) or "\\" in url:
            raise _refused(
                "it must be printable ASCII without spaces or backslashes; percent-encode the"
                " rest, and write a name of other letters in its xn-- form"
            )
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as exc:
            raise _refused("it is malformed") from exc
        if parts.scheme not in self._schemes:
            raise _refused(f"it must begin with {' or '.join(f'{s}://' for s in self._schemes)}")
        if parts.username is not None or parts.password is not None or "@" in parts.netloc:
            raise _refused("it must not have a user name or password")
        if parts.fragment or url.endswith("#"):
            raise _refused("it must not have a fragment (#...)")
        if port == 0:
            raise _refused("its port must be 1 to 65535")
        self._check_host(parts)
        return url

    def _check_host(self, parts: SplitResult) -> None:
        host = parts.hostname or ""
        if not host:
            raise _refused("it has no host")
        if parts.netloc.startswith("["):
            is_address = True
        else:
            if not _HOST_NAME.fullmatch(host.removesuffix(".")):
                raise _refused("its host is neither a name nor an address")
            # "0x7f.1", "2130706433" and "017700000001" are addresses to some resolvers only.
            is_address = re.fullmatch(r"[0-9]+|0x[0-9a-f]*", _last_label(host)) is not None
        if is_address:
            try:
                ipaddress.ip_address(host)
            except ValueError as exc:
                raise _refused("its host looks like an address, but is none") from exc
            if not self._addresses.permits(host):
                raise _refused("its address is not a public one")


def _last_label(host: str) -> str:
    return host.removesuffix(".").rpartition(".")[2].lower()


def _refused(why: str) -> InvalidParameterError:
    return InvalidParameterError(
        f"The url cannot be called: {why}.", parameter="url", reason=why[0].upper() + why[1:]
    )
