"""What views find their surroundings by."""

import re
from collections.abc import Callable
from datetime import timedelta
from urllib.parse import quote

from flask import current_app, request

from codepush.domain.errors import InvalidParameterError
from codepush.domain.ids import BlobKey
from codepush.domain.storage import BlobStorage
from codepush.services.container import Services
from codepush.settings import Settings

EXTENSION = "codepush"
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,255})(:[0-9]{1,5})?")
_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)*")
URL_LIFETIME = timedelta(days=7)
"""How long a device may keep the download URL of an answer."""


def services() -> Services:
    """Return the services of the running app."""
    found: Services = current_app.extensions[EXTENSION]
    return found


def settings() -> Settings:
    """Return the settings of the running app."""
    found: Settings = current_app.extensions[f"{EXTENSION}.settings"]
    return found


def origin() -> str:
    """Return the URL that this server's own URLs start with, without a trailing slash.

    The configured public URL; without one, the request's own scheme and host.

    Raises:
        InvalidParameterError: The request's are none that a URL could be made of.
    """
    # Not request.host: it is empty for names with an underscore, which containers have.
    host = request.environ.get("HTTP_HOST", "")
    found = origin_of(settings(), request.scheme, host, request.script_root)
    if found is None:
        raise InvalidParameterError(
            "The Host header of the request, or what a proxy says of it, is not the address of a"
            " server.",
            parameter="Host",
            reason="Malformed",
        )
    return found


def origin_of(settings: Settings, scheme: str, host: str, root: str) -> str | None:
    """Return what ``origin`` does for a request's scheme, Host header and path of the app.

    None where they are none that a URL could be made of.
    """
    if settings.public_url:
        return settings.public_url
    sound = _HOST.fullmatch(host) and scheme in {"http", "https"} and _PREFIX.fullmatch(root)
    return f"{scheme}://{host}{root}" if sound else None


def package_url(blob_key: BlobKey) -> str:
    """Return the absolute URL of a package."""
    return package_url_at(services().storage, blob_key, origin)


def package_url_at(storage: BlobStorage, blob_key: BlobKey, origin: Callable[[], str]) -> str:
    """Return the absolute URL of a package in a storage; ``origin`` is asked if it is ours."""
    url = storage.download_url(blob_key, lifetime=URL_LIFETIME)
    return origin() + quote(url) if url.startswith("/") else url
