"""Loaded by schemathesis: one check more, and a tally of what was answered."""

import atexit
import collections
import json
import os
from pathlib import Path
from typing import Any

import schemathesis

BEYOND_SCHEMAS = {
    "appVersion",  # a semver range
    "currentPassword",  # the right one
    "cursor",  # one that was given out
    "friendlyName",  # printable
    "name",  # more than white space
    "organization",
    "to",
}
_answers: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)


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
