"""What waits for workers."""

from collections.abc import Callable, Iterator

import pytest
from rq import Queue

from codepush.store.connection import StoreClient, connect_queue

Waiting = Callable[[], list[tuple[str, tuple[str, ...]]]]


@pytest.fixture
def waiting(queue_url: str, redis: StoreClient) -> Iterator[Waiting]:
    """The calls about packages that wait for workers."""
    with connect_queue(queue_url) as client:
        Queue("low", connection=client).empty()

        def calls() -> list[tuple[str, tuple[str, ...]]]:
            jobs = Queue("low", connection=client).jobs
            return [(job.func_name.rpartition(".")[2], job.args) for job in jobs]

        yield calls
