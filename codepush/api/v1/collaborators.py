"""Who an app is shared with."""

from typing import Any

from codepush.api.v1.blueprint import SeedBlueprint
from codepush.api.v1.schemas.apps import (
    CollaboratorAnswerSchema,
    CollaboratorCreateSchema,
    CollaboratorListSchema,
)
from codepush.web.auth import principal
from codepush.web.context import services
from codepush.web.paging import Page

blueprint = SeedBlueprint("collaborators", "Who an app is shared with.")


@blueprint.serves("GET", "/apps/<appName>/collaborators", CollaboratorListSchema, is_paged=True)
def list_collaborators(page: Page, app: str) -> dict[str, Any]:
    """List an app's collaborators, its owner among them."""
    listed = services().apps.get(principal(), app)
    return page.cut("collaborators", listed.collaborators, lambda held: (held[0].email.casefold(),))


@blueprint.serves(
    "POST",
    "/apps/<appName>/collaborators",
    CollaboratorAnswerSchema,
    status=201,
    body=CollaboratorCreateSchema,
    errors=(409,),
    links={
        "remove": (
            "removeCollaborator",
            {
                "appName": "$request.path.appName",
                "email": "$response.body#/collaborator/email",
            },
        )
    },
)
def add_collaborator(body: dict[str, Any], app: str) -> dict[str, Any]:
    """Share an app with a registered user. Needs Owner permission."""
    held = services().ownership.add_collaborator(principal(), app, body["email"])
    return {"collaborator": held}


@blueprint.deletes("/apps/<appName>/collaborators/<email>", errors=(409,))
def remove_collaborator(app: str, email: str) -> dict[str, Any]:
    """Stop sharing an app with a user.

    Needs Owner permission; but everyone may remove themselves.
    """
    services().ownership.remove_collaborator(principal(), app, email)
    return {"deleted": True}
