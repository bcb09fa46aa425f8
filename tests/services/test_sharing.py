"""Who gets which of 64 threads."""

import pytest

from codepush.domain.ids import OrganizationId, WebhookId
from codepush.domain.webhooks import Format, Webhook
from codepush.services.sharing import Hand, Shares

THREADS = 64


def hand(organization: str, kind: str) -> Hand:
    webhook = Webhook(
        WebhookId(kind),
        OrganizationId(organization),
        "url",
        Format.STANDARD,
        created_at_ms=0,
        created_by="",
    )
    took_ms = {"quick": 10, "slow": 5_000, "failing": 10, "unknown": None}[kind]
    return Hand(webhook, is_failing=kind == "failing", took_ms=took_ms)


def taken(shares: Shares, wanting: Hand) -> int:
    """Take as many threads as there are for a webhook; tells how many."""
    count = 0
    while count < THREADS and shares.has_room(wanting):
        shares.take(wanting)
        count += 1
    return count


@pytest.mark.parametrize(
    ("kind", "of_one", "of_all"),
    [("quick", 32, 64), ("unknown", 16, 32), ("slow", 8, 16), ("failing", 8, 16)],
)
def test_shares(kind: str, of_one: int, of_all: int) -> None:
    shares = Shares(THREADS, [])
    assert taken(shares, hand("first", kind)) == of_one
    others = [taken(shares, hand(f"other {number}", kind)) for number in range(8)]
    assert others[0] == min(of_one, of_all - of_one)
    if kind != "quick":  # which are bounded by the threads themselves
        assert of_one + sum(others) == of_all


def test_an_endpoint_that_was_never_called_waits_for_no_dead_ones() -> None:
    shares = Shares(THREADS, [])
    dead = [taken(shares, hand(f"organization {number}", "failing")) for number in range(9)]
    assert sum(dead) == 16
    assert taken(shares, hand("organization 0", "unknown")) == 8
    assert taken(shares, hand("organization 0", "quick")) == 16
    assert taken(shares, hand("another", "unknown")) == 8
    assert taken(shares, hand("another", "quick")) == 24


def test_with_few_threads_everybody_gets_one() -> None:
    for kind in ("quick", "unknown", "slow"):
        assert taken(Shares(1, []), hand("only", kind)) == 1
