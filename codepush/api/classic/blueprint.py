"""The classic dialect's blueprints: at the root, and where SDK 3 looks by default."""

from collections.abc import Iterator

from flask import Blueprint, request

from codepush.api.classic import accounts, apps, deployments, releases
from codepush.web.auth import require_token
from codepush.web.body import limit_json

_PREFIXES = {"classic": "", "classic_legacy": "/v0.1/legacy"}


def classic_blueprints() -> Iterator[Blueprint]:
    """Return the same dialect once for each of its prefixes."""
    for name, prefix in _PREFIXES.items():
        blueprint = Blueprint(name, __name__, url_prefix=prefix or None)
        blueprint.before_request(_limit_body)
        blueprint.before_request(require_token)
        for module in (accounts, apps, deployments, releases):
            module.register(blueprint)
        yield blueprint


def _limit_body() -> None:
    """Bound the body, except of an upload, which has a bound of its own."""
    uploads = request.method == "POST" and (request.endpoint or "").endswith(".release")
    if not uploads:
        limit_json()
