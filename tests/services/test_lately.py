"""What was done of late is remembered for a while, and in little memory."""

from types import SimpleNamespace

import pytest

from codepush.services import lately
from codepush.services.lately import Lately


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    made = SimpleNamespace(now=1_000.0)
    made.monotonic = lambda: made.now
    monkeypatch.setattr(lately, "time", made)
    return made


def test_what_was_added_is_forgotten_after_its_time(clock: SimpleNamespace) -> None:
    done = Lately(600.0, 100)
    assert ("app", "v1") not in done
    done.add(("app", "v1"))
    clock.now += 299.0
    assert ("app", "v1") in done
    assert ("app", "v2") not in done
    done.add(("app", "v2"))
    clock.now += 2.0
    assert ("app", "v1") in done
    clock.now += 300.0
    assert ("app", "v1") not in done
    assert ("app", "v2") not in done


def test_what_is_asked_for_seldom_is_forgotten_in_time_too(clock: SimpleNamespace) -> None:
    done = Lately(600.0, 100)
    done.add("v1")
    clock.now += 599.0
    assert "v1" in done
    clock.now += 2.0
    assert "v1" not in done


def test_a_process_that_slept_forgets_everything(clock: SimpleNamespace) -> None:
    done = Lately(600.0, 100)
    done.add("v1")
    clock.now += 600.0
    assert "v1" not in done


def test_of_many_things_the_newest_are_remembered(clock: SimpleNamespace) -> None:
    done = Lately(600.0, 100)
    for number in range(1_000):
        done.add(number)
        assert len(done._young) + len(done._old) <= 100
    assert all(number in done for number in range(950, 1_000))
    assert 0 not in done
