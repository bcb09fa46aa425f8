"""What a process says that cannot start: one sentence, whoever starts it."""

import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from codepush.server.embedded import SERVE, EmbeddedStore
from codepush.store import keys, layout
from codepush.store.connection import connect
from tests.redis_servers import Cluster, free_ports
from tests.server.processes import ROOT, Processes

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


@pytest.mark.parametrize(
    "place", ["rediss://host", "rediss+cluster://host", "rediss+sentinel://host/main"]
)
@pytest.mark.parametrize("option", ["ssl_ca_certs", "ssl_certfile"])
def test_a_file_of_a_store_that_cannot_be_read_is_named(
    refusal: Callable[..., str], place: str, option: str
) -> None:
    url = f"{place}?{option}=/nope.pem"
    said = refusal(COMMANDS["user"], REDIS_URL=url, QUEUE_URL="redis://127.0.0.1:1")
    assert f"REDIS_URL names /nope.pem as {option}, which cannot be read: No such file" in said


def test_so_is_a_file_of_the_queue(refusal: Callable[..., str], queue_url: str) -> None:
    url = "rediss://host?ssl_ca_certs=/tmp"
    said = refusal(STARTS["worker"], REDIS_URL=queue_url, QUEUE_URL=url)
    assert "QUEUE_URL names /tmp as ssl_ca_certs, which cannot be read: Is a directory" in said


def test_a_store_without_tls_where_the_url_wants_it_is_thought_of(
    refusal: Callable[..., str],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # as Redis is, which waits for a line
        place = f"127.0.0.1:{silent.getsockname()[1]}"
        said = refusal(COMMANDS["user"], REDIS_URL=f"rediss://{place}?socket_timeout=1")
    assert "The store of REDIS_URL does not answer (Timeout connecting" in said
    assert "rediss is for a server that speaks TLS; without TLS it is redis." in said


@pytest.mark.parametrize("scheme", ["redis+cluster", "redis+sentinel"])
def test_so_do_a_cluster_and_sentinels(refusal: Callable[..., str], scheme: str) -> None:
    (port,) = free_ports(1)
    url = f"{scheme}://127.0.0.1:{port}" + ("/main" if "sentinel" in scheme else "")
    said = refusal(STARTS["worker"], REDIS_URL=url, QUEUE_URL="redis://127.0.0.1:1")
    assert "The store of REDIS_URL does not answer" in said
    assert "<" not in said, "what Python calls a client helps nobody"


def test_a_node_of_a_cluster_by_the_url_of_a_server_ends_the_start(
    refusal: Callable[..., str], tmp_path: Path
) -> None:
    cluster = Cluster(tmp_path)
    try:
        slot = cluster.start().masters[0].ask("CLUSTER", "KEYSLOT", keys.LAYOUT)
        other = cluster.masters[0 if int(str(slot)) > 10_922 else 2]
        said = refusal(COMMANDS["user"], REDIS_URL=other.url)
        assert "REDIS_URL cannot be used: it is a node of a cluster" in said
        assert "redis+cluster://" in said
    finally:
        cluster.kill()


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
    assert "The storage of STORAGE_URL cannot be used: Packages could not be stored" in said
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


@pytest.mark.parametrize("name", STARTS)
@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("foo://x", "CDN_PURGE_URL begins with 'foo', which no installed plugin knows"),
        ("fastly://x", "CDN_PURGE_URL cannot be used: CDN_TOKEN must hold an API token"),
    ],
)
def test_a_cdn_that_is_not_known_ends_the_start(
    refusal: Callable[..., str], name: str, queue_url: str, url: str, words: str
) -> None:
    assert words in refusal(STARTS[name], REDIS_URL=queue_url, CDN_PURGE_URL=url)


@pytest.mark.parametrize("name", ["serve", "web"])
def test_a_port_of_metrics_that_is_taken_ends_the_start(
    refusal: Callable[..., str], name: str, queue_url: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        said = refusal(STARTS[name], REDIS_URL=queue_url, METRICS_PORT=port)
    assert f"METRICS_PORT {port} is already in use on 127.0.0.1; stop the program" in said


@pytest.mark.parametrize("name", ["serve", "web"])
def test_traces_without_what_they_need_end_the_start(
    refusal: Callable[..., str], name: str, queue_url: str, tmp_path: Path
) -> None:
    hidden = tmp_path / "hidden"
    (hidden / "opentelemetry").mkdir(parents=True)
    (hidden / "opentelemetry" / "__init__.py").touch()
    said = refusal(
        STARTS[name],
        REDIS_URL=queue_url,
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:4318",
        PYTHONPATH=f"{hidden}:{ROOT}",
    )
    assert "pip install '.[otel]'" in said


@pytest.mark.parametrize("name", ["worker", "web"])
def test_a_part_of_its_own_needs_a_store_of_its_own(refusal: Callable[..., str], name: str) -> None:
    assert "of its own needs REDIS_URL, such as redis://" in refusal(STARTS[name])


@pytest.mark.parametrize("file", ["serve.lock", "store.lock", "web.lock", "commands.lock"])
def test_a_lock_that_this_user_cannot_open_ends_the_start(
    refusal: Callable[..., str], data_dir: Path, file: str
) -> None:
    (data_dir / file).mkdir()  # which root cannot open for writing, either
    said = refusal(STARTS["serve"])
    assert f"{file} cannot be opened (Is a directory). DATA_DIR and everything in it must" in said


def test_a_stop_while_deliveries_are_being_started_is_quiet(
    processes: Processes, queue_url: str
) -> None:
    command = ["-P", "-m", "codepush.server.worker", "deliveries"]
    for delay in (0.8, 1.2, 1.6, 2.0):
        process = processes.python(*command, REDIS_URL=queue_url)
        time.sleep(delay)
        process.terminate()
        _, said = process.communicate(timeout=30)
        assert "Traceback" not in said
        assert process.returncode in {0, -signal.SIGTERM}, "and until it listens for signals, ends"
