"""Deployments and their metrics."""

from urllib.parse import quote

from flask import Blueprint, Response

from codepush.api.classic import wire
from codepush.api.classic.schemas import DeploymentSchema
from codepush.domain.errors import InvalidParameterError
from codepush.web.auth import principal
from codepush.web.body import json_response, read_json
from codepush.web.context import services


def register(blueprint: Blueprint) -> None:
    """Add the routes to ``blueprint``."""
    blueprint.get("/apps/<app>/deployments")(list_deployments)
    blueprint.post("/apps/<app>/deployments")(add_deployment)
    blueprint.get("/apps/<app>/deployments/<deployment>")(get_deployment)
    blueprint.patch("/apps/<app>/deployments/<deployment>")(patch_deployment)
    blueprint.delete("/apps/<app>/deployments/<deployment>")(remove_deployment)
    blueprint.get("/apps/<app>/deployments/<deployment>/metrics")(metrics)


def list_deployments(app: str) -> Response:
    """Return an app's deployments."""
    found = services().deployments.list_for(principal(), app)
    return json_response({"deployments": [wire.deployment(each) for each in found]})


def add_deployment(app: str) -> Response:
    """Add a deployment, with a key from elsewhere if one is given."""
    body = read_json(DeploymentSchema())
    if "name" not in body:
        raise InvalidParameterError(
            "The name is missing; give the deployment a name.", parameter="name", reason="Missing"
        )
    made = services().deployments.create(principal(), app, body["name"], key=body.get("key") or "")
    path = f"/apps/{quote(app, safe='')}/deployments/{quote(made.name, safe='')}"
    return json_response({"deployment": wire.deployment(made)}, 201, path)


def get_deployment(app: str, deployment: str) -> Response:
    """Return one deployment."""
    _, found = services().deployments.get(principal(), app, deployment)
    return json_response({"deployment": wire.deployment(found)})


def patch_deployment(app: str, deployment: str) -> Response:
    """Rename a deployment. Its key stays, so the one it has is the only one that may be given."""
    body = read_json(DeploymentSchema())
    if body.get("key"):
        _, found = services().deployments.get(principal(), app, deployment)
        if body["key"] != found.key:
            raise InvalidParameterError(
                "The key of a deployment cannot be changed, since devices have it. Leave the key"
                " out, or delete the deployment and add one with that key.",
                parameter="key",
                reason="Unchangeable",
            )
    if "name" in body:
        found = services().deployments.rename(principal(), app, deployment, body["name"])
    else:
        _, found = services().deployments.get(principal(), app, deployment)
    return json_response({"deployment": wire.deployment(found)})


def remove_deployment(app: str, deployment: str) -> Response:
    """Delete a deployment."""
    services().deployments.delete(principal(), app, deployment)
    return Response(status=204)


def metrics(app: str, deployment: str) -> Response:
    """Return what devices reported."""
    counts = services().deployments.metrics(principal(), app, deployment)
    return json_response({"metrics": wire.metrics(counts)})
