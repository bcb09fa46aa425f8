"""What a device asks and how it is answered, whichever server passes its request on."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import orjson

from codepush.domain.errors import InvalidParameterError
from codepush.domain.update_check import UpdateAnswer, UpdateRequest
from codepush.edge.wire import Speller, UrlOf, camel_case, either_spelling, snake_case
from codepush.services.acquisition import judge
from codepush.services.prepared import Prepared
from codepush.services.purging import surrogate_keys

MODERN = "/v0.1/public/codepush"

CHECKS: dict[str, Speller] = {
    "/updateCheck": camel_case,  # SDK 2
    f"{MODERN}/update_check": snake_case,  # SDK 3 and 4
}
"""How each route of update checks spells its answer."""

JSON = "application/json; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Asked:
    """The parameters of an update check, absent ones as empty text; not yet judged."""

    key: str
    app_version: str
    package_hash: str
    label: str
    is_companion: bool
    client_unique_id: str

    def judge(self) -> UpdateRequest:
        """Return what the device says of itself.

        Raises:
            InvalidParameterError: The key or version has no sound form.
        """
        return judge(
            self.key,
            self.app_version,
            package_hash=self.package_hash,
            label=self.label,
            is_companion=self.is_companion,
        )


def read_check(parameters: Iterable[tuple[str, list[str]]]) -> Asked:
    """Return what a query asks, in either spelling.

    Raises:
        InvalidParameterError: A parameter is given more than once.
    """
    given: dict[str, str] = {}
    for name, values in parameters:
        if len(values) > 1:
            raise InvalidParameterError(
                f"The parameter {name[:60]} is given more than once; give it once.",
                parameter=name[:60],
                reason="Repeated",
            )
        given[name] = values[0]
    asked = either_spelling(given)
    return Asked(
        key=(asked.get("deployment_key") or "").strip(),
        app_version=asked.get("app_version") or "",
        package_hash=asked.get("package_hash") or "",
        label=asked.get("label") or "",
        is_companion=(asked.get("is_companion") or "").lower() == "true",
        client_unique_id=asked.get("client_unique_id") or "",
    )


@dataclass(frozen=True, slots=True)
class Reply:
    """A body of JSON, and the headers that tell caches what it is."""

    body: bytes
    headers: tuple[tuple[str, str], ...]


def reply(
    answer: UpdateAnswer,
    spell: Speller,
    url_of: UrlOf,
    prepared: Prepared,
    *,
    is_shared: bool,
    max_age_s: int,
) -> Reply:
    """Return an answer as it goes over the wire.

    Args:
        answer: What the device should do.
        spell: The words of its SDK.
        url_of: Gives download URLs.
        prepared: The deployment.
        is_shared: Whether every device that asks the same gets the same, so that a cache in front
            may keep it: it has not said who it is, no rollout is open, and PUBLIC_URL is set.
            Without that, a request with a foreign Host header would have all devices led there.
        max_age_s: How long such a cache may; 0: it must ask each time whether it is still true.
    """
    body = orjson.dumps(spell(answer, url_of))
    headers = [("ETag", f'"{hashlib.sha256(body).hexdigest()[:20]}"')]
    if is_shared:
        lasting = f"max-age=0, s-maxage={max_age_s}, stale-if-error=86400"
        headers.append(("Cache-Control", f"public, {lasting if max_age_s else 'no-cache'}"))
        names = surrogate_keys(*prepared.mark.address)
        headers.append(("Surrogate-Key", " ".join(names)))  # Fastly, Varnish
        headers.append(("Cache-Tag", ",".join(names)))  # Cloudflare, Akamai
    else:
        headers.append(("Cache-Control", "private, no-cache"))
    return Reply(body, tuple(headers))
