"""Deployments of an app, and what devices reported to them."""

from typing import Any

from codepush.api.v1.blueprint import SeedBlueprint
from codepush.api.v1.schemas.deployments import (
    DeploymentAnswerSchema,
    DeploymentCreateSchema,
    DeploymentListSchema,
    DeploymentPatchSchema,
    FailuresSchema,
    MetricsListSchema,
    SeriesSchema,
)
from codepush.domain.reports import label_number
from codepush.domain.series import Period
from codepush.web.auth import principal
from codepush.web.context import services
from codepush.web.paging import Page

blueprint = SeedBlueprint("deployments", "Channels of an app, each with a key that devices have.")
_ALL = "/apps/<appName>/deployments"
_ONE = f"{_ALL}/<deploymentName>"
_TO_DEPLOYMENT = {
    "appName": "$request.path.appName",
    "deploymentName": "$response.body#/deployment/name",
}


@blueprint.serves("GET", _ALL, DeploymentListSchema, is_paged=True)
def list_deployments(page: Page, app: str) -> dict[str, Any]:
    """List an app's deployments, each with its newest release."""
    found = services().deployments.list_for(principal(), app)
    return page.cut("deployments", found, lambda each: (each.name,))


@blueprint.serves(
    "POST",
    _ALL,
    DeploymentAnswerSchema,
    status=201,
    body=DeploymentCreateSchema,
    errors=(409,),
    links={
        "get": ("getDeployment", _TO_DEPLOYMENT),
        "listReleases": ("listReleases", _TO_DEPLOYMENT),
        "delete": ("deleteDeployment", _TO_DEPLOYMENT),
    },
)
def create_deployment(body: dict[str, Any], app: str) -> dict[str, Any]:
    """Add a deployment to an app. Needs Owner permission."""
    return {"deployment": services().deployments.create(principal(), app, **body)}


@blueprint.serves("GET", _ONE, DeploymentAnswerSchema)
def get_deployment(app: str, deployment: str) -> dict[str, Any]:
    """Get a deployment with its newest release."""
    return {"deployment": services().deployments.get(principal(), app, deployment)[1]}


@blueprint.serves("PATCH", _ONE, DeploymentAnswerSchema, body=DeploymentPatchSchema, errors=(409,))
def update_deployment(body: dict[str, Any], app: str, deployment: str) -> dict[str, Any]:
    """Rename a deployment; its key stays. Needs Owner permission."""
    if "name" not in body:
        return get_deployment(app, deployment)
    renamed = services().deployments.rename(principal(), app, deployment, body["name"])
    return {"deployment": renamed}


@blueprint.deletes(_ONE)
def delete_deployment(app: str, deployment: str) -> dict[str, Any]:
    """Delete a deployment, whose key stops working at once. Needs Owner permission."""
    services().deployments.delete(principal(), app, deployment)
    return {"deleted": True}


@blueprint.serves("GET", f"{_ONE}/metrics", MetricsListSchema, is_paged=True)
def list_metrics(page: Page, app: str, deployment: str) -> dict[str, Any]:
    """List what devices reported, for each release and for binaries without one."""
    counts = services().deployments.metrics(principal(), app, deployment)
    rows = [(label_number(place), place, each) for place, each in counts.items()]
    return page.cut("metrics", rows, lambda row: (row[0], row[1]))


@blueprint.serves("GET", f"{_ONE}/metrics/hours", SeriesSchema, is_paged=True)
def list_hourly_metrics(page: Page, app: str, deployment: str) -> dict[str, Any]:
    """List how each release fared in each hour in which anything changed, oldest first."""
    return _series(page, app, deployment, Period.HOUR)


@blueprint.serves("GET", f"{_ONE}/metrics/days", SeriesSchema, is_paged=True)
def list_daily_metrics(page: Page, app: str, deployment: str) -> dict[str, Any]:
    """List how each release fared on each day on which anything changed, oldest first."""
    return _series(page, app, deployment, Period.DAY)


def _series(page: Page, app: str, deployment: str, period: Period) -> dict[str, Any]:
    found = services().metrics.series(principal(), app, deployment, period)
    return page.cut("series", found, lambda each: (each.starts_at_ms, label_number(each.label)))


@blueprint.serves("GET", f"{_ONE}/releases/<label>/failures", FailuresSchema)
def list_failures(app: str, deployment: str, label: str) -> dict[str, Any]:
    """List why a release failed on devices: the newest reasons and the most frequent."""
    return {"failures": services().metrics.failures(principal(), app, deployment, label)}
