"""Apps."""

from typing import Any

from codepush.api.v1.blueprint import SeedBlueprint
from codepush.api.v1.schemas.apps import (
    AppAnswerSchema,
    AppCreateSchema,
    AppListSchema,
    AppPatchSchema,
    MoveSchema,
    TransferSchema,
)
from codepush.domain.models import App
from codepush.web.auth import principal
from codepush.web.context import services
from codepush.web.paging import Page

blueprint = SeedBlueprint("apps", "Apps: what is released, once for each operating system.")
_TO_APP = {"appName": "$response.body#/app/name"}


@blueprint.serves("GET", "/apps", AppListSchema, is_paged=True)
def list_apps(page: Page) -> dict[str, Any]:
    """List the apps of your organization, and those shared with you."""
    listed = services().apps.list_for(principal())
    return page.cut("apps", listed, lambda each: (each.app.name, each.app.id))


@blueprint.serves(
    "POST",
    "/apps",
    AppAnswerSchema,
    status=201,
    body=AppCreateSchema,
    errors=(409,),
    links={
        "get": ("getApp", _TO_APP),
        "listDeployments": ("listDeployments", _TO_APP),
        "delete": ("deleteApp", _TO_APP),
    },
)
def create_app(body: dict[str, Any]) -> dict[str, Any]:
    """Make an app in your organization, with the deployments Production and Staging."""
    return _answer(services().apps.create(principal(), body["name"], os=body.get("platform")))


@blueprint.serves("GET", "/apps/<appName>", AppAnswerSchema)
def get_app(app: str) -> dict[str, Any]:
    """Get an app."""
    return {"app": services().apps.get(principal(), app)}


@blueprint.serves("PATCH", "/apps/<appName>", AppAnswerSchema, body=AppPatchSchema, errors=(409,))
def update_app(body: dict[str, Any], app: str) -> dict[str, Any]:
    """Rename an app, or say how its packages are signed. Needs Owner permission."""
    if not body:
        return get_app(app)
    changed = services().apps.change(
        principal(),
        app,
        name=body.get("name"),
        public_key=body.get("public_key"),
        requires_signatures=body.get("require_signatures"),
    )
    return _answer(changed)


@blueprint.deletes("/apps/<appName>", errors=(409,))
def delete_app(app: str) -> dict[str, Any]:
    """Delete an app and all its deployments, whose keys stop working at once.

    Needs Owner permission.
    """
    services().apps.delete(principal(), app)
    return {"deleted": True}


@blueprint.serves(
    "POST", "/apps/<appName>/transfer", AppAnswerSchema, body=TransferSchema, errors=(409,)
)
def transfer_app(body: dict[str, Any], app: str) -> dict[str, Any]:
    """Hand an app over to another user.

    It moves into their organization; its old owner stays as a collaborator. Needs Owner permission.
    """
    return _answer(services().ownership.transfer(principal(), app, body["email"]))


@blueprint.serves("POST", "/apps/<appName>/move", AppAnswerSchema, body=MoveSchema, errors=(409,))
def move_app(body: dict[str, Any], app: str) -> dict[str, Any]:
    """Move an app into another organization of yours; its collaborators stay.

    Needs Owner permission on the app and at least the role Developer in that organization.
    """
    return _answer(services().ownership.move(principal(), app, body["organization"]))


def _answer(app: App) -> dict[str, Any]:
    return {"app": services().apps.describe(principal(), app)}
