"""Fixtures that run published clients; without Node these tests are skipped, but not in CI."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.clients import CLI, NODE, Server
from tests.needed import lacking


def _missing() -> str:
    if shutil.which("node") is None:
        return "Node is not installed"
    if not CLI.exists():
        return "the clients are not installed; run `make test`, or `npm ci` in tests/e2e"
    return ""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave acceptance tests out where nobody says what to release."""
    if "BUNDLES" in os.environ:
        return
    left_out = [item for item in items if item.get_closest_marker("acceptance")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="session", autouse=True)
def _clients() -> Iterator[None]:
    """Skip where the clients cannot run; where CI=true, a skip would hide that, so fail."""
    if missing := _missing():
        lacking(missing)
    yield
    NODE.close()


@pytest.fixture(scope="session")
def server(_clients: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests, which keep apart by using people of their own.

    COPY_OF names a backup to begin with; see test_copy.py.
    """
    server = Server(tmp_path_factory.mktemp("server"))
    if backup := os.environ.get("COPY_OF"):
        server.command("restore", backup)
    yield from _serve(server)


@pytest.fixture(scope="session")
def prefixed_server(_clients: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose public URL has a path, and which takes small packages only."""
    folder = tmp_path_factory.mktemp("prefixed")
    yield from _serve(Server(folder, "/codepush", MAX_PACKAGE_MB="1"))


@pytest.fixture
def fresh_server(_clients: None, tmp_path: Path) -> Iterator[Server]:
    """A server that never ran, for a test that starts and stops it."""
    fresh = Server(tmp_path)
    yield fresh
    fresh.close()


def _serve(server: Server) -> Iterator[Server]:
    server.start()
    try:
        yield server
    finally:
        server.stop()
