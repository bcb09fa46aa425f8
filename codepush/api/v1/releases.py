"""Releases of a deployment."""

from typing import Any

from codepush.api.v1.blueprint import REPLAYED, SeedBlueprint
from codepush.api.v1.forms import read_form
from codepush.api.v1.schemas.releases import (
    CountedReleaseAnswerSchema,
    PackageInfoSchema,
    PromoteSchema,
    ReleaseAnswerSchema,
    ReleaseFormSchema,
    ReleaseListSchema,
    ReleasePatchSchema,
    RollbackSchema,
    UploadedAnswerSchema,
    overrides,
)
from codepush.services.releasing import Released
from codepush.web.auth import principal
from codepush.web.body import load
from codepush.web.context import services
from codepush.web.paging import Page

blueprint = SeedBlueprint("releases", "What devices of a deployment get.")
_DEPLOYMENT = "/apps/<appName>/deployments/<deploymentName>"
_TO_RELEASE = {
    "appName": "$request.path.appName",
    "deploymentName": "$request.path.deploymentName",
    "label": "$response.body#/release/label",
}
_LINKS = {"get": ("getRelease", _TO_RELEASE), "update": ("updateRelease", _TO_RELEASE)}


@blueprint.serves(
    "POST",
    f"{_DEPLOYMENT}/release",
    UploadedAnswerSchema,
    status=201,
    form=ReleaseFormSchema,
    is_repeatable=True,
    errors=(409,),
    links=_LINKS,
)
def release(once: dict[str, str], app: str, deployment: str) -> tuple[Any, ...]:
    """Release a package to a deployment. Needs Collaborator permission.

    The body is a form with the package, and its properties as a JSON object in a string.
    """
    target = services().releasing.target(principal(), app, deployment)
    upload, given = read_form()
    info = load(PackageInfoSchema(), given)
    made = services().releasing.release(
        principal(), target, upload, overrides(info), idempotency_key=once.get("key", "")
    )
    return _answer(made)


@blueprint.serves("GET", f"{_DEPLOYMENT}/releases", ReleaseListSchema, is_paged=True)
def list_releases(page: Page, app: str, deployment: str) -> dict[str, Any]:
    """List a deployment's releases with their metrics, oldest first."""
    found = services().histories.counted(principal(), app, deployment)
    return page.cut("releases", found, lambda each: (each.release.number,))


@blueprint.deletes(f"{_DEPLOYMENT}/releases", errors=(409,))
def clear_releases(app: str, deployment: str) -> dict[str, Any]:
    """Drop all releases of a deployment and its metrics; labels go on counting.

    Needs Owner permission.
    """
    services().releasing.clear(principal(), app, deployment)
    return {"deleted": True}


@blueprint.serves("GET", f"{_DEPLOYMENT}/releases/<label>", CountedReleaseAnswerSchema)
def get_release(app: str, deployment: str, label: str) -> dict[str, Any]:
    """Get a release with its metrics."""
    return {"release": services().histories.find(principal(), app, deployment, label)}


@blueprint.serves(
    "PATCH",
    f"{_DEPLOYMENT}/releases/<label>",
    ReleaseAnswerSchema,
    body=ReleasePatchSchema,
    errors=(409,),
)
def update_release(body: dict[str, Any], app: str, deployment: str, label: str) -> dict[str, Any]:
    """Change a release: its rollout, up or down, and whether it is mandatory or disabled.

    Needs Collaborator permission. Only the newest enabled release may be rolled out in part.
    """
    changed = services().releasing.patch(
        principal(), app, deployment, overrides(body), label=label, only_up=False
    )
    if changed is None:
        changed = services().histories.find(principal(), app, deployment, label).release
    return {"release": changed}


@blueprint.serves(
    "POST",
    f"{_DEPLOYMENT}/promote",
    ReleaseAnswerSchema,
    status=201,
    body=PromoteSchema,
    is_repeatable=True,
    errors=(409,),
)
def promote(
    once: dict[str, str], body: dict[str, Any], app: str, deployment: str
) -> tuple[Any, ...]:
    """Release to another deployment what this one has. Needs Collaborator permission."""
    made = services().releasing.promote(
        principal(),
        app,
        deployment,
        body["to"],
        overrides(body),
        label=body.get("label"),
        idempotency_key=once.get("key", ""),
    )
    return _answer(made)


@blueprint.serves(
    "POST",
    f"{_DEPLOYMENT}/rollback",
    ReleaseAnswerSchema,
    status=201,
    body=RollbackSchema,
    errors=(409,),
    links=_LINKS,
)
def roll_back(body: dict[str, Any], app: str, deployment: str) -> dict[str, Any]:
    """Release an earlier release again. Needs Collaborator permission."""
    made = services().releasing.roll_back(principal(), app, deployment, label=body.get("label"))
    return {"release": made}


def _answer(made: Released) -> tuple[Any, ...]:
    headers = {REPLAYED: "true"} if made.is_repeat else {}
    return {"release": made.release, "warnings": made.warnings}, headers
