"""An unknown token and a wrong one take the same path: nothing tells how near a guess is."""

import dataclasses
import shlex
import uuid
from typing import NamedTuple

import pytest
import redis as redis_py
from flask import Flask

from codepush.app import create_app
from codepush.domain.ids import new_secret
from codepush.settings import Settings
from tests.api_client import Account
from tests.conftest import FakeClock

DIALECTS = ["", "/v0.1/legacy", "/api/v1"]
OF_THE_MOMENT = {"Date", "X-RateLimit-Reset", "RateLimit", "X-Request-ID"}


class Seen(NamedTuple):
    """What one request did and got."""

    commands: list[tuple[str, int]]
    status: str
    headers: list[tuple[str, str]]
    body: bytes


class Watcher:
    """Makes requests, and hears from Redis itself which commands they led to."""

    def __init__(self, url: str) -> None:
        """Begin with an empty store."""
        self._client = redis_py.Redis.from_url(url)
        self._client.flushall()
        self._visitors = 0

    def get(self, app: Flask, path: str, token: str) -> Seen:
        """Request ``path`` from an address of its own, so that quotas stand the same each time."""
        self._visitors += 1
        with self._client.monitor() as monitor:
            answer = app.test_client().get(
                path,
                headers={"Authorization": f"Bearer {token}"},
                environ_overrides={"REMOTE_ADDR": f"192.0.2.{self._visitors}"},
            )
            end = uuid.uuid4().hex
            self._client.echo(end)
            commands = []
            while end not in (heard := monitor.next_command()["command"]):
                name, *arguments = shlex.split(heard)
                commands.append((name.upper(), len(arguments)))
        headers = [pair for pair in answer.headers if pair[0] not in OF_THE_MOMENT]
        return Seen(commands, answer.status, headers, answer.data)


def with_other(token: str, position: int) -> str:
    """Return ``token`` with another character at ``position``."""
    characters = list(token)
    characters[position] = "A" if characters[position] != "A" else "B"
    return "".join(characters)


@pytest.mark.parametrize("quota", [0, 1_000])
def test_an_unknown_token_and_a_wrong_one_take_the_same_path(
    quota: int, settings: Settings, queue_url: str, clock: FakeClock
) -> None:
    # One server, also where the store is a cluster: it is to tell all that it is asked.
    settings = dataclasses.replace(settings, redis_url=queue_url, quota_address_per_hour=quota)
    watcher = Watcher(queue_url)
    app = create_app(settings, clock)
    real = Account.create(app.extensions["codepush"], "alice@example.com").token
    rules = [rule for rule in app.url_map.iter_rules() if "GET" in (rule.methods or ())]
    compared = set()
    for path in [rule.rule for rule in rules if not rule.arguments]:
        watcher.get(app, path, real)  # from here on, connections and caches are as they are
        unknown = watcher.get(app, path, new_secret())
        if not unknown.status.startswith("401"):
            continue
        compared.add(path)
        assert ("GET", 1) in unknown.commands
        for position in (0, len(real) // 2, len(real) - 1):
            wrong = with_other(real, position)
            assert len(wrong) == len(real) == len(new_secret())
            assert watcher.get(app, path, wrong) == unknown, f"{path}, wrong at {position}"
        assert watcher.get(app, path, real).commands != unknown.commands, (
            "a good token takes another"
        )
    assert {f"{dialect}/account" for dialect in DIALECTS} < compared
