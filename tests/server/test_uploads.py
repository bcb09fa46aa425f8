"""Uploads over a real socket: bounded memory, and answers that reach a client still sending."""

import http.client
import json
import os
import socket
import zipfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import requests

from tests.server.processes import Processes, wait_for
from tests.server.real import RealServer

BOUNDARY = "a-boundary"
MEGABYTE = 1_000_000
MOST_MEMORY_BYTES = 150 * MEGABYTE


@pytest.fixture
def server(processes: Processes) -> Iterator[RealServer]:
    running = RealServer(processes, MAX_PACKAGE_MB="200")
    running.add_app("App")
    yield running
    running.stop()


def a_package(path: Path, size: int) -> Path:
    """Write a zip of about ``size`` bytes that do not compress."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for number in range(10):
            archive.writestr(f"CodePush/asset{number}.bin", os.urandom(size // 10))
    return path


def send(server: RealServer, path: Path, token: str | None = None) -> tuple[int, str]:
    """Upload a file as a stream that is sent to its end, whatever the server says meanwhile."""
    part = f"--{BOUNDARY}\r\nContent-Disposition: form-data; name="
    head = f'{part}"package"; filename="p.zip"\r\n\r\n'.encode()
    info = json.dumps({"appVersion": "1.0.0"})
    tail = f'\r\n{part}"packageInfo"\r\n\r\n{info}\r\n--{BOUNDARY}--\r\n'.encode()
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=120)
    connection.putrequest("POST", "/apps/App/deployments/Staging/release")
    connection.putheader("Authorization", f"Bearer {token or server.token}")
    connection.putheader("Content-Type", f"multipart/form-data; boundary={BOUNDARY}")
    connection.putheader("Content-Length", str(len(head) + path.stat().st_size + len(tail)))
    connection.endheaders()
    connection.send(head)
    with path.open("rb") as file:
        while chunk := file.read(64 * 1024):
            connection.send(chunk)
    connection.send(tail)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


def stored(server: RealServer) -> list[Path]:
    return [path for path in (server.data_dir / "blobs").rglob("*") if path.is_file()]


def peak_memory(process: psutil.Process) -> int:
    """Return the most memory that a process ever held, in bytes."""
    status = Path(f"/proc/{process.pid}/status")
    if not status.exists():  # not Linux: what it holds now
        return int(process.memory_info().rss)
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def test_an_upload_and_a_download_of_190_megabytes_need_little_memory(
    server: RealServer, tmp_path: Path
) -> None:
    path = a_package(tmp_path / "large.zip", 190 * MEGABYTE)
    status, text = send(server, path)
    assert status == 201, text
    package = json.loads(text)["package"]
    assert package["size"] == path.stat().st_size
    with requests.get(package["blobUrl"], stream=True, timeout=60) as answer:
        assert answer.headers["Content-Length"] == str(package["size"])
        with path.open("rb") as sent:
            for chunk in answer.iter_content(MEGABYTE):
                assert chunk == sent.read(len(chunk))
            assert sent.read() == b""
    peaks = {process.name(): peak_memory(process) for process in server.everything()}
    assert len(peaks) >= 2
    assert max(peaks.values()) < MOST_MEMORY_BYTES, peaks


def test_a_413_reaches_a_client_that_sends_to_the_end(server: RealServer, tmp_path: Path) -> None:
    path = a_package(tmp_path / "too-large.zip", 215 * MEGABYTE)
    status, text = send(server, path)
    assert status == 413
    assert text == "The uploaded file is larger than the size limit of 200 megabytes."
    spool = server.data_dir / "spool"
    assert list(spool.iterdir()) == []
    assert stored(server) == []


def test_a_401_reaches_a_client_that_sends_to_the_end(server: RealServer, tmp_path: Path) -> None:
    path = a_package(tmp_path / "large.zip", 50 * MEGABYTE)
    status, text = send(server, path, token="wrong")
    assert status == 401
    assert text.startswith("The session or access key being used is invalid")


def test_an_upload_that_breaks_off_leaves_nothing(server: RealServer) -> None:
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=30)
    connection.putrequest("POST", "/apps/App/deployments/Staging/release")
    connection.putheader("Authorization", f"Bearer {server.token}")
    connection.putheader("Content-Type", f"multipart/form-data; boundary={BOUNDARY}")
    connection.putheader("Content-Length", "1000000")
    connection.endheaders()
    connection.send(
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="package"; filename="p"\r\n\r\n'
        "half of it".encode()
    )
    connection.close()
    path = f"{server.url}/apps/App/deployments/Staging/history"
    history = requests.get(path, headers=server.headers, timeout=30).json()["history"]
    assert history == []
    assert stored(server) == []


def test_a_body_of_malformed_chunks_is_400_and_no_failure(server: RealServer) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as client:
        client.sendall(
            b"POST /v0.1/public/codepush/report_status/deploy HTTP/1.1\r\nHost: x\r\n"
            b"Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n"
        )
        answer = client.recv(4_096)
    assert answer.startswith(b"HTTP/1.1 400 ")


def test_clients_that_send_half_a_request_do_not_hold_the_server_for_ever(
    processes: Processes,
) -> None:
    server = RealServer(processes, WEB_CONCURRENCY="1", WEB_THREADS="4")
    half = b"POST /accessKeys HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{"
    host, port = server.url.removeprefix("http://").split(":")
    clients = [socket.create_connection((host, int(port))) for _ in range(12)]
    for client in clients:
        client.sendall(half)
    wait_for(lambda: is_healthy(server), "an answer beside silent clients", 150)
    for client in clients:
        client.close()
    server.stop()


def is_healthy(server: RealServer) -> bool:
    try:
        return requests.get(f"{server.url}/health", timeout=5).text == "Healthy"
    except requests.RequestException:
        return False
