"""Loaded by schemathesis: who calls, more checks, and a tally of what was answered."""

import atexit
import collections
import json
import os
from pathlib import Path
from typing import Any

import requests
import schemathesis

BEYOND_SCHEMAS = {
    "appVersion",  # a semver range
    "currentPassword",  # the right one
    "cursor",  # one that was given out
    "friendlyName",  # printable
    "name",  # more than white space
    "organization",
    "package",  # of a binary: a zip
    "publicKey",  # an RSA key
    "requireSignatures",  # not without a key
    "since",  # not too long ago
    "to",
    "until",  # later than since
    "url",  # one that may be called
}
LOGIN = json.loads(os.environ.get("SCHEMATHESIS_LOGIN", "{}"))
# Failed attempts to log in are many, after which nobody may try from where they came from.
FROM_ELSEWHERE = {"X-Forwarded-For": "192.0.2.7"}
_answers: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)


@schemathesis.auth(refresh_interval=None)
class Login:
    """Calls with a token that works: the caller logs out and revokes tokens, as it should."""

    token = ""
    is_doubtful = True

    def get(self, case: Any, context: Any) -> str:
        api = case.operation.schema.get_base_url().rstrip("/")
        if Login.is_doubtful and not self._works(api):
            answer = requests.post(
                f"{api}/auth/login", json=LOGIN, headers=FROM_ELSEWHERE, timeout=30
            )
            answer.raise_for_status()
            Login.token = answer.json()["accessToken"]
        Login.is_doubtful = False
        return Login.token

    def set(self, case: Any, data: str, context: Any) -> None:
        case.headers["Authorization"] = f"Bearer {data}"

    def _works(self, api: str) -> bool:
        headers = {"Authorization": f"Bearer {Login.token}"}
        answer = requests.get(f"{api}/account", headers=headers, timeout=30)
        assert answer.status_code in {200, 401}, answer.text
        return answer.status_code == 200


@schemathesis.hook
def after_call(context: Any, case: Any, response: Any) -> None:
    ends_tokens = response.request.method == "DELETE" or "logout" in case.path
    if response.status_code == 401 or (response.status_code == 200 and ends_tokens):
        Login.is_doubtful = True


@schemathesis.check
def valid_data_is_refused_only_for_what_no_schema_can_say(
    ctx: Any, response: Any, case: Any
) -> None:
    _answers[case.operation.label][str(response.status_code)] += 1
    if response.status_code == 400 and case.meta and case.meta.generation.mode.is_positive:
        error = json.loads(response.content)["error"]
        assert error["details"].get("parameter") in BEYOND_SCHEMAS, error


@schemathesis.check
def answers_are_json_that_no_cache_keeps(ctx: Any, response: Any, case: Any) -> None:
    if response.request.method == "OPTIONS":  # Flask answers it, with Allow
        return
    assert response.headers["content-type"] == ["application/json"]
    assert response.headers["cache-control"] == ["no-store"]


@atexit.register
def _write_down() -> None:
    if path := os.environ.get("SCHEMATHESIS_TALLY"):
        Path(path).write_text(json.dumps(_answers), "utf-8")
