"""When deliveries are tried again, and what webhooks are told."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codepush.domain.events import NOBODY, Action, Event
from codepush.domain.ids import AppId, OrganizationId, WebhookId
from codepush.domain.webhook_events import SUBSCRIBABLE, Notice, WebhookEvent, notices, ping
from codepush.domain.webhook_formats import render
from codepush.domain.webhooks import Attempt, Format, Webhook, delivery_id, next_attempt

SCHEDULE_S = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)


def wait(stage: int, chance: float = 0.5, **options: Any) -> float | None:
    retry_after = options.pop("retry_after", None)
    attempt = Attempt(at_ms=0, duration_ms=0, **({"status": 500} | options))
    found = next_attempt(
        stage,
        attempt,
        chance=chance,
        retry_after=None if retry_after is None else timedelta(seconds=retry_after),
    )
    return None if found is None else found.total_seconds()


def test_the_schedule_is_that_of_the_reference_and_then_it_is_given_up() -> None:
    assert tuple(wait(stage) for stage in range(9)) == SCHEDULE_S
    assert wait(9) is None


@given(st.integers(0, 8), st.floats(0, 1))
def test_jitter_moves_an_attempt_by_a_tenth_at_most(stage: int, chance: float) -> None:
    found = wait(stage, chance)
    assert found is not None
    assert 0.899 * SCHEDULE_S[stage] <= found <= 1.101 * SCHEDULE_S[stage]


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_heard_within_bounds(status: int) -> None:
    assert wait(0, status=status, retry_after=60) == 60
    assert wait(1, status=status, retry_after=60) == 300
    assert wait(0, status=status, retry_after=10**9) == 86_400
    assert wait(0, status=status, retry_after=-60) == 5
    assert wait(9, status=status, retry_after=60) is None


def test_retry_after_of_other_answers_is_not_heard() -> None:
    assert wait(0, status=500, retry_after=60) == 5


def test_gone_is_gone() -> None:
    assert wait(0, status=410) is None


def event(action: Action, **details: Any) -> Event:
    return Event(
        id="event",
        action=action,
        at_ms=1_704_067_200_000,
        organization_id=OrganizationId("o"),
        actor=NOBODY,
        app="MyApp-iOS",
        app_id="app",
        deployment="Production",
        target="bob@example.com",
        details=details,
    )


def release(**fields: Any) -> dict[str, Any]:
    return {
        "label": "v1",
        "appVersion": "1.0.0",
        "description": "Bug fixes and improvements",
        "isMandatory": False,
        "isDisabled": False,
        "rollout": 100,
        "packageHash": "abc",
        "originalLabel": "v7",
        "originalDeployment": "Staging",
        **fields,
    }


def bodies(told: Event) -> list[Any]:
    return [orjson.loads(render(notice, Format.STANDARD)) for notice in notices(told)]


def test_a_release_is_told_exactly_as_in_the_reference() -> None:
    assert bodies(event(Action.DEPLOYMENT_RELEASED, release=release())) == [
        {
            "event": "deployment.released",
            "app": "MyApp-iOS",
            "deployment": "Production",
            "release": {
                "label": "v1",
                "appVersion": "1.0.0",
                "description": "Bug fixes and improvements",
            },
            "timestamp": "2024-01-01T00:00:00Z",
        }
    ]


def test_a_raised_rollout_is_told_beside_the_update() -> None:
    half = event(Action.RELEASE_UPDATED, release=release(rollout=50), previous={"rollout": 25})
    updated, advanced = bodies(half)
    assert updated["event"] == "release.updated"
    assert updated["changes"] == {"before": {"rollout": 25}, "after": {"rollout": 50}}
    assert advanced["event"] == "rollout.advanced"
    assert advanced["rollout"] == {"before": 25, "after": 50}
    whole = event(Action.RELEASE_UPDATED, release=release(), previous={"rollout": 25})
    assert [each["event"] for each in bodies(whole)] == ["release.updated", "rollout.completed"]


def test_a_long_description_is_told_whole_once() -> None:
    told = event(
        Action.RELEASE_UPDATED,
        release=release(description="new" * 3_000),
        previous={"description": "x" + "old" * 3_000, "isMandatory": True},
    )
    [updated] = bodies(told)
    assert updated["release"]["description"] == "new" * 3_000
    before, after = updated["changes"]["before"], updated["changes"]["after"]
    assert (len(before["description"]), len(after["description"])) == (200, 200)
    assert before["description"].endswith("old…")
    assert (before["isMandatory"], after["isMandatory"]) == (True, False)


def test_other_updates_tell_of_no_rollout() -> None:
    down = event(Action.RELEASE_UPDATED, release=release(rollout=10), previous={"rollout": 25})
    text = event(Action.RELEASE_UPDATED, release=release(), previous={"description": "x"})
    for told in (down, text):
        assert [each["event"] for each in bodies(told)] == ["release.updated"]


def test_what_the_audit_log_alone_is_for_is_not_told() -> None:
    told = {notice.event for action in Action for notice in notices(sample(action))}
    assert told == {*SUBSCRIBABLE} - {WebhookEvent.ROLLOUT_ADVANCED}
    assert notices(event(Action.TOKEN_CREATED)) == ()


def sample(action: Action) -> Event:
    return event(action, release=release(), previous={"rollout": 25})


WEBHOOK = Webhook(
    WebhookId("w"), OrganizationId("o"), "url", Format.STANDARD, created_at_ms=0, created_by=""
)
NOTICE = Notice(WebhookEvent.DEPLOYMENT_RELEASED, {}, "app", "Production")


@pytest.mark.parametrize(
    ("fields", "wants"),
    [
        ({}, True),
        ({"events": frozenset({WebhookEvent.DEPLOYMENT_RELEASED})}, True),
        ({"events": frozenset({WebhookEvent.APP_CREATED})}, False),
        ({"app_id": AppId("app")}, True),
        ({"app_id": AppId("other")}, False),
        ({"deployment": "Production"}, True),
        ({"deployment": "Staging"}, False),
    ],
)
def test_a_webhook_is_told_of_what_it_wants(fields: dict[str, Any], wants: bool) -> None:
    assert replace(WEBHOOK, **fields).wants(NOTICE) is wants


def test_the_id_of_a_delivery_follows_from_what_it_tells_to_whom() -> None:
    ids = {
        delivery_id("e", WebhookEvent.RELEASE_UPDATED, WebhookId("w")),
        delivery_id("e", WebhookEvent.RELEASE_UPDATED, WebhookId("x")),
        delivery_id("f", WebhookEvent.RELEASE_UPDATED, WebhookId("w")),
        delivery_id("e", WebhookEvent.ROLLOUT_ADVANCED, WebhookId("w")),
        delivery_id("e", WebhookEvent.RELEASE_UPDATED, WebhookId("w")),
    }
    assert len(ids) == 4


CHATS = (Format.SLACK, Format.TEAMS, Format.DISCORD)


def text_of(body: Any, form: Format) -> str:
    if form is Format.SLACK:
        return str(body["text"])
    if form is Format.DISCORD:
        assert body["allowed_mentions"] == {"parse": []}
        return str(body["content"])
    [attachment] = body["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    return str(attachment["content"]["body"][0]["text"])


@pytest.mark.parametrize("form", CHATS)
def test_every_event_has_a_short_text_for_chats(form: Format) -> None:
    told = [notice for action in Action for notice in notices(sample(action))]
    half = event(Action.RELEASE_UPDATED, release=release(rollout=50), previous={"rollout": 25})
    told += [*notices(half), ping(0)]
    texts = {n.event: text_of(orjson.loads(render(n, form)), form) for n in told}
    assert set(texts) == set(WebhookEvent)
    for name, text in texts.items():
        assert "None" not in text
        assert "{" not in text
        assert name is WebhookEvent.PING or "MyApp" in text
    assert len(set(texts.values())) == len(texts)


@pytest.mark.parametrize("form", CHATS)
def test_long_texts_are_cut_to_what_chats_take(form: Format) -> None:
    long = release(description="<" * 10_000, appVersion="*" * 1_000, originalLabel="v1")
    told = event(Action.DEPLOYMENT_PROMOTED, release=long | {"originalDeployment": "_" * 1_000})
    [notice] = notices(told)
    text = text_of(orjson.loads(render(notice, form)), form)
    assert len(text) < 2_000
    assert "…" in text


def test_nobody_is_called_by_a_name_in_a_text() -> None:
    [notice] = notices(
        event(Action.DEPLOYMENT_RELEASED, release=release(description="<!channel> & @everyone"))
    )
    slack = text_of(orjson.loads(render(notice, Format.SLACK)), Format.SLACK)
    assert "&lt;!channel&gt; &amp; @everyone" in slack
    discord = text_of(orjson.loads(render(notice, Format.DISCORD)), Format.DISCORD)
    assert r"\@everyone" in discord


@pytest.mark.parametrize("form", CHATS)
def test_a_description_passes_for_no_message_of_this_server(form: Format) -> None:
    hostile = "fixes\r\nOther Production: all releases cleared\u2028\tOther: app deleted"
    [notice] = notices(
        event(Action.DEPLOYMENT_RELEASED, release=release(description=hostile)),
    )
    told = orjson.loads(render(notice, form))
    text = text_of(told, form)
    assert [line.partition(" ")[0] for line in text.splitlines()] == [
        "MyApp-iOS" if form is Format.SLACK else r"MyApp\-iOS",
        "fixes",
    ]
    assert form is not Format.SLACK or told["mrkdwn"] is False
