"""What views find their surroundings by."""

from datetime import timedelta
from urllib.parse import quote

from flask import current_app, request

from codepush.domain.ids import BlobKey
from codepush.services.container import Services
from codepush.settings import Settings

EXTENSION = "codepush"
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
    """
    return settings().public_url or request.host_url.rstrip("/") + request.script_root


def package_url(blob_key: BlobKey) -> str:
    """Return the absolute URL of a package."""
    url = services().storage.download_url(blob_key, lifetime=URL_LIFETIME)
    return origin() + quote(url) if url.startswith("/") else url
