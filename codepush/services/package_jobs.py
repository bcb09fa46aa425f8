"""What is left to workers after a release."""

from codepush.domain.ids import AppId, DeploymentId, PackageHash
from codepush.store.queue import JobQueue

QUEUE = "low"
_TIMEOUT_S = 3_600
MAX_WAITING = 1_000
"""Jobs in the queue, from which on none is added that devices or a repair would have."""

_PATH = "codepush.jobs.packages."
_RETRY_AFTER_S = (10, 60, 600, 3_600)


class PackageJobs:
    """Enqueues jobs about packages; without a queue they are left to ``codepush repair``."""

    def __init__(self, queue: JobQueue):
        """Enqueue to ``queue``."""
        self._queue = queue

    def prepare(self, app_id: AppId, deployment_id: DeploymentId, label: str) -> bool:
        """Have a smaller package and diffs made for a release; tells whether it was enqueued."""
        return self._enqueue("prepare", app_id, deployment_id, label)

    def prepare_diff(
        self, app_id: AppId, deployment_id: DeploymentId, label: str, base: PackageHash
    ) -> bool:
        """Have a diff from ``base`` made for a release; tells whether it was enqueued."""
        return self._enqueue("prepare_diff", app_id, deployment_id, label, base)

    def waiting(self) -> int:
        """Return how many jobs wait.

        Raises:
            RedisError: The queue cannot be reached.
        """
        return self._queue.length(QUEUE)

    def prepared_soon(self) -> set[tuple[str, ...]]:
        """Return app, deployment and label of the releases for which a job waits.

        Raises:
            RedisError: The queue cannot be reached.
        """
        waiting = self._queue.waiting(QUEUE, MAX_WAITING)
        return {tuple(map(str, what)) for path, what in waiting if path == f"{_PATH}prepare"}

    def _enqueue(self, job: str, *arguments: str) -> bool:
        return self._queue.enqueue(
            QUEUE,
            f"{_PATH}{job}",
            *arguments,
            timeout_s=_TIMEOUT_S,
            retry_after_s=_RETRY_AFTER_S,
        )
