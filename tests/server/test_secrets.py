"""Whatever is secret is shown once to whom it belongs, and is nowhere else: greps everything."""

import io
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests

from codepush.server.sockets import socket_path
from tests.api_client import bundle
from tests.server.processes import Processes, connect, wait_for
from tests.server.real import RealServer

PASSWORD = "correct horse battery staple"
WRONG = "a mistyped horse, no staple"
CHANGED = "another horse, another staple"
OF_OPERATORS = {
    "METRICS_TOKEN": "a-token-of-the-collector",
    "SECRET_KEY": "what-the-secrets-of-webhooks-are-encrypted-with",
}


class Caller:
    """Makes requests, and keeps every byte that was answered."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.answers: list[tuple[str, str]] = []

    def __call__(self, method: str, path: str, token: str = "", **options: Any) -> Any:
        """Send a request and return the JSON of its answer."""
        headers = options.pop("headers", {})
        if token:
            headers["Authorization"] = f"Bearer {token}"
        response = requests.request(
            method, f"{self.url}{path}", headers=headers, timeout=30, **options
        )
        assert response.status_code < 500, (path, response.text)
        heard = "".join(f"{name}: {value}\n" for name, value in response.headers.items())
        self.answers.append((f"{method} {path}", heard + response.text))
        try:
            return response.json()
        except ValueError:
            return {}


@pytest.fixture
def server(processes: Processes) -> Iterator[RealServer]:
    running = RealServer(
        processes,
        LOG_LEVEL="debug",
        LOG_FORMAT="json",
        ACCESS_LOG="all",
        WEBHOOK_ALLOW_HTTP="1",
        WEBHOOK_ALLOWED_NETWORKS="127.0.0.0/8",
        **OF_OPERATORS,
        REGISTRATION="open",
        WEB_CONCURRENCY="1",
    )
    yield running
    if running.process.poll() is None:
        running.stop()


def values(url: str) -> Iterator[str]:
    """Every key and value in Redis, as text."""
    redis = connect(url)
    read = {
        "string": redis.get,
        "hash": redis.hgetall,
        "set": redis.smembers,
        "zset": lambda key: redis.zrange(key, 0, -1),
        "stream": redis.xrange,
        "list": lambda key: redis.lrange(key, 0, -1),
    }
    for key in redis.scan_iter():
        kind = redis.type(key).decode()
        yield f"{key!r} {read[kind](key)!r}"


def use_every_secret(call: Caller, first: str) -> dict[str, tuple[str, int]]:
    """Make, use and misuse secrets; return each with how often answers may show it."""
    secrets: dict[str, tuple[str, int]] = {"first access key": (first, 0)}
    v1 = "/api/v1"
    form = {"email": "ann@example.com", "password": PASSWORD}
    session = call("POST", f"{v1}/auth/register", json=form)["accessToken"]
    secrets["password"] = (PASSWORD, 0)
    secrets["session of registering"] = (session, 1)
    for password in (WRONG, PASSWORD[:-1]):
        call("POST", f"{v1}/auth/login", json=form | {"password": password})
    secrets["wrong password"] = (WRONG, 0)
    call("POST", f"{v1}/auth/login", json=form | {"password": [PASSWORD], "extra": WRONG})
    call("POST", f"{v1}/auth/login", data=f"{PASSWORD}{{", headers={"Content-Type": "text/plain"})
    call("POST", f"{v1}/auth/login", data=f'{{"password": "{PASSWORD}"')
    again = call("POST", f"{v1}/auth/login", json=form)["accessToken"]
    secrets["session of logging in"] = (again, 1)
    page = call("POST", "/auth/login", data={"email": "ann@example.com", "password": WRONG})
    assert page == {}
    change = {"password": CHANGED, "currentPassword": PASSWORD}
    call("PATCH", f"{v1}/account", again, json={"password": CHANGED, "currentPassword": WRONG})
    call("PATCH", f"{v1}/account", again, json=change)
    secrets["new password"] = (CHANGED, 0)
    # Changing a password may end other sessions; whichever lives goes on.
    call("POST", "/auth/login", data={"email": "ann@example.com", "password": CHANGED})
    shown = re.search(r"[\w-]{40,}", call.answers[-1][1].split("\n\n")[-1].split("<main", 1)[-1])
    assert shown, "the page shows a new access key"
    assert call("GET", "/account", shown[0])["account"]["email"] == "ann@example.com"
    secrets["access key of the page"] = (shown[0], 1)
    cli = call("POST", "/accessKeys", first, json={"friendlyName": "CI", "ttl": 60_000})
    secrets["access key of the CLI"] = (cli["accessKey"]["name"], 1)
    seed = call("POST", f"{v1}/auth/tokens", first, json={"friendlyName": "Seed"})
    secrets["access token"] = (seed["accessToken"], 1)
    call("POST", f"{v1}/organizations", first, json={"name": "Acme"})
    invitation = call(
        "POST",
        f"{v1}/organizations/Acme/invitations",
        first,
        json={"email": "ann@example.com", "role": "Owner"},
    )["token"]
    secrets["invitation"] = (invitation, 1)
    # Where nobody should put them, but somebody will.
    for path in (f"/accessKeys/{first}", f"{v1}/apps/{first}?access_token={first}"):
        requests.get(call.url + path, headers={"Authorization": f"Bearer {first}"}, timeout=30)
    for said in (OF_OPERATORS["METRICS_TOKEN"], first):
        call("GET", "/metrics", said)
    secrets |= {name: (value, 0) for name, value in OF_OPERATORS.items()}
    # Nobody listens there: each attempt fails, and is logged and kept.
    hook = call("POST", f"{v1}/webhooks", first, json={"url": "http://127.0.0.1:9/"})
    secrets["secret of a webhook"] = (hook["secret"], 1)
    path = f"{v1}/webhooks/{hook['webhook']['id']}"
    pinged = call("POST", f"{path}/ping", first)["delivery"]["id"]
    wait_for(
        lambda: call("GET", f"{path}/deliveries/{pinged}", first)["attempts"], "an attempt failed"
    )
    rotated = call("POST", f"{path}/rotate-secret", first)["secret"]
    secrets["rotated secret of a webhook"] = (rotated, 1)
    for each in ("", path.removeprefix(f"{v1}/webhooks"), f"/{hook['secret']}"):
        call("GET", f"{v1}/webhooks{each}", first)
    call("POST", f"{v1}/invitations/accept", first, json={"token": invitation + "x"})
    call("POST", f"{v1}/invitations/accept", shown[0], json={"token": invitation})
    call("POST", f"{v1}/invitations/accept", shown[0], json={"token": invitation})
    for path in ("/accessKeys", f"{v1}/auth/tokens", "/apps", f"{v1}/organizations/Acme/audit"):
        for token in (first, cli["accessKey"]["name"], seed["accessToken"], shown[0]):
            call("GET", path, token)
            call("GET", path, token[:-1])
            call("GET", path, f"{token} {token}")
            call("GET", path, headers={"Authorization": token})
            call("GET", path, headers={"Authorization": f"Basic {token}"})
    call("POST", "/apps", first, json={"name": "App"})
    files = {"package": ("package.zip", io.BytesIO(bundle("1")), "application/zip")}
    info = json.dumps({"appVersion": "1.0.0"})
    call(
        "POST",
        f"{v1}/apps/App/deployments/Staging/release",
        first,
        files=files,
        data={"packageInfo": info},
        headers={"Idempotency-Key": "once"},
    )
    call("DELETE", f"{v1}/auth/tokens/Seed", first)
    call("GET", "/apps", seed["accessToken"])
    call("POST", f"{v1}/auth/logout", again)
    call("GET", "/nowhere", first)
    call("PUT", "/apps", first)
    return secrets


def files_below(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def test_no_secret_is_in_a_log_an_error_or_a_value(server: RealServer, data_dir: Path) -> None:
    first = server.token
    call = Caller(server.url)
    secrets = use_every_secret(call, first)
    assert len({secret for secret, _ in secrets.values()}) == len(secrets) == 14
    time.sleep(0.5)  # for lines of the log that are still on their way
    everything = list(values(f"unix://{quote(str(socket_path(data_dir)))}"))
    assert any("ann@example.com" in value for value in everything), "these are the values"
    server.stop()
    log = "".join(server.output)
    assert log.count('"event": "request"') > len(call.answers) // 2, "the access log is on"
    assert "stopping the store" in log, "it is the whole log"
    assert str(server.token_file) in log, "where the first access key is"
    server.token_file.unlink()
    kept = [path.read_bytes() for path in files_below(data_dir)]
    assert any(b"ann@example.com" in content for content in kept), "the append-only file is there"
    for what, (secret, times_shown) in secrets.items():
        assert secret not in log, f"{what} is in the log"
        assert not [value for value in everything if secret in value], f"{what} is in Redis"
        assert not [1 for content in kept if secret.encode() in content], f"{what} is on the disk"
        answers = [request for request, answer in call.answers if secret in answer]
        assert len(answers) == (1 if times_shown else 0), f"{what} is in {answers}"
