"""Jobs about a CDN in front of the server."""

from codepush.domain.ids import DeploymentId
from codepush.jobs.context import settings
from codepush.plugins import open_cdn
from codepush.services.purging import purge as purge_deployment


def purge(deployment_id: str) -> None:
    """Have the CDN forget all answers about a deployment."""
    found = settings()
    if found.cdn_purge_url:
        cdn = open_cdn(found.cdn_purge_url, found.cdn_token)
        purge_deployment(cdn, DeploymentId(deployment_id))
