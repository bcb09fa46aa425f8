"""A deployment with its releases, and what waits for workers."""

from collections.abc import Callable, Iterator

import pytest
from rq import Queue

from codepush.domain.models import Principal
from codepush.services.container import Services
from codepush.store.connection import StoreClient, connect_queue
from tests.api_client import Account
from tests.services.line import Line

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


@pytest.fixture
def principal(services: Services, account: Account) -> Principal:
    """A person with an app."""
    principal = services.tokens.authenticate(account.token)
    services.apps.create(principal, "App", os="android")
    return principal


@pytest.fixture
def staging(services: Services, principal: Principal) -> Line:
    """A deployment of that app."""
    return Line(services, principal)
