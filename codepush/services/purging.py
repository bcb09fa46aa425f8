"""Has a CDN in front forget what is no longer true; off unless ``CDN_PURGE_URL`` is set."""

from codepush.domain.cdn import Cdn
from codepush.domain.ids import AppId, DeploymentId
from codepush.store.changes import Changes
from codepush.store.queue import JobQueue

_TIMEOUT_S = 30
_RETRY_AFTER_S = (1, 5, 30, 120, 600)


class Purging:
    """Leaves a job for each change of a deployment; may be told of one more than once."""

    def __init__(self, changes: Changes, queue: JobQueue):
        """Enqueue to ``queue`` what ``changes`` tells of this process."""
        self._queue = queue
        changes.listen(self._changed)

    def _changed(self, _app: AppId, deployment_id: DeploymentId, _version: int) -> None:
        # A change whose job is lost, as by a kill in between, is seen after CDN_MAX_AGE_S.
        self._queue.enqueue(
            "high",
            "codepush.jobs.cdn.purge",
            deployment_id,
            timeout_s=_TIMEOUT_S,
            retry_after_s=_RETRY_AFTER_S,
        )


def surrogate_keys(app_id: AppId, deployment_id: DeploymentId) -> tuple[str, str]:
    """Return the names by which a cache can be told to forget an answer."""
    return f"deployment-{deployment_id}", f"app-{app_id}"


def purge(cdn: Cdn, deployment_id: DeploymentId) -> None:
    """Have all answers about a deployment forgotten.

    Raises:
        CdnError: They may not be.
    """
    cdn.purge(f"deployment-{deployment_id}")
