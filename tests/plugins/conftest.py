from collections.abc import Iterator

import pytest

from tests.plugins.azurite import Azurite, require


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    """One Azurite for all tests, which keep apart by containers of their own."""
    require()
    server = Azurite(tmp_path_factory.mktemp("azurite"), in_memory=True)
    server.start()
    yield server
    server.stop()
