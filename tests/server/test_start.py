"""What a process says that cannot start: one sentence, whoever starts it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from codepush.server.embedded import SERVE, EmbeddedStore
from codepush.store import keys, layout
from codepush.store.connection import connect
from tests.redis_servers import free_ports
from tests.server.processes import Processes

STARTS: dict[str, list[str]] = {
    "serve": ["-P", "-m", "codepush", "serve"],
    "worker": ["-P", "-m", "codepush", "worker"],
    "web": ["-m", "gunicorn", "-c", "config/gunicorn.conf.py", "wsgi:app"],
}
COMMANDS = {
    "user": ["-P", "-m", "codepush", "user", "list"],
    "verify": ["-P", "-m", "codepush", "verify"],
    "migrate": ["-P", "-m", "codepush", "migrate"],
}


@pytest.fixture
def refusal(processes: Processes) -> Callable[..., str]:
    """Start a process that must refuse; return what it said."""

    def start(command: list[str], **settings: str) -> str:
        process = processes.python(*command, **settings)
        _, said = process.communicate(timeout=60)
        assert process.returncode == 2, said
        assert "Traceback" not in said
        (sentence,) = [line for line in said.splitlines() if line.startswith("codepush: ")]
        assert sentence.endswith((".", "migrate"))
        return sentence

    return start


@pytest.mark.parametrize("name", [*STARTS, *COMMANDS])
def test_a_store_that_does_not_answer_ends_the_start(
    refusal: Callable[..., str], name: str
) -> None:
    command = (STARTS | COMMANDS)[name]
    (port,) = free_ports(1)
    said = refusal(command, REDIS_URL=f"redis://:secret@127.0.0.1:{port}/0")
    assert "The store of REDIS_URL does not answer" in said
    assert "secret" not in said


@pytest.mark.parametrize("scheme", ["redis+cluster", "redis+sentinel"])
def test_so_do_a_cluster_and_sentinels(refusal: Callable[..., str], scheme: str) -> None:
    (port,) = free_ports(1)
    url = f"{scheme}://127.0.0.1:{port}" + ("/main" if "sentinel" in scheme else "")
    said = refusal(STARTS["worker"], REDIS_URL=url, QUEUE_URL="redis://127.0.0.1:1")
    assert "The store of REDIS_URL does not answer" in said


def test_a_queue_that_does_not_answer_ends_the_start(
    refusal: Callable[..., str], queue_url: str
) -> None:
    said = refusal(STARTS["worker"], REDIS_URL=queue_url, QUEUE_URL="redis://127.0.0.1:1")
    assert "The store of QUEUE_URL does not answer" in said


@pytest.mark.parametrize("name", STARTS)
def test_a_storage_that_cannot_be_written_ends_the_start(
    refusal: Callable[..., str], name: str, queue_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.write_text("in the way")
    said = refusal(STARTS[name], REDIS_URL=queue_url, STORAGE_URL=f"local://{file}/blobs")
    assert "The storage of STORAGE_URL cannot be used" in said
    assert "Not a directory" in said


@pytest.mark.parametrize("name", [*STARTS, "user", "verify"])
def test_data_of_another_layout_ends_the_start(
    refusal: Callable[..., str], name: str, processes: Processes, data_dir: Path
) -> None:
    command = (STARTS | COMMANDS)[name]
    store = EmbeddedStore(data_dir)
    store.start(SERVE)
    try:
        client = connect(store.url)
        client.hset(keys.LAYOUT, "version", str(layout.VERSION + 1))
        assert "A newer server wrote the store's data" in refusal(command, REDIS_URL=store.url)
        client.hset(keys.LAYOUT, "version", str(layout.VERSION - 1))
        assert "codepush migrate" in refusal(command, REDIS_URL=store.url)
        layout.begin_restore(client, "a digest")
        assert "A backup is being restored" in refusal(command, REDIS_URL=store.url)
        client.close()
    finally:
        store.stop()
