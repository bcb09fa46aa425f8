"""Apps and their collaborators."""

from urllib.parse import quote

from flask import Blueprint, Response

from codepush.api.classic import wire
from codepush.api.classic.schemas import AppSchema
from codepush.domain.errors import InvalidParameterError
from codepush.services.apps import DEFAULT_DEPLOYMENTS
from codepush.web.auth import principal
from codepush.web.body import json_response, read_json
from codepush.web.context import services


def register(blueprint: Blueprint) -> None:
    """Add the routes to ``blueprint``."""
    blueprint.get("/apps")(list_apps)
    blueprint.post("/apps")(add_app)
    blueprint.get("/apps/<app>")(get_app)
    blueprint.patch("/apps/<app>")(patch_app)
    blueprint.delete("/apps/<app>")(remove_app)
    blueprint.post("/apps/<app>/transfer/<email>")(transfer_app)
    blueprint.get("/apps/<app>/collaborators")(list_collaborators)
    blueprint.post("/apps/<app>/collaborators/<email>")(add_collaborator)
    blueprint.delete("/apps/<app>/collaborators/<email>")(remove_collaborator)


def list_apps() -> Response:
    """Return the apps that the caller may see."""
    listed = services().apps.list_for(principal())
    return json_response({"apps": [wire.app(each, principal().user.id) for each in listed]})


def add_app() -> Response:
    """Make an app, with Production and Staging unless told otherwise."""
    body = read_json(AppSchema())
    name = _required_name(body.get("name"))
    made = services().apps.create(
        principal(),
        name,
        os=body.get("os"),
        platform=body.get("platform"),
        deployments=() if body.get("manuallyProvisionDeployments") else DEFAULT_DEPLOYMENTS,
    )
    listed = services().apps.describe(principal(), made)
    return json_response(
        {"app": wire.app(listed, principal().user.id)}, 201, f"/apps/{quote(name, safe='')}"
    )


def get_app(app: str) -> Response:
    """Return one app."""
    listed = services().apps.get(principal(), app)
    return json_response({"app": wire.app(listed, principal().user.id)})


def patch_app(app: str) -> Response:
    """Rename an app."""
    body = read_json(AppSchema())
    if "name" not in body:
        listed = services().apps.get(principal(), app)
    else:
        renamed = services().apps.rename(principal(), app, body["name"])
        listed = services().apps.describe(principal(), renamed)
    return json_response({"app": wire.app(listed, principal().user.id)})


def remove_app(app: str) -> Response:
    """Delete an app and all its deployments."""
    services().apps.delete(principal(), app)
    return Response(status=204)


def transfer_app(app: str, email: str) -> Response:
    """Hand an app over to another user."""
    services().ownership.transfer(principal(), app, email)
    return _created()


def list_collaborators(app: str) -> Response:
    """Return an app's collaborators."""
    listed = services().apps.get(principal(), app)
    return json_response({"collaborators": wire.collaborators(listed, principal().user.id)})


def add_collaborator(app: str, email: str) -> Response:
    """Share an app with another user."""
    services().ownership.add_collaborator(principal(), app, email)
    return _created()


def remove_collaborator(app: str, email: str) -> Response:
    """Stop sharing an app with a user."""
    services().ownership.remove_collaborator(principal(), app, email)
    return Response(status=204)


def _created() -> Response:
    return Response("Created", 201, content_type="text/plain; charset=utf-8")


def _required_name(name: str | None) -> str:
    if name is None:
        raise InvalidParameterError(
            "The name is missing; give the app a name.", parameter="name", reason="Missing"
        )
    return name
