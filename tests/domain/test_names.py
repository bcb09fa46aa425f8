from urllib.parse import quote

import pytest

from codepush.domain.errors import InvalidParameterError
from codepush.domain.names import check_email, check_friendly_name, check_name, fold


@pytest.mark.parametrize("name", ["App", "My App 2", "应用", "a.b", "...", "x" * 1_000, "é" * 400])
def test_a_name_that_can_be_addressed_is_taken(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", "  ", ".", "..", "a/b", "a\\b", "a?b", "a:b", "a\0", "a\x9f", "x" * 1_001, "🚀" * 201],
)
def test_a_name_that_clients_could_not_address_is_refused(name: str) -> None:
    with pytest.raises(InvalidParameterError) as caught:
        check_name(name)
    assert caught.value.details["parameter"] == "name"


def test_a_promotion_of_three_longest_names_fits_into_a_request_line() -> None:
    longest = quote(check_name("🚀" * 200), safe="")
    path = f"POST /v0.1/legacy/apps/{longest}/deployments/{longest}/promote/{longest} HTTP/1.1"
    assert len(path) < 8_190


@pytest.mark.parametrize("name", ["", " ", "..", "a\nb", "k" * 6_001, "🚀" * 501])
def test_a_token_that_could_not_be_revoked_is_not_made(name: str) -> None:
    with pytest.raises(InvalidParameterError):
        check_friendly_name(name)


@pytest.mark.parametrize("email", ["a@b", "ann.o'hara+x@example.com", "ü@exämple.com"])
def test_an_address_is_taken(email: str) -> None:
    assert check_email(email) == email


@pytest.mark.parametrize(
    "email", ["", "@", "a@", "@b", "a b@c", "a@b@c", "a:b@c", "a/b@c", "a@b\n", f"{'x' * 250}@b.de"]
)
def test_what_is_no_address_is_refused(email: str) -> None:
    with pytest.raises(InvalidParameterError):
        check_email(email)


def test_names_are_compared_without_case_and_composition() -> None:
    assert fold("STRASSE") == fold("straße")
    assert fold("e\u0301") == fold("É")
