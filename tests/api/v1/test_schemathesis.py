"""schemathesis against a running server: every check, examples to stateful."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server

from codepush.domain.errors import UnauthorizedError
from codepush.domain.models import User
from codepush.services.container import Services
from tests.api.v1.client import BASE, SeedClient

ROOT = Path(__file__).parents[3]
ALWAYS = "Bearer always"


class Quiet(WSGIRequestHandler):
    """Writes no line for each request."""

    def log(self, *_: object) -> None:
        pass


class AlwaysLoggedIn:
    """Lets one token live on: the caller logs out and revokes tokens, as it should."""

    def __init__(self, app: Flask, user: User, token: str) -> None:
        self._serve = app.wsgi_app
        self._services: Services = app.extensions["codepush"]
        self._user = user
        self._token = token
        self._lock = threading.Lock()
        self._made = 0

    def __call__(self, environ: Any, start_response: Any) -> Any:
        if environ.get("HTTP_AUTHORIZATION") == ALWAYS:
            with self._lock:
                environ["HTTP_AUTHORIZATION"] = f"Bearer {self._good_token()}"
        return self._serve(environ, start_response)

    def _good_token(self) -> str:
        try:
            self._services.tokens.authenticate(self._token)
        except UnauthorizedError:
            self._made += 1
            self._token, _ = self._services.tokens.issue(
                self._user,
                self._user.organization_id,
                name=f"Again {self._made}",
                created_by="test",
            )
        return self._token


@pytest.fixture
def url(app: Flask, services: Services, seed: SeedClient) -> Iterator[str]:
    """A running server, with what the examples of the document name."""
    seed.another("user@example.com")
    seed.add_app("MyApp-iOS", platform="ios")
    for deployment in ("Production", "Staging"):
        seed.release(app="MyApp-iOS", deployment=deployment)
    seed.post("/auth/tokens", {"friendlyName": "My CLI Token"})
    user = services.accounts.find_user(seed.email)
    assert seed.token
    app.wsgi_app = AlwaysLoggedIn(app, user, seed.token)  # type: ignore[method-assign]
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}{BASE}/openapi.json"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_schemathesis_finds_nothing(url: str, tmp_path: Path) -> None:
    tally = tmp_path / "tally.json"
    config = Path(__file__).with_name("schemathesis.toml")
    ran = subprocess.run(
        [
            str(Path(sys.executable).with_name("st")),
            f"--config-file={config}",
            "run",
            url,
            f"--header=Authorization: {ALWAYS}",
            "--phases=examples,coverage,fuzzing,stateful",
            "--checks=all",
            "--seed=1",
            "--max-examples=8",
            "--no-shrink",
            "--generation-database=none",
            "--warnings=off",
            "--no-color",
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "SCHEMATHESIS_TALLY": str(tally)},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-20_000:] + ran.stderr
    answers: dict[str, dict[str, int]] = json.loads(tally.read_text("utf-8"))
    assert len(answers) == 43
    assert sum(sum(each.values()) for each in answers.values()) > 1_000
    untried = [name for name, each in answers.items() if not {"200", "201"} & set(each)]
    assert len(untried) < 5, f"these never went well: {untried}"
