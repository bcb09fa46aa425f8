"""What is timed and logged of requests that the event loop answers."""

import pytest

from codepush.edge import watch
from codepush.edge.watch import TIMED_ONE_IN, Watch
from codepush.telemetry.access import AccessLog

CHECK = b"/codepush/updateCheck"
PROXIED = [(b"x-forwarded-for", b"192.0.2.1, 192.0.2.2"), (b"x-forwarded-for", b"192.0.2.3")]


class Lines(AccessLog):
    """An access log that keeps its lines."""

    def __init__(self, mode: str, one_in: int) -> None:
        super().__init__("off", one_in)
        self.every = {"off": 0, "sampled": one_in, "all": 1}[mode]
        self.lines: list[dict[str, object]] = []

    def write(self, **line: object) -> None:
        self.lines.append(line)


def look(looking: Watch, count: int) -> None:
    """Pass checks as the protocol does."""
    for _ in range(count):
        looking.left -= 1
        if not looking.left:
            looking.end(looking.begin(), CHECK, "192.0.2.9", PROXIED)


@pytest.mark.parametrize(
    ("mode", "one_in", "logged"),
    [("off", 1, 0), ("all", 7, 6_400), ("sampled", 100, 64), ("sampled", 7, 914)],
)
def test_so_many_are_logged_and_timed(
    mode: str, one_in: int, logged: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    timed: list[float] = []
    monkeypatch.setattr(watch, "_CHECKS", type("Histogram", (), {"observe": timed.append}))
    access = Lines(mode, one_in)
    look(Watch(access, 0, ""), 6_400)
    assert len(access.lines) == logged
    assert len(timed) == 6_400 // TIMED_ONE_IN


@pytest.mark.parametrize(
    ("proxies", "address"),
    [(0, "192.0.2.9"), (1, "192.0.2.3"), (2, "192.0.2.2"), (4, "192.0.2.9")],
)
def test_a_line_has_the_route_and_whose_request_it_is(proxies: int, address: str) -> None:
    access = Lines("all", 1)
    looking = Watch(access, proxies, "/codepush")
    look(looking, 1)
    looking.report(0.0, b"/reportStatus/deploy", 503, "192.0.2.9", PROXIED)
    check, report = access.lines
    assert check.pop("ms") is not None
    assert report.pop("ms") is not None
    assert check == {"method": "GET", "route": "/updateCheck", "status": 200, "address": address}
    assert report == {
        "method": "POST",
        "route": "/reportStatus/deploy",
        "status": 503,
        "address": address,
    }


def test_each_failure_is_logged_where_some_requests_are() -> None:
    access = Lines("sampled", 1_000)
    looking = Watch(access, 0, "")
    for status in (200, 503, 503, 200):
        looking.report(0.0, b"/reportStatus/deploy", status, "192.0.2.9", [])
    assert [line["status"] for line in access.lines] == [200, 503, 503]
