"""Guessing passwords is bounded, and nobody can lock somebody else out."""

import dataclasses
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from argon2 import PasswordHasher
from flask.testing import FlaskClient

from codepush.domain.errors import (
    CodePushError,
    InvalidParameterError,
    QuotaExceededError,
    UnauthorizedError,
)
from codepush.domain.models import Principal
from codepush.services import accounts, attempts
from codepush.services.container import Services
from codepush.store.attempts import KNOWN_FOR
from codepush.store.connection import StoreClient

ALICE = "alice@example.com"
PASSWORD = "correct horse battery"
HOME = "192.0.2.1"


@pytest.fixture(autouse=True)
def _cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    accounts._dummy_hash.cache_clear()
    monkeypatch.setattr(accounts, "_hasher", lambda: cheap)


@pytest.fixture(autouse=True)
def _alice(services: Services, _cheap_hashes: None) -> None:
    services.accounts.add_user(ALICE, password=PASSWORD)


def outcome(
    services: Services, *, email: str = ALICE, password: str = "wrong", address: str = HOME
) -> type[CodePushError] | None:
    try:
        services.sessions.log_in(email, password, address=address)
    except CodePushError as exc:
        return type(exc)
    return None


def addresses(start: int = 1) -> Any:
    return (f"198.51.100.{number}" for number in range(start, 255))


@pytest.mark.parametrize("email", [ALICE, "nobody@example.com"])
def test_the_eleventh_failure_on_an_address_is_refused_registered_or_not(
    services: Services, email: str
) -> None:
    places = addresses()
    for number in range(10):
        spelled = email.upper() if number % 2 else email
        assert outcome(services, email=spelled, address=next(places)) is UnauthorizedError
    with pytest.raises(QuotaExceededError) as caught:
        services.sessions.log_in(email, PASSWORD, address=next(places))
    assert 880 <= caught.value.retry_after_s <= 900
    assert caught.value.message == (
        "Too many attempts to log in have failed. Please try again in 15 min. Access keys go on"
        " working meanwhile."
    )
    assert outcome(services, email="bob@example.com") is UnauthorizedError


def test_a_right_password_passes_and_does_not_count(services: Services) -> None:
    for place in list(addresses())[:9]:
        assert outcome(services, address=place) is UnauthorizedError
    for _ in range(40):
        assert outcome(services, password=PASSWORD) is None
    assert outcome(services, address="203.0.113.1") is UnauthorizedError
    assert outcome(services, address="203.0.113.2") is QuotaExceededError


def test_the_thirty_first_failure_from_one_address_is_refused(services: Services) -> None:
    for number in range(30):
        email = f"user{number}@example.com"
        assert outcome(services, email=email, address=HOME) is UnauthorizedError
    assert outcome(services, email="other@example.com") is QuotaExceededError
    assert outcome(services, email=ALICE, password=PASSWORD) is QuotaExceededError
    assert outcome(services, email=ALICE, password=PASSWORD, address="192.0.2.2") is None


def test_addresses_of_one_ipv6_network_are_one(services: Services) -> None:
    for number in range(30):
        email, address = f"user{number}@example.com", f"2001:db8::{number:x}"
        assert outcome(services, email=email, address=address) is UnauthorizedError
    assert outcome(services, address="2001:db8::ffff") is QuotaExceededError
    assert outcome(services, address="2001:db8:0:1::1") is UnauthorizedError


def test_strangers_cannot_lock_a_user_out_of_where_they_logged_in_before(
    services: Services,
) -> None:
    assert outcome(services, password=PASSWORD, address=HOME) is None
    places = addresses()
    while outcome(services, address=next(places)) is not QuotaExceededError:
        pass
    assert outcome(services, password=PASSWORD, address="203.0.113.9") is QuotaExceededError
    assert outcome(services, password=PASSWORD, address=HOME) is None
    # There too, guessing is bounded, by a count of its own.
    for _ in range(10):
        assert outcome(services, address=HOME) is UnauthorizedError
    assert outcome(services, password=PASSWORD, address=HOME) is QuotaExceededError


def test_a_known_network_is_known_to_its_user_only(services: Services) -> None:
    assert outcome(services, password=PASSWORD, address=HOME) is None
    for place in list(addresses())[:10]:
        assert outcome(services, email="bob@example.com", address=place) is UnauthorizedError
    assert outcome(services, email="bob@example.com", address=HOME) is QuotaExceededError


