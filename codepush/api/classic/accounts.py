"""Who one is, and one's access keys."""

from datetime import timedelta
from urllib.parse import quote

from flask import Blueprint, Response, request

from codepush.api.classic import wire
from codepush.api.classic.schemas import AccessKeySchema
from codepush.domain.errors import InvalidParameterError
from codepush.web.auth import principal
from codepush.web.body import json_response, read_json
from codepush.web.context import services


def register(blueprint: Blueprint) -> None:
    """Add the routes to ``blueprint``.

    A path converter would take a trailing slash for a part of the name, unless the rule has one.
    """
    blueprint.get("/authenticated")(authenticated)
    blueprint.get("/account")(account)
    blueprint.get("/accessKeys")(list_keys)
    blueprint.post("/accessKeys")(add_key)
    blueprint.get("/accessKeys/<path:name>/")(get_key)
    blueprint.patch("/accessKeys/<path:name>/")(patch_key)
    blueprint.delete("/accessKeys/<path:name>/")(remove_key)
    blueprint.delete("/sessions/<path:machine>/")(remove_sessions)


def authenticated() -> Response:
    """Tell a client that its key works."""
    return json_response({"authenticated": True})


def account() -> Response:
    """Return who the caller is."""
    user = principal().user
    return json_response(
        {"account": {"name": user.name, "email": user.email, "linkedProviders": []}}
    )


def list_keys() -> Response:
    """Return the caller's access keys."""
    keys = services().tokens.list_of(principal())
    return json_response({"accessKeys": [wire.access_key(key) for key in keys]})


def add_key() -> Response:
    """Make an access key; the answer is the only place that ever shows it."""
    body = read_json(AccessKeySchema())
    name = body.get("friendlyName") or body.get("description")
    if not name:
        raise InvalidParameterError(
            "The friendlyName is missing; give the access key a name.",
            parameter="friendlyName",
            reason="Missing",
        )
    if body.get("ttl") == 0:
        raise InvalidParameterError(
            "The ttl is 0; a new access key must live for at least a millisecond.",
            parameter="ttl",
            reason="Zero",
        )
    secret, token = services().tokens.create(
        principal(),
        name=name,
        created_by=body.get("createdBy") or request.remote_addr or "",
        lifetime=_lifetime(body.get("ttl")),
    )
    return json_response(
        {"accessKey": wire.access_key(token, secret)}, 201, f"/accessKeys/{quote(name, safe='')}"
    )


def get_key(name: str) -> Response:
    """Return one access key."""
    token = services().tokens.find(principal(), name)
    return json_response({"accessKey": wire.access_key(token)})


def patch_key(name: str) -> Response:
    """Rename an access key, or let it live for ``ttl`` from now."""
    body = read_json(AccessKeySchema())
    token = services().tokens.find(principal(), name)
    changed = services().tokens.change(
        principal(), token, name=body.get("friendlyName"), lifetime=_lifetime(body.get("ttl"))
    )
    return json_response({"accessKey": wire.access_key(changed)})


def remove_key(name: str) -> Response:
    """Revoke an access key."""
    services().tokens.revoke(principal(), services().tokens.find(principal(), name))
    return Response(status=204)


def remove_sessions(machine: str) -> Response:
    """Revoke what a machine got by browser login."""
    services().tokens.revoke_sessions(principal(), machine)
    return Response(status=204)


def _lifetime(ttl_ms: int | None) -> timedelta | None:
    return None if ttl_ms is None else timedelta(milliseconds=ttl_ms)
