"""Releases: uploaded, changed, promoted, rolled back, listed and cleared."""

from typing import Any
from urllib.parse import quote

from flask import Blueprint, Response, request

from codepush.api.classic import wire
from codepush.api.classic.schemas import (
    PackageInfoBodySchema,
    PackageInfoSchema,
    overrides,
)
from codepush.web.auth import principal
from codepush.web.body import json_response, load, parse_object, read_json
from codepush.web.context import services
from codepush.web.upload import read_package

_DEPLOYMENT = "/apps/<app>/deployments/<deployment>"


def register(blueprint: Blueprint) -> None:
    """Add the routes to ``blueprint``."""
    blueprint.post(f"{_DEPLOYMENT}/release")(release)
    blueprint.patch(f"{_DEPLOYMENT}/release")(patch)
    blueprint.post(f"{_DEPLOYMENT}/promote/<target>")(promote)
    blueprint.post(f"{_DEPLOYMENT}/rollback")(roll_back)
    blueprint.post(f"{_DEPLOYMENT}/rollback/<label>")(roll_back)
    blueprint.get(f"{_DEPLOYMENT}/history")(history)
    blueprint.delete(f"{_DEPLOYMENT}/history")(clear)


def release(app: str, deployment: str) -> Response:
    """Release an uploaded package."""
    target = services().releasing.target(principal(), app, deployment)
    upload = read_package()
    info = load(
        PackageInfoSchema(), parse_object(request.form.get("packageInfo") or "{}", "packageInfo")
    )
    made = services().releasing.release(principal(), target, upload, overrides(info))
    path = f"/apps/{quote(app, safe='')}/deployments/{quote(deployment, safe='')}"
    answer: dict[str, Any] = {"package": wire.release(made.release)}
    if made.warnings:  # which no client of this dialect looks for
        answer["warnings"] = made.warnings
    return json_response(answer, 201, path)


def patch(app: str, deployment: str) -> Response:
    """Change properties of a release."""
    info = _package_info()
    changed = services().releasing.patch(
        principal(),
        app,
        deployment,
        overrides(info),
        label=info.get("label") or None,
        only_up=True,
    )
    if changed is None:
        return Response(status=204)
    return json_response({"package": wire.release(changed)})


def promote(app: str, deployment: str, target: str) -> Response:
    """Release to another deployment what this one has."""
    info = _package_info()
    # Clients send an empty description for "as it is".
    info["description"] = info.get("description") or None
    made = services().releasing.promote(
        principal(), app, deployment, target, overrides(info), label=info.get("label") or None
    )
    return json_response({"package": wire.release(made.release)}, 201)


def roll_back(app: str, deployment: str, label: str = "") -> Response:
    """Release an earlier release again."""
    made = services().releasing.roll_back(principal(), app, deployment, label=label or None)
    return json_response({"package": wire.release(made)}, 201)


def history(app: str, deployment: str) -> Response:
    """Return all releases, oldest first."""
    found = services().histories.releases(principal(), app, deployment)
    return json_response({"history": [wire.release(each) for each in found]})


def clear(app: str, deployment: str) -> Response:
    """Drop all releases."""
    services().releasing.clear(principal(), app, deployment)
    return Response(status=204)


def _package_info() -> dict[str, Any]:
    body = read_json(PackageInfoBodySchema())
    info: dict[str, Any] = body.get("packageInfo") or {}
    return info
