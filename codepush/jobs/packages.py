"""Makes smaller packages and diffs, after the releaser has their answer and at low priority."""

import os

from codepush.domain.ids import AppId, DeploymentId, PackageHash
from codepush.jobs.context import services


def prepare(app_id: str, deployment_id: str, label: str) -> None:
    """Make all that a release should have."""
    _give_way()
    services().packaging.prepare(AppId(app_id), DeploymentId(deployment_id), label)


def prepare_diff(app_id: str, deployment_id: str, label: str, base: str) -> None:
    """Make the diff from the package ``base`` to a release."""
    _give_way()
    services().packaging.prepare_diff(
        AppId(app_id), DeploymentId(deployment_id), label, PackageHash(base)
    )


def _give_way() -> None:
    """Let everything else have the CPU first; this process does one job only."""
    os.nice(19)
