"""What a URL ``azure://ACCOUNT/CONTAINER`` and the secrets beside it say."""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import NoReturn
from urllib.parse import unquote

CONNECTION_STRING = "AZURE_STORAGE_CONNECTION_STRING"
KEY = "AZURE_STORAGE_KEY"
_PARAMETERS = ("endpoint", "cdn", "sas_minutes", "retries", "key_file")


@dataclass(frozen=True, slots=True)
class Place:
    """Where the blobs are, and how they are reached: what the URL says.

    Attributes:
        account: Name of the storage account.
        container: Name of the container.
        endpoint: URL of the account's blob service, without a trailing slash.
        cdn: URL prefix that stands for the container in download URLs, or "".
        sas_lifetime: The longest that a signed download URL lives.
        retries: How often a failed request is tried again.
    """

    account: str
    container: str
    endpoint: str
    cdn: str = ""
    sas_lifetime: timedelta = timedelta.max
    retries: int = 3


def read_url(url: str, secrets: Mapping[str, str]) -> tuple[Place, str]:
    """Return the place that a URL names, and the account key, or "" where an identity is meant.

    Args:
        url: See ``AzureStorage.from_url``.
        secrets: By the name of their setting.

    Raises:
        ValueError: One of them cannot be used. The message repeats neither.
    """
    account, container, query = _split(url)
    parameters = _parameters(query)
    name, secret = _secret(parameters.get("key_file", ""), secrets)
    key, endpoint = _key_and_endpoint(name, secret, account)
    place = Place(
        account=account,
        container=container,
        endpoint=_web_url(parameters, "endpoint")
        or endpoint
        or f"https://{account}.blob.core.windows.net",
        cdn=_web_url(parameters, "cdn"),
        sas_lifetime=timedelta(minutes=_number(parameters, "sas_minutes", 1, 525_600))
        if "sas_minutes" in parameters
        else timedelta.max,
        retries=_number(parameters, "retries", 0, 10) if "retries" in parameters else 3,
    )
    return place, key


def _split(url: str) -> tuple[str, str, str]:
    """Return account, container and query."""
    found = re.fullmatch(r"azure://([a-z0-9]{3,24})/([a-z0-9-]{3,63})/?(?:\?([^#]*))?", url)
    if not found or not re.fullmatch("[a-z0-9]+(-[a-z0-9]+)*", found[2]):
        raise ValueError(
            "it must name a storage account and a container, such as azure://myaccount/packages; an"
            " account has 3 to 24 lower-case letters and digits, and a container 3 to 63 lower-case"
            " letters, digits and single hyphens"
        )
    return found[1], found[2], found[3] or ""


def _parameters(query: str) -> dict[str, str]:
    """Return the parameters of the URL's query; ``+`` stands for itself."""
    found: dict[str, str] = {}
    for pair in filter(None, query.split("&")):
        name, _, value = pair.partition("=")
        # An unknown name is not repeated: somebody may have written a key there.
        if name not in _PARAMETERS or name in found:
            raise ValueError(
                f"its parameters can be {', '.join(_PARAMETERS)}, each once; keys belong into"
                f" {CONNECTION_STRING}, {KEY} or a file that key_file names"
            )
        found[name] = unquote(value)
    return found


def _secret(key_file: str, secrets: Mapping[str, str]) -> tuple[str, str]:
    """Return the secret that applies, "" for none, and where it is from."""
    if key_file:
        try:
            return "the file of key_file", Path(key_file).read_text("ascii").strip()
        except (OSError, ValueError) as exc:
            raise ValueError("the file that key_file names cannot be read") from exc
    for name in (CONNECTION_STRING, KEY):
        if secrets.get(name):
            return name, secrets[name]
    return "", ""


def _key_and_endpoint(name: str, secret: str, account: str) -> tuple[str, str]:
    """Return the account key of a secret, and the endpoint if that says one; "" for neither."""
    if name and not secret:
        raise ValueError(f"{name} is empty")
    key, endpoint = secret, ""
    if name == CONNECTION_STRING or ";" in secret:
        pairs = (part.partition("=") for part in secret.split(";"))
        fields = {field.strip().lower(): value.strip() for field, _, value in pairs}
        key = fields.get("accountkey", "")
        if not key:
            _refuse(name, "must be a connection string with an AccountKey")
        if fields.get("accountname") != account:
            _refuse(name, "is of another storage account than the URL")
        endpoint = fields.get("blobendpoint", "").rstrip("/")
        if not endpoint and fields.get("endpointsuffix"):
            protocol = fields.get("defaultendpointsprotocol", "https")
            endpoint = f"{protocol}://{account}.blob.{fields['endpointsuffix']}"
        if endpoint and not _is_web_url(endpoint):
            _refuse(name, "has an endpoint that is not an http or https URL")
    try:
        base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError):
        _refuse(name, "is not an account key, which is written in base64")
    return key, endpoint


def _refuse(name: str, why: str) -> NoReturn:
    raise ValueError(f"{name} {why}") from None


def _web_url(parameters: Mapping[str, str], name: str) -> str:
    text = parameters.get(name, "").rstrip("/")
    if name in parameters and not _is_web_url(text):
        raise ValueError(f"its {name} must be an http or https URL without user and query")
    return text


def _is_web_url(text: str) -> bool:
    pattern = r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~-]+)*"
    return re.fullmatch(pattern, text) is not None


def _number(parameters: Mapping[str, str], name: str, least: int, most: int) -> int:
    text = parameters[name]
    if not re.fullmatch("[0-9]{1,6}", text) or not least <= int(text) <= most:
        raise ValueError(f"its {name} must be a whole number from {least} to {most}")
    return int(text)