def test_an_address_that_cannot_be_told_is_never_known(services: Services) -> None:
    assert outcome(services, password=PASSWORD, address="") is None
    for _ in range(10):
        assert outcome(services, address="unix:") is UnauthorizedError
    assert outcome(services, password=PASSWORD, address="") is QuotaExceededError


def test_known_networks_are_few_and_forgotten(services: Services, redis: StoreClient) -> None:
    for place in list(addresses())[:25]:
        assert outcome(services, password=PASSWORD, address=place) is None
    (key,) = list(redis.scan_iter("*:known-networks"))
    assert redis.zcard(key) == 20  # type: ignore[attr-defined]
    assert 0 < redis.ttl(key) <= KNOWN_FOR.total_seconds()  # type: ignore[attr-defined]
    known = services.stores.attempts.is_known
    assert [known(ALICE, f"198.51.100.{number}") for number in (5, 6, 25)] == [False, True, True]


def test_failures_are_forgotten_one_by_one(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "WINDOW", timedelta(seconds=4))
    places = addresses()
    assert outcome(services, address=next(places)) is UnauthorizedError
    time.sleep(2.0)
    for _ in range(9):
        assert outcome(services, address=next(places)) is UnauthorizedError
    # Attempts that are refused do not prolong the wait.
    for _ in range(5):
        assert outcome(services, address=next(places)) is QuotaExceededError
    time.sleep(2.1)
    assert outcome(services, address=next(places)) is UnauthorizedError
    assert outcome(services, address=next(places)) is QuotaExceededError


def test_many_at_once_get_no_more_guesses(services: Services) -> None:
    with ThreadPoolExecutor(16) as pool:
        places = list(addresses())[:60]
        outcomes = list(pool.map(lambda place: outcome(services, address=place), places))
    assert outcomes.count(UnauthorizedError) == 10
    assert outcomes.count(QuotaExceededError) == 50


def test_a_current_password_cannot_be_guessed_either(services: Services) -> None:
    session = services.sessions.log_in(ALICE, PASSWORD, address=HOME)
    thief = dataclasses.replace(services.tokens.authenticate(session.secret), address="192.0.2.66")

    def change(principal: Principal, current: str) -> None:
        services.sessions.change_account(
            principal, password="another password", current_password=current
        )

    for _ in range(10):
        with pytest.raises(InvalidParameterError):
            change(thief, "wrong")
    with pytest.raises(QuotaExceededError):
        change(thief, PASSWORD)
    change(dataclasses.replace(thief, address=HOME), PASSWORD)
    assert outcome(services, password="another password") is None


def test_no_secret_is_in_the_store(services: Services, redis: StoreClient) -> None:
    outcome(services, password="a wrong password")
    outcome(services, password=PASSWORD)
    for key in redis.scan_iter():  # type: ignore[attr-defined]
        assert ALICE not in key
        if "attempts" in key or "networks" in key:
            members = redis.zrange(key, 0, -1)  # type: ignore[attr-defined]
            assert not [each for each in members if "pass" in each or "horse" in each]


def test_the_page_says_when_to_try_again(services: Services, http: FlaskClient) -> None:
    form = {"email": ALICE, "password": "wrong", "hostname": "here"}
    for _ in range(10):
        assert http.post("/auth/login", data=form).status_code == 401
    page = http.post("/auth/login", data=form | {"password": PASSWORD})
    assert page.status_code == 429
    assert 880 <= int(page.headers["Retry-After"]) <= 900
    assert page.content_type == "text/html; charset=utf-8"
    text = page.get_data(as_text=True)
    assert "Please try again in 15 min." in text
    assert PASSWORD not in text


def test_the_seed_api_says_so_in_its_envelope(services: Services, http: FlaskClient) -> None:
    body = {"email": ALICE, "password": "wrong"}
    for _ in range(10):
        assert http.post("/api/v1/auth/login", json=body).status_code == 401
    refused = http.post("/api/v1/auth/login", json=body | {"password": PASSWORD})
    assert refused.status_code == 429
    assert refused.get_json()["error"]["code"] == "TooManyRequests"
    assert 880 <= int(refused.headers["Retry-After"]) <= 900
    # One count for all dialects.
    form = {"email": ALICE, "password": PASSWORD}
    assert http.post("/auth/login", data=form).status_code == 429
