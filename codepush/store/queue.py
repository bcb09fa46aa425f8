"""Where services leave work for the workers: RQ's queues, by the dotted path of a job."""

import logging
from collections.abc import Sequence

import redis

from codepush.store.connection import connect_queue

log = logging.getLogger("codepush.jobs")

QUEUES = ("high", "default", "low")
"""In the order in which workers empty them."""
DELIVERIES = "deliveries"
"""Emptied by workers of its own, so that neither these nor the others wait for each other."""

_FAILURE_TTL_S = 86_400
"""How long a job that failed for good can be looked at."""


class JobQueue:
    """Hands jobs to workers, which do them at least once."""

    def __init__(self, url: str):
        """Use the Redis at ``url``, which is connected to when first needed."""
        self._client = connect_queue(url, timeout_s=10.0)

    def enqueue(
        self,
        queue: str,
        job: str,
        *arguments: str | int,
        timeout_s: int = 180,
        retry_after_s: Sequence[int] = (),
    ) -> bool:
        """Enqueue a job; never raises for a queue that cannot be reached.

        Args:
            queue: One of ``QUEUES``, or ``DELIVERIES``.
            job: Dotted path of a function.
            *arguments: Of that function.
            timeout_s: After which a worker gives up on it.
            retry_after_s: Pauses after each failure, after which it is tried again.

        Returns:
            Whether it was enqueued.
        """
        from rq import Queue, Retry  # here, because importing RQ would slow every command down

        try:
            Queue(queue, connection=self._client).enqueue(
                job,
                *arguments,
                job_timeout=timeout_s,
                retry=Retry(len(retry_after_s), list(retry_after_s)) if retry_after_s else None,
                result_ttl=0,
                failure_ttl=_FAILURE_TTL_S,
            )
        except redis.RedisError as exc:
            log.warning("the job %s could not be enqueued (%s)", job, exc)
            return False
        return True

    def waiting(self, queue: str, count: int) -> list[tuple[str, tuple[str | int, ...]]]:
        """Return the jobs that workers take next, by dotted path and arguments.

        Args:
            queue: One of ``QUEUES``, or ``DELIVERIES``.
            count: How many at most.

        Raises:
            RedisError: The queue cannot be reached.
        """
        from rq import Queue

        jobs = Queue(queue, connection=self._client).get_jobs(0, count)
        return [(job.func_name, tuple(job.args)) for job in jobs if job.func_name]

    def length(self, queue: str) -> int:
        """Return how many jobs wait in a queue.

        Raises:
            RedisError: The queue cannot be reached.
        """
        from rq import Queue

        return Queue(queue, connection=self._client).count
