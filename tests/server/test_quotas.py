"""Quotas of the real server with two web processes, which count together."""

import contextlib
import time
from collections.abc import Iterator

import psutil
import requests

from tests.server.processes import Processes, wait_for
from tests.server.real import RealServer

QUOTA = 1_000
SESSIONS = 8


@contextlib.contextmanager
def serving(processes: Processes, **settings: str) -> Iterator[RealServer]:
    server = RealServer(processes, **settings)
    try:
        yield server
    finally:
        server.stop()


def busy_workers(port: int) -> set[int]:
    """The web processes that hold connections of clients."""
    return {
        connection.pid
        for connection in psutil.net_connections("tcp")
        if connection.pid
        and connection.status == psutil.CONN_ESTABLISHED
        and connection.laddr.port == port
    }


def connect_to_both(server: RealServer, port: int) -> list[requests.Session]:
    """Return sessions that keep connections to both web processes."""
    sessions: list[requests.Session] = []

    def both() -> bool:
        sessions.extend(requests.Session() for _ in range(SESSIONS))
        for session in sessions:
            session.get(f"{server.url}/health", timeout=30)
        return len(busy_workers(port)) >= 2

    wait_for(both, "connections to both web processes")
    return sessions


def test_request_1001_in_the_hour_is_refused_and_remaining_never_goes_up(
    processes: Processes,
) -> None:
    # The usual quota, and the usual number of processes.
    with serving(processes) as server:
        sessions = connect_to_both(server, processes.port)
        for session in sessions:
            session.headers.update(server.headers)
        began = time.time()
        answers = [
            sessions[number % len(sessions)].get(f"{server.url}/authenticated", timeout=30)
            for number in range(QUOTA + 5)
        ]
        assert len(busy_workers(processes.port)) >= 2
        assert [answer.status_code for answer in answers] == [200] * QUOTA + [429] * 5
        left = [int(answer.headers["X-RateLimit-Remaining"]) for answer in answers]
        assert left == [*range(QUOTA - 1, -1, -1), *[0] * 5]
        assert len({answer.headers["X-RateLimit-Reset"] for answer in answers}) == 1
        last = answers[-1]
        assert last.headers["X-RateLimit-Limit"] == str(QUOTA)
        assert last.headers["RateLimit-Policy"] == f'"user";q={QUOTA};w=3600'
        assert 3_600 - (time.time() - began) - 5 <= int(last.headers["Retry-After"]) <= 3_600
        # The same in the other dialect, and nobody else is hindered.
        elsewhere = sessions[0].get(f"{server.url}/api/v1/apps", timeout=30)
        assert elsewhere.status_code == 429
        assert elsewhere.json()["error"]["code"] == "TooManyRequests"
        assert requests.get(f"{server.url}/apps", timeout=30).status_code == 401
        assert requests.get(f"{server.url}/health", timeout=30).status_code == 200
        device = {"deployment_key": "0123456789", "app_version": "1.0.0"}
        path = f"{server.url}/v0.1/public/codepush/update_check"
        for session in sessions:
            for _ in range(20):
                assert session.get(path, params=device, timeout=30).status_code == 404
            session.close()


def test_requests_are_answered_while_the_quotas_store_is_down(processes: Processes) -> None:
    quotas = {"QUOTA_USER_PER_HOUR": "1", "QUOTA_ADDRESS_PER_HOUR": "1"}
    down = {"QUOTA_REDIS_URL": "redis://127.0.0.1:1", "LOG_LEVEL": "warning"}
    with serving(processes, **quotas, **down) as server:
        for _ in range(20):
            assert requests.get(f"{server.url}/apps", timeout=30).status_code == 401
            answer = requests.get(f"{server.url}/apps", headers=server.headers, timeout=30)
            assert answer.status_code == 200
            assert answer.headers["X-RateLimit-Limit"] == "1"
            assert "X-RateLimit-Remaining" not in answer.headers
        lines = [line for line in server.output if "requests pass uncounted" in line]
        assert 1 <= len(lines) <= 2  # one of each process
