"""Tells CDNs to forget: Fastly, Cloudflare, and whatever takes a key in a URL."""

import http.client
import json
import urllib.error
import urllib.request
from urllib.parse import urlsplit

from codepush.domain.cdn import CdnError

_TIMEOUT_S = 10.0


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A token must not be sent on to another address."""

    def redirect_request(self, *_: object) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirects)


def _post(url: str, headers: dict[str, str], body: object = None) -> None:
    data = b"" if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers, method="POST")  # noqa: S310 - by from_url
    try:
        with _OPENER.open(request, timeout=_TIMEOUT_S) as answer:
            answer.read(10_000)
    except urllib.error.HTTPError as exc:
        with exc:
            raise CdnError(f"the CDN refused to forget answers (status {exc.code})") from exc
    except (OSError, http.client.HTTPException) as exc:
        raise CdnError(f"the CDN cannot be reached ({exc})") from exc


class Fastly:
    """``fastly://SERVICE_ID``; the token needs the scope ``purge_select``."""

    def __init__(self, service: str, token: str, api: str = "https://api.fastly.com"):
        """Purge one service."""
        self._url = f"{api}/service/{service}/purge"
        self._token = token

    @classmethod
    def from_url(cls, url: str, token: str) -> "Fastly":
        """Return the service that a URL names."""
        return cls(_name_in(url), _needed(token))

    def purge(self, key: str) -> None:
        """Purge by surrogate key."""
        _post(f"{self._url}/{key}", {"Fastly-Key": self._token, "Accept": "application/json"})


class Cloudflare:
    """``cloudflare://ZONE_ID``; the token needs the permission *Cache Purge*."""

    def __init__(self, zone: str, token: str, api: str = "https://api.cloudflare.com/client/v4"):
        """Purge one zone."""
        self._url = f"{api}/zones/{zone}/purge_cache"
        self._token = token

    @classmethod
    def from_url(cls, url: str, token: str) -> "Cloudflare":
        """Return the zone that a URL names."""
        return cls(_name_in(url), _needed(token))

    def purge(self, key: str) -> None:
        """Purge by cache tag."""
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        _post(self._url, headers, {"tags": [key]})


class AnyCdn:
    """``https://host/path/{key}``: a POST to that address, with the token as a bearer if any."""

    def __init__(self, url: str, token: str):
        """Purge by a URL that contains ``{key}``."""
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    @classmethod
    def from_url(cls, url: str, token: str) -> "AnyCdn":
        """Check the URL."""
        if "{key}" not in url or not urlsplit(url).hostname:
            raise ValueError("an http or https address must have a host and contain {key}")
        return cls(url, token)

    def purge(self, key: str) -> None:
        """Post to the address of the key."""
        _post(self._url.replace("{key}", key), self._headers)


def _name_in(url: str) -> str:
    name = url.partition("://")[2]
    if not name or not name.replace("-", "").replace("_", "").isalnum():
        raise ValueError("after :// must come the id of the service or zone, and nothing else")
    return name


def _needed(token: str) -> str:
    if not token:
        raise ValueError("CDN_TOKEN must hold an API token")
    return token
