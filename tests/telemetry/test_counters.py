from concurrent.futures import ThreadPoolExecutor

import pytest

from codepush.telemetry import counters
from codepush.telemetry.counters import Counter


@pytest.fixture(autouse=True)
def _registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counters, "_registry", {})


def test_no_addition_is_lost() -> None:
    counter = Counter("things_total", "Things.")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: [counter.add() for _ in range(1_000)], range(8)))
    counter.add(5)
    assert counter.value == 8_005


def test_counters_are_listed_by_name() -> None:
    made = [Counter(name, "Things.") for name in ("b_total", "a_total")]
    assert counters.counters() == made[::-1]


def test_one_name_means_one_counter() -> None:
    Counter("a_total", "Things.")
    with pytest.raises(ValueError, match="there is a counter a_total already"):
        Counter("a_total", "Other things.")
