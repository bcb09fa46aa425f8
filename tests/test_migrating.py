"""The calls that docs/migrating.md shows, made as they are written there."""

import re
import shlex
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient

from tests.api_client import Account, ApiClient

PAGE = Path(__file__).parents[1] / "docs" / "migrating.md"
SERVER = "https://codepush.example.com"
TAKES = {"-H": "header", "-X": "method", "-d": "body"}


def blocks() -> list[str]:
    text = PAGE.read_text("utf-8").replace("\\\n", " ")
    return re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def request(line: str, token: str) -> dict[str, Any]:
    """Return what a curl would send."""
    line = line.replace("$SERVER", SERVER).replace("$TOKEN", token)
    words = iter(shlex.split(line)[1:])
    found: dict[str, Any] = {"header": []}
    for word in words:
        if word in TAKES:
            value = next(words)
            if word == "-H":
                found["header"].append(tuple(value.split(": ", 1)))
            else:
                found[TAKES[word]] = value
        elif word != "--fail-with-body":
            assert word.startswith(SERVER), word
            found["path"] = word.removeprefix(SERVER)
    return found


def run(http: FlaskClient, block: str, token: str) -> list[int]:
    answers = []
    for line in block.splitlines():
        if line.startswith("curl "):
            sent = request(line, token)
            answer = http.open(
                sent["path"],
                method=sent.get("method", "POST" if "body" in sent else "GET"),
                headers=sent["header"],
                data=sent.get("body"),
            )
            answers.append(answer.status_code)
    return answers


def test_the_calls_that_keep_old_keys_keep_them(api: ApiClient, account: Account) -> None:
    assert f"SERVER={SERVER}\n" in PAGE.read_text("utf-8")
    classic, seed = blocks()
    assert run(api.http, classic, account.token) == [201, 201, 201]
    assert run(api.http, seed, account.token) == [201, 200, 201]
    kept = {
        ("MyApp", "Production"): "OLD-KEY-OF-PRODUCTION",
        ("MyApp", "Staging"): "OLD-KEY-OF-STAGING",
        ("OtherApp", "Production"): "OLD-KEY-OF-OTHERAPP",
    }
    for (app, deployment), key in kept.items():
        assert api.key(app, deployment) == key
        assert api.check(key)["is_available"] is False, "devices are known"
