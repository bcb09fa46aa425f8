"""schemathesis against the real server: every check, examples to stateful."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.api_client import bundle
from tests.server.processes import ROOT, Processes
from tests.server.real import RealServer

LOGIN = {"email": "ann@example.com", "password": "a password of hers"}


class Caller:
    """Requests of one user; each must go well."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/api/v1"
        self._headers: dict[str, str] = {}

    def register(self, **body: str) -> None:
        session = self.post("/auth/register", json=body)
        self._headers = {"Authorization": f"Bearer {session['accessToken']}"}

    def post(self, path: str, **options: Any) -> Any:
        answer = requests.post(self._url + path, headers=self._headers, timeout=30, **options)
        assert answer.status_code == 201, answer.text
        return answer.json()


@pytest.fixture
def url(processes: Processes) -> Iterator[str]:
    """A server, with what the examples of the document name."""
    server = RealServer(
        processes,
        REGISTRATION="open",
        QUOTA_USER_PER_HOUR="0",
        QUOTA_ADDRESS_PER_HOUR="0",
        TRUSTED_PROXIES="1",
    )
    Caller(server.url).register(email="user@example.com", password=LOGIN["password"])
    ann = Caller(server.url)
    ann.register(**LOGIN, organization="Acme")
    ann.post("/apps", json={"name": "MyApp-iOS", "platform": "ios"})
    for deployment in ("Production", "Staging"):
        ann.post(
            f"/apps/MyApp-iOS/deployments/{deployment}/release",
            files={"package": ("package.zip", bundle(), "application/zip")},
            data={"packageInfo": json.dumps({"appVersion": "1.0.0"})},
        )
    ann.post("/auth/tokens", json={"friendlyName": "My CLI Token"})
    yield server.url
    server.stop()


def test_schemathesis_finds_nothing(url: str, tmp_path: Path) -> None:
    tally = tmp_path / "tally.json"
    config = Path(__file__).with_name("schemathesis.toml")
    hooks = {"SCHEMATHESIS_TALLY": str(tally), "SCHEMATHESIS_LOGIN": json.dumps(LOGIN)}
    ran = subprocess.run(
        [
            str(Path(sys.executable).with_name("st")),
            f"--config-file={config}",
            "run",
            f"{url}/api/v1/openapi.json",
            "--phases=examples,coverage,fuzzing,stateful",
            "--checks=all",
            "--seed=1",
            "--max-examples=6",
            "--no-shrink",
            "--generation-database=none",
            "--warnings=off",
            "--no-color",
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), **hooks},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-20_000:] + ran.stderr
    answers: dict[str, dict[str, int]] = json.loads(tally.read_text("utf-8"))
    operations = requests.get(f"{url}/api/v1/openapi.json", timeout=30).json()["paths"]
    methods = {"get", "post", "put", "patch", "delete"}
    assert len(answers) == sum(len(methods & each.keys()) for each in operations.values())
    assert sum(sum(each.values()) for each in answers.values()) > 1_000
    untried = [name for name, each in answers.items() if not {"200", "201"} & set(each)]
    assert len(untried) < 5, f"these never went well: {untried}"
