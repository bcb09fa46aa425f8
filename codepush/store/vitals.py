"""How the background work is doing: queues, workers, and how jobs ended."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cached_property

import redis

from codepush.store import keys
from codepush.store.connection import connect_queue
from codepush.store.queue import DELIVERIES, QUEUES


class JobVitals:
    """Reads, and counts, in the Redis of the queue. Fails with its errors."""

    def __init__(self, url: str, *, timeout_s: float = 2.0):
        """Use the Redis at ``url``, which is connected to when first needed."""
        self._url = url
        self._timeout_s = timeout_s

    @cached_property
    def _client(self) -> redis.Redis:
        return connect_queue(self._url, timeout_s=self._timeout_s)

    def count(self, outcome: str) -> None:
        """Count a job that ended as ``outcome`` says."""
        self._client.hincrby(keys.job_outcomes(), outcome, 1)

    def add(self, counts: Mapping[str, Mapping[tuple[str, ...], int]]) -> None:
        """Add what a process counted: by the name of the counter, and the values of its labels."""
        with self._client.pipeline(transaction=False) as pipeline:
            for name, values in counts.items():
                for labels, amount in values.items():
                    pipeline.hincrby(keys.job_counts(), json.dumps([name, *labels]), amount)
            pipeline.execute()

    def counts(self) -> dict[str, dict[tuple[str, ...], int]]:
        """Return what all jobs counted, ever, as ``add`` takes it."""
        counts: dict[str, dict[tuple[str, ...], int]] = {}
        for text, amount in self._client.hgetall(keys.job_counts()).items():
            name, *labels = json.loads(text)
            counts.setdefault(name, {})[tuple(labels)] = int(amount)
        return counts

    def outcomes(self) -> dict[str, int]:
        """Return how many jobs ended in which way, ever."""
        found = self._client.hgetall(keys.job_outcomes())
        return {_text(outcome): int(count) for outcome, count in found.items()}

    def waiting(self) -> dict[str, int]:
        """Return how many jobs wait in each queue."""
        from rq import Queue  # here, because importing RQ would slow every command down

        return {name: Queue(name, connection=self._client).count for name in (*QUEUES, DELIVERIES)}

    def silent_s(self) -> float | None:
        """Return how long there was no word of workers, of the kind that is silent for longest.

        Returns:
            Seconds; None where there is no worker of a kind: those that deliver, and the others.
        """
        from rq import Worker

        newest: dict[bool, datetime] = {}
        for worker in Worker.all(connection=self._client):
            heard = worker.last_heartbeat
            if heard:
                heard = heard if heard.tzinfo else heard.replace(tzinfo=UTC)
                delivers = DELIVERIES in worker.queue_names()
                newest[delivers] = max(heard, newest.get(delivers, heard))
        if len(newest) < 2:
            return None
        return max(0.0, (datetime.now(UTC) - min(newest.values())).total_seconds())


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
