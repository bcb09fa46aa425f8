"""Fixtures that run published clients; without Node these tests are skipped, but not in CI."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.clients import CLI, NODE, Server


def _missing() -> str:
    if shutil.which("node") is None:
        return "Node is not installed"
    if not CLI.exists():
        return "the clients are not installed; run `make test`, or `npm ci` in tests/e2e"
    return ""


@pytest.fixture(scope="session", autouse=True)
def _clients() -> Iterator[None]:
    """Skip where the clients cannot run; where CI=true, a skip would hide that, so fail."""
    if missing := _missing():
        if os.environ.get("CI") == "true":
            pytest.fail(f"The end-to-end tests must run where CI=true, but {missing}.")
        pytest.skip(missing)
    yield
    NODE.close()


@pytest.fixture(scope="session")
def server(_clients: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests, which keep apart by using people of their own."""
    yield from _serve(Server(tmp_path_factory.mktemp("server")))


@pytest.fixture(scope="session")
def prefixed_server(_clients: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose public URL has a path."""
    yield from _serve(Server(tmp_path_factory.mktemp("prefixed"), "/codepush"))


@pytest.fixture
def fresh_server(_clients: None, tmp_path: Path) -> Iterator[Server]:
    """A server that never ran, for a test that starts and stops it."""
    fresh = Server(tmp_path)
    yield fresh
    fresh.kill()


def _serve(server: Server) -> Iterator[Server]:
    server.start()
    try:
        yield server
    finally:
        server.stop()
