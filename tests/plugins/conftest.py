import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.plugins.azurite import Azurite, require
from tests.plugins.rclone import Rclone


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    """One Azurite for all tests, which keep apart by containers of their own."""
    require()
    server = Azurite(tmp_path_factory.mktemp("azurite"), in_memory=True)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def rclone() -> Iterator[Rclone]:
    """One server of the S3 protocol for all tests, which keep apart by buckets of their own."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        server = Rclone(Path(folder))
        server.start()
        yield server
        server.kill()
