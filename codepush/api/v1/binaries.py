"""Binaries of an app, as stores ship them."""

from typing import Any

from codepush.api.v1.blueprint import SeedBlueprint
from codepush.api.v1.forms import read_form
from codepush.api.v1.schemas.binaries import (
    BinaryAnswerSchema,
    BinaryFormSchema,
    BinaryInfoSchema,
    BinaryListSchema,
)
from codepush.web.auth import principal
from codepush.web.body import load
from codepush.web.context import services
from codepush.web.paging import Page

blueprint = SeedBlueprint(
    "binaries", "What stores ship: registered, devices that run it get diffs from it."
)
_ALL = "/apps/<appName>/binaries"
_LINKS = {
    "delete": (
        "deleteBinary",
        {
            "appName": "$request.path.appName",
            "packageHash": "$response.body#/binary/packageHash",
        },
    )
}


@blueprint.serves(
    "POST",
    _ALL,
    BinaryAnswerSchema,
    status=201,
    form=BinaryFormSchema,
    errors=(409,),
    links=_LINKS,
)
def add_binary(app: str) -> dict[str, Any]:
    """Register the package that a binary has inside. Needs Collaborator permission.

    The body is a form with the package, and its properties as a JSON object in a string. Only the
    names and digests of its files are kept.
    """
    target = services().binaries.target(principal(), app)
    upload, given = read_form()
    info = load(BinaryInfoSchema(), given)
    return {"binary": services().binaries.add(principal(), target, upload, info["app_version"])}


@blueprint.serves("GET", _ALL, BinaryListSchema, is_paged=True)
def list_binaries(page: Page, app: str) -> dict[str, Any]:
    """List an app's registered binaries, oldest first."""
    found = services().binaries.list_for(principal(), app)
    return page.cut("binaries", found, lambda each: (each.added_at_ms, each.package_hash))


@blueprint.deletes(f"{_ALL}/<packageHash>")
def delete_binary(app: str, package_hash: str) -> dict[str, Any]:
    """Forget a binary; diffs that were made from it stay. Needs Collaborator permission."""
    services().binaries.remove(principal(), app, package_hash)
    return {"deleted": True}
