import socket
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.processes import MARK, Processes


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    path = tmp_path / "var"
    path.mkdir()
    return path


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def processes(data_dir: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Processes]:
    """Processes of this test; one that is alive at its end fails it."""
    mark = uuid.uuid4().hex
    monkeypatch.setenv(MARK, mark)
    started = Processes(mark, data_dir, port)
    yield started
    left = started.close()
    assert left == []
