"""What a URL ``s3://BUCKET/PREFIX`` says."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import unquote

_PARAMETERS = ("region", "endpoint", "profile", "cdn", "url_minutes", "retries")
_LONGEST_MINUTES = 7 * 24 * 60
"""The longest that S3 lets a signed URL live."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """Where the blobs are, and how they are reached.

    Attributes:
        name: Name of the bucket.
        prefix: What all keys begin with: "" or text that ends with a slash.
        region: Its region, or "" for what the AWS configuration says.
        endpoint: URL of a server that is not Amazon's, or "".
        profile: Section of the AWS configuration with the credentials, or "" for the default.
        cdn: URL prefix that stands for the bucket and its prefix in download URLs, or "".
        url_lifetime: The longest that a signed download URL lives.
        retries: How often a failed request is tried again.
    """

    name: str
    prefix: str = ""
    region: str = ""
    endpoint: str = ""
    profile: str = ""
    cdn: str = ""
    url_lifetime: timedelta = timedelta(minutes=_LONGEST_MINUTES)
    retries: int = 3


def read_url(url: str) -> Bucket:
    """Return the bucket that a URL names.

    Raises:
        ValueError: It cannot be used. The message does not repeat it.
    """
    found = re.fullmatch(
        r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])((?:/[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}){0,4})/?"
        r"(?:\?([^#]*))?",
        url,
    )
    if not found:
        raise ValueError(
            "it must name a bucket, and may name a folder in it, such as s3://my-bucket/packages; a"
            " bucket has 3 to 63 lower-case letters, digits, dots and hyphens, and a folder up to"
            " four names of letters, digits, dots, hyphens and underscores"
        )
    parameters = _parameters(found[3] or "")
    return Bucket(
        name=found[1],
        prefix=f"{found[2][1:]}/" if found[2] else "",
        region=_word(parameters, "region"),
        endpoint=_web_url(parameters, "endpoint"),
        profile=_word(parameters, "profile"),
        cdn=_web_url(parameters, "cdn"),
        url_lifetime=timedelta(
            minutes=_number(parameters, "url_minutes", 1, _LONGEST_MINUTES, _LONGEST_MINUTES)
        ),
        retries=_number(parameters, "retries", 0, 10, 3),
    )


def _parameters(query: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in filter(None, query.split("&")):
        name, _, value = pair.partition("=")
        # An unknown name is not repeated: somebody may have written a key there.
        if name not in _PARAMETERS or name in found:
            raise ValueError(
                f"its parameters can be {', '.join(_PARAMETERS)}, each once; keys belong into"
                " AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or into a profile"
            )
        found[name] = unquote(value)
    return found


def _word(parameters: Mapping[str, str], name: str) -> str:
    text = parameters.get(name, "")
    if name in parameters and not re.fullmatch("[A-Za-z0-9._-]{1,100}", text):
        raise ValueError(f"its {name} must be a name of letters, digits and . _ -")
    return text


def _web_url(parameters: Mapping[str, str], name: str) -> str:
    text = parameters.get(name, "").rstrip("/")
    pattern = r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~-]+)*"
    if name in parameters and not re.fullmatch(pattern, text):
        raise ValueError(f"its {name} must be an http or https URL without user and query")
    return text


def _number(parameters: Mapping[str, str], name: str, least: int, most: int, default: int) -> int:
    text = parameters.get(name, str(default))
    if not re.fullmatch("[0-9]{1,6}", text) or not least <= int(text) <= most:
        raise ValueError(f"its {name} must be a whole number from {least} to {most}")
    return int(text)
