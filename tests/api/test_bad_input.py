"""Nonsense of every kind, sent to every route: refused with a sentence, and nothing comes of it."""

import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from codepush.app import create_app
from codepush.settings import load_settings
from codepush.store.connection import StoreClient
from tests.api_client import Account, ApiClient, bundle, lasting_keys

STAGING = "/apps/App/deployments/Staging"
RELEASE = f"{STAGING}/release"
MODERN = "/v0.1/public/codepush"

UNFINISHED_SENTENCES = {
    "The specified e-mail address doesn't represent a registered user",
}
"""Those of the reference server that lack a full stop."""

INTERNALS = re.compile(
    r"Traceback|<class|<function|object at 0x|File \"|\.py\b|site-packages|werkzeug|marshmallow"
    r"|orjson|redis|Error\(|Exception\b|\bNone\b|\bdict\b|b'"
)


class World:
    """One app, one release, one access key and one collaborator, for all cases.

    It is made once: a refused request changes nothing, which is what is tested here.
    """

    def __init__(self, redis_url: str, queue_url: str, client: StoreClient, folder: Path) -> None:
        self._client = client
        self.app = create_app(
            load_settings(
                {
                    "CODEPUSH_ENV": "testing",
                    "REDIS_URL": redis_url,
                    "QUEUE_URL": queue_url,
                    "DATA_DIR": str(folder),
                    "MAX_PACKAGE_MB": "1",
                }
            )
        )
        self.http = self.app.test_client()
        self.folder = folder
        self.rebuild()

    def rebuild(self) -> None:
        self._client.flushall()  # type: ignore[attr-defined]
        services = self.app.extensions["codepush"]
        self.api = ApiClient(self.http, Account.create(services, "alice@example.com"))
        self.api.another(services, "bob@example.com")
        self.api.add_app()
        self.api.call("POST", "/apps/App/collaborators/bob@example.com", expect=201)
        self.api.call("POST", "/accessKeys", {"friendlyName": "CI"}, expect=201)
        self.api.release(bundle("1"))
        self.key = self.api.key()
        self.before = self.state()

    def state(self) -> object:
        """Return all that can be seen of the store and the disk."""
        keys = lasting_keys(self._client)
        files = sorted(str(path) for path in self.folder.rglob("*"))
        return keys, files, *(
            self.api.get(path)
            for path in ("/apps", "/accessKeys", "/apps/App/deployments", f"{STAGING}/history",
                         "/apps/App/deployments/Production/history", f"{STAGING}/metrics")
        )  # fmt: skip


@pytest.fixture(scope="module")
def world(
    redis_url: str,
    queue_url: str,
    shared_client: StoreClient,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[World]:
    yield World(redis_url, queue_url, shared_client, tmp_path_factory.mktemp("bad") / "var")
    shared_client.flushall()  # type: ignore[attr-defined]


def refuse(world: World, response: TestResponse, expect: set[int]) -> None:
    """Check an answer against what every answer to nonsense must be."""
    status = response.status_code
    sentence = response.get_data(as_text=True)
    assert status in expect, (status, sentence[:300])
    assert status < 500
    if status < 400:
        if response.request.method not in {"GET", "HEAD", "OPTIONS"}:
            world.rebuild()
        return
    assert response.content_type == "text/plain; charset=utf-8"
    if response.request.method != "HEAD":
        assert sentence.strip()
        assert (
            sentence.endswith((".", '."', "!"))
            or sentence in UNFINISHED_SENTENCES
            or sentence.startswith("Invalid status: ")
        ), sentence[:300]
        assert len(sentence) < 2_000 or "x" * 1_000 in sentence
        assert not INTERNALS.search(sentence), sentence[:300]
    assert world.state() == world.before


@dataclass(frozen=True)
class Case:
    name: str
    method: str
    path: str
    expect: set[int]
    options: dict[str, Any] = field(default_factory=dict)


CASES: list[Case] = []


def case(name: str, method: str, path: str, expect: int | set[int], **options: Any) -> None:
    expected = {expect} if isinstance(expect, int) else expect
    CASES.append(Case(f"{name}: {method} {path[:50]}", method, path, expected, options))


# Bodies that are no JSON object, to every route that reads one.

JSON_ROUTES = [
    ("POST", "/accessKeys"),
    ("PATCH", "/accessKeys/CI"),
    ("POST", "/apps"),
    ("PATCH", "/apps/App"),
    ("POST", "/apps/App/deployments"),
    ("PATCH", STAGING),
    ("PATCH", RELEASE),
    ("POST", f"{STAGING}/promote/Production"),
    ("POST", "/reportStatus/deploy"),
    ("POST", "/reportStatus/download"),
    ("POST", f"{MODERN}/report_status/deploy"),
    ("POST", f"{MODERN}/report_status/download"),
]
NO_OBJECTS = {
    "cut off": b'{"name": "x"',
    "cut off in a text": b'{"name": "x',
    "one brace": b"{",
    "white space": b"   ",
    "a list": b"[]",
    "a list of objects": b'[{"name": "x"}]',
    "null": b"null",
    "a text": b'"name"',
    "a number": b"1",
    "true": b"true",
    "NaN": b'{"name": NaN}',
    "infinity": b'{"name": -Infinity}',
    "single quotes": b"{'name': 'x'}",
    "a comma too many": b'{"name": "x",}',
    "two objects": b'{"name": "x"}{"name": "y"}',
    "a comment": b'{"name": "x"} // x',
    "a byte order mark": b'\xef\xbb\xbf{"name": "x"}',
    "UTF-16": '{"name": "x"}'.encode("utf-16"),
    "bytes that are no UTF-8": b'{"name": "\xff\xfe"}',
    "Latin-1": '{"name": "ä"}'.encode("latin-1"),
    "an overlong NUL": b'{"name": "\xc0\x80"}',
    "a bare control character": b'{"name": "a\nb"}',
    "a bare NUL": b'{"name": "a\0b"}',
    "a lone surrogate": b'{"name": "\\ud800"}',
    "swapped surrogates": b'{"name": "\\udc00\\ud800"}',
    "a bad escape": b'{"name": "\\x"}',
    "lists in lists": b'{"name":' + b"[" * 30_000 + b"]" * 30_000 + b"}",
    "objects in objects": b'{"name":' * 5_000 + b"1" + b"}" * 5_000,
    "a form": b"name=x&friendlyName=y",
    "XML": b"<?xml version='1.0'?><name>x</name>",
    "zeros": bytes(1_000),
}
for _name, _body in NO_OBJECTS.items():
    for _method, _path in JSON_ROUTES:
        case(_name, _method, _path, 400, data=_body)
for _method, _path in JSON_ROUTES:
    case("a huge body", _method, _path, 413, data=b'{"name": "' + b"x" * 70_000 + b'"}')
    case("100,000 lists in lists", _method, _path, 413, data=b"[" * 100_000)


# Objects whose fields are nonsense.

NO_TEXTS: list[Any] = [1, 1.5, True, [], ["x"], {}, {"a": 1}, 10**30]
for _value in NO_TEXTS:
    case(f"name {_value!r}", "POST", "/apps", 400, json={"name": _value})
    case(f"name {_value!r}", "PATCH", "/apps/App", 400, json={"name": _value})
    case(f"name {_value!r}", "POST", "/apps/App/deployments", 400, json={"name": _value})
    case(f"name {_value!r}", "PATCH", STAGING, 400, json={"name": _value})
    case(f"name {_value!r}", "POST", "/accessKeys", 400, json={"friendlyName": _value})
    case(f"name {_value!r}", "PATCH", "/accessKeys/CI", 400, json={"friendlyName": _value})
    case(f"os {_value!r}", "POST", "/apps", 400, json={"name": "New", "os": _value})
    case(f"key {_value!r}", "POST", "/apps/App/deployments", 400,
         json={"name": "New", "key": _value})  # fmt: skip
    case(f"createdBy {_value!r}", "POST", "/accessKeys", 400,
         json={"friendlyName": "New", "createdBy": _value})  # fmt: skip
    for _field in ("appVersion", "description", "label"):
        case(f"{_field} {_value!r}", "PATCH", RELEASE, 400, json={"packageInfo": {_field: _value}})

BAD_NAMES = {
    "empty": "",
    "white": " \t",
    "no-break": "\u00a0",
    "slash": "a/b",
    "backslash": "a\\b",
    "question mark": "a?b",
    "colon": "a:b",
    "NUL": "a\0b",
    "new line": "a\r\nLocation: http://evil.example",
    "escape": "\x1b[31m",
    "delete": "\x7f",
    "C1 control": "\x85",
    "huge": "x" * 1_001,
    "very huge": "x" * 60_000,
    "huge in UTF-16": "😀" * 1_001,
}
for _name, _value in BAD_NAMES.items():
    case(f"name: {_name}", "POST", "/apps", 400, json={"name": _value})
    case(f"name: {_name}", "PATCH", "/apps/App", 400, json={"name": _value})
    case(f"name: {_name}", "POST", "/apps/App/deployments", 400, json={"name": _value})
    case(f"name: {_name}", "PATCH", STAGING, 400, json={"name": _value})
for _value in ("", " ", "a\0b", "a\nb", "\x1b[31m", "\u202e", "x" * 10_001):
    case(f"friendlyName {_value[:9]!r}", "POST", "/accessKeys", 400, json={"friendlyName": _value})
for _value in (" ", "a\0b", "a\nb", "\x1b[31m", "\u202e", "x" * 10_001):
    case(f"friendlyName {_value[:9]!r}", "PATCH", "/accessKeys/CI", 400,
         json={"friendlyName": _value})  # fmt: skip
for _value in ("5", "x", 1.5, True, [], {}, -1, -(10**30), 10**15, 10**30, 1e300):
    case(f"ttl {_value!r}", "POST", "/accessKeys", 400, json={"friendlyName": "New", "ttl": _value})
    case(f"ttl {_value!r}", "PATCH", "/accessKeys/CI", 400, json={"ttl": _value})
case("an integer of 5,000 digits", "POST", "/accessKeys", 400,
     data=b'{"friendlyName": "New", "ttl": ' + b"9" * 5_000 + b"}")  # fmt: skip
case("a float beyond all", "POST", "/accessKeys", 400,
     data=b'{"friendlyName": "New", "ttl": 1e400}')  # fmt: skip
for _value in ("true", "", 1, 0, 1.0, [], {}, "yes"):
    case(f"manual {_value!r}", "POST", "/apps", 400,
         json={"name": "New", "manuallyProvisionDeployments": _value})  # fmt: skip
    for _field in ("isDisabled", "isMandatory"):
        case(f"{_field} {_value!r}", "PATCH", RELEASE, 400, json={"packageInfo": {_field: _value}})
for _value in (
    "",
    "0",
    "101",
    "050",
    "5 ",
    "+5",
    "5.0",
    "٥",
    "1e2",
    0,
    -1,
    101,
    5.5,
    1e300,
    True,
    [],
    {},
):
    case(f"rollout {_value!r}", "PATCH", RELEASE, 400, json={"packageInfo": {"rollout": _value}})
for _value in ("7", "v0", "v07", "v", "V1", "v1 ", "v1\n", "vv1", "v١", "v" + "9" * 400, "latest"):
    case(f"label {_value[:9]!r}", "PATCH", RELEASE, 400, json={"packageInfo": {"label": _value}})
    case(f"label {_value[:9]!r}", "POST", f"{STAGING}/promote/Production", 400,
         json={"packageInfo": {"label": _value}})  # fmt: skip
for _value in ([], "", "x", 1, True, [{}]):
    case(f"packageInfo {_value!r}", "PATCH", RELEASE, 400, json={"packageInfo": _value})
    case(f"packageInfo {_value!r}", "POST", f"{STAGING}/promote/Production", 400,
         json={"packageInfo": _value})  # fmt: skip
case(
    "a huge description", "PATCH", RELEASE, 400, json={"packageInfo": {"description": "x" * 10_001}}
)

BAD_RANGES = [
    "one", "1.2.3.4", "^", ">", "||||^", "latest", "1.0.0 ||| 2", ">1 <", "x.1", "１.０", "v",
    "1.0.0-", "1.0.0-01", "01.0.0", "1..0", ".1", "1.", "-1", "1,0", "1.0.0\0", "1.0.0;", "😀",
    "9" * 21,
    "^^1.0.0", "~^1", "1.0.0 - ", "x" * 256, "* " * 200, "1 || " * 100, "$(id)", "1.0.0' OR 1=1",
]  # fmt: skip
for _value in BAD_RANGES:
    case(
        f"range {_value[:20]!r}",
        "PATCH",
        RELEASE,
        400,
        json={"packageInfo": {"appVersion": _value}},
    )
    case(f"range {_value[:20]!r}", "POST", f"{STAGING}/promote/Production", 400,
         json={"packageInfo": {"appVersion": _value}})  # fmt: skip
for _value in (
    "x" * 9,
    "x" * 101,
    "with space",
    "tab\there",
    "ключключключ",
    "a" * 10 + "\n",
    "../../etc",
    "😀" * 10,
):
    case(
        f"key {_value[:9]!r}",
        "POST",
        "/apps/App/deployments",
        400,
        json={"name": "New", "key": _value},
    )
case("a field twice, the last one bad", "POST", "/apps", 400, data=b'{"name": "New", "name": 1}')
case("a field twice, both good", "PATCH", "/apps/App", 200, data=b'{"name": "A", "name": "B"}')
case("an attribute of objects", "POST", "/apps", 400, data=b'{"__class__": "x", "__proto__": {}}')
case("no body", "POST", "/apps", 400)
case("no body", "POST", "/apps/App/deployments", 400)
case("no body", "POST", "/accessKeys", 400)
case("no body", "PATCH", RELEASE, 204)


# Uploads.


def part(name: str, content: bytes, filename: str | None = None, boundary: str = "b") -> bytes:
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"'
    if filename is not None:
        head += f'; filename="{filename}"'
    return f"{head}\r\n\r\n".encode() + content + b"\r\n"


INFO = part("packageInfo", b'{"appVersion": "1.0.0"}')
FILE = part("package", bundle("2"), "p.zip")
END = b"--b--\r\n"
FORM = "multipart/form-data; boundary=b"


def upload(
    name: str, body: bytes, expect: int | set[int] = 400, kind: str | None = FORM, **more: Any
) -> None:
    headers = {} if kind is None else {"Content-Type": kind}
    case(name, "POST", RELEASE, expect, data=body, headers=headers, **more)


upload("nothing", b"")
upload("an end alone", END)
upload("two line breaks", b"\r\n\r\n")
upload("no boundary", FILE + INFO + END, kind="multipart/form-data")
upload("an empty boundary", FILE + INFO + END, kind="multipart/form-data; boundary=")
upload("an empty quoted boundary", FILE + INFO + END, kind='multipart/form-data; boundary=""')
upload("another boundary", FILE + INFO + END, kind="multipart/form-data; boundary=other")
upload("a boundary that is no ASCII", FILE + INFO + END, kind="multipart/form-data; boundary=ä")
upload("a huge boundary", FILE, kind=f"multipart/form-data; boundary={'x' * 5_000}")
upload("a boundary twice", FILE, kind="multipart/form-data; boundary=b; boundary=c")
upload("multipart/mixed", FILE + INFO + END, kind="multipart/mixed; boundary=b")
upload("no content type", FILE + INFO + END, kind=None)
upload("an empty content type", FILE + INFO + END, kind="")
upload("JSON", b'{"packageInfo": {"appVersion": "1.0.0"}}', kind="application/json")
upload("the zip itself", bundle("2"), kind="application/zip")
upload("a form of the other kind", b"package=x&packageInfo=y",
       kind="application/x-www-form-urlencoded")  # fmt: skip
upload("a content type that is none", FILE, kind="\x7f;;=;")
upload("cut off in the headers", FILE[:30])
upload("cut off in the file", INFO + FILE[:-100])
upload("cut off before the end", INFO + FILE)
upload("cut off in the end", INFO + FILE + b"--b")
upload("no file", INFO + END)
upload("the file in another part", part("file", bundle("2"), "p.zip") + INFO + END)
upload("the file without a name", part("package", bundle("2")) + INFO + END)
upload("the file with an empty name", part("package", bundle("2"), "") + INFO + END, {201, 400})
upload("an empty file", part("package", b"", "p.zip") + INFO + END)
upload("a file of which nothing is left", part("package", bundle("2")[:40], "p.zip") + INFO + END)
upload("a zip cut off", part("package", bundle("2")[:-20], "p.zip") + INFO + END)
upload("30 parts", b"".join(part(f"p{n}", b"x") for n in range(30)) + FILE + INFO + END)
upload("30 files", b"".join(part(f"p{n}", b"x", "f") for n in range(30)) + FILE + INFO + END)
upload("10,000 parts", b"".join(part("p", b"x") for n in range(10_000)) + END)
upload("a huge field", FILE + part("packageInfo", b"x" * 300_000) + END)
upload("a huge other field", part("other", b"x" * 300_000) + FILE + INFO + END)
upload("huge headers of a part", b"--b\r\nX: " + b"x" * 300_000 + b"\r\n\r\n1\r\n" + END)
upload("headers without an end", b"--b\r\nContent-Disposition: form-data")
upload("a part without a name", b"--b\r\nContent-Disposition: form-data\r\n\r\n1\r\n" + INFO + END)
upload("a part without headers", b"--b\r\n\r\n1\r\n" + INFO + END)
upload("a disposition that is none", b"--b\r\nContent-Disposition: ;;;\r\n\r\n1\r\n" + INFO + END)
upload("NUL in the name of a part", part("pack\0age", bundle("2"), "p.zip") + INFO + END)
BASE64 = b'--b\r\nContent-Disposition: form-data; name="package"; filename="p"\r\n'
BASE64 += b"Content-Transfer-Encoding: base64\r\n\r\nUEsDBA==\r\n"
upload("a part in base64", BASE64 + INFO + END, {201, 400})
upload("no packageInfo", FILE + END)
upload("packageInfo as a file", FILE + part("packageInfo", b'{"appVersion": "1.0.0"}', "i") + END)
NONSENSE = b'--b\r\nContent-Disposition: form-data; name="packageInfo"\r\n'
NONSENSE += b"Content-Type: text/plain; charset=nonsense\r\n\r\n{\r\n"
upload("packageInfo with an unknown charset", FILE + NONSENSE + END)
upload("over the limit", part("package", bytes(1_000_001), "p") + INFO + END, 413)
upload("far over the limit", part("package", bytes(2_500_000), "p") + INFO + END, 413)
upload("two packages", FILE + part("package", b"other", "q") + INFO + END, {201, 400})
upload("a length that is none", FILE + INFO + END, environ_overrides={"CONTENT_LENGTH": "abc"})
upload("a negative length", FILE + INFO + END, environ_overrides={"CONTENT_LENGTH": "-5"})
upload("a length too short", FILE + INFO + END, environ_overrides={"CONTENT_LENGTH": "50"})
upload("a length too long", FILE + INFO + END, {201, 400},
       environ_overrides={"CONTENT_LENGTH": "999999"})  # fmt: skip
upload("a length beyond all", FILE + INFO + END, 413,
       environ_overrides={"CONTENT_LENGTH": "9" * 30})  # fmt: skip
for _name, _body in {
    "no JSON": b"appVersion=1.0.0",
    "cut off": b'{"appVersion": "1.0.0"',
    "a list": b'[{"appVersion": "1.0.0"}]',
    "null": b"null",
    "a text": b'"1.0.0"',
    "empty": b"",
    "an empty object": b"{}",
    "NaN": b'{"appVersion": "1.0.0", "rollout": NaN}',
    "UTF-16": '{"appVersion": "1.0.0"}'.encode("utf-16"),
    "a byte order mark": b'\xef\xbb\xbf{"appVersion": "1.0.0"}',
    "a lone surrogate": b'{"appVersion": "1.0.0", "description": "\\ud800"}',
    "lists in lists": b"[" * 100_000,
    "objects in objects": b'{"appVersion":' * 15_000,
    "an integer of 5,000 digits": b'{"appVersion": "1.0.0", "rollout": ' + b"9" * 5_000 + b"}",
    "nested once more": b'{"packageInfo": {"appVersion": "1.0.0"}}',
    "a null version": b'{"appVersion": null}',
    "a bad label": b'{"appVersion": "1.0.0", "label": "x"}',
    "a bad rollout": b'{"appVersion": "1.0.0", "rollout": "all"}',
    "a huge description": json.dumps({"appVersion": "1", "description": "x" * 10_001}).encode(),
}.items():
    upload(f"packageInfo: {_name}", FILE + part("packageInfo", _body) + END)
LATIN = part("packageInfo", b'{"appVersion": "1.0.0", "description": "\xff"}')
upload("packageInfo that is no UTF-8", FILE + LATIN + END, {201, 400})
for _value in BAD_RANGES:
    _body = json.dumps({"appVersion": _value}).encode()
    upload(f"packageInfo for {_value[:20]!r}", FILE + part("packageInfo", _body) + END)


# Methods, paths and queries.

for _method, _path in [
    ("PUT", "/apps"), ("DELETE", "/apps"), ("PATCH", "/apps"), ("PUT", "/apps/App"),
    ("POST", "/apps/App"), ("POST", "/account"), ("DELETE", "/authenticated"),
    ("PUT", "/accessKeys"), ("DELETE", "/accessKeys"), ("POST", "/accessKeys/CI"),
    ("GET", "/sessions/x"), ("GET", RELEASE),
    ("PUT", RELEASE), ("DELETE", RELEASE), ("GET", "/apps/App/transfer/bob@example.com"),
    ("GET", f"{STAGING}/rollback"), ("PUT", f"{STAGING}/history"), ("POST", f"{STAGING}/history"),
    ("POST", f"{STAGING}/metrics"), ("GET", f"{STAGING}/promote/Production"),
    ("PATCH", "/apps/App/collaborators/bob@example.com"), ("POST", "/updateCheck"),
    ("GET", "/reportStatus/deploy"), ("PUT", "/reportStatus/download"), ("DELETE", "/updateCheck"),
    ("POST", f"{MODERN}/update_check"), ("GET", f"{MODERN}/report_status/deploy"),
    ("POST", "/"), ("DELETE", "/health"), ("PUT", "/auth/login"), ("DELETE", "/blobs/a/b"),
    ("TRACE", "/apps"), ("CONNECT", "/apps"), ("BREW", "/apps"), ("PROPFIND", "/"),
    ("get", "/apps"),
]:  # fmt: skip
    case("a wrong method", _method, _path, {200} if _method == "get" else {404, 405}, json={})

for _path in [
    "/nothing", "/apps/App/nothing", f"{STAGING}/nothing", "/v0.1", "/v0.1/", "/v0.1/legacy",
    "/v0.1/legacy/nothing", MODERN, f"{MODERN}/nothing", "/favicon.ico", "/.env", "/.git/config",
    "/wp-login.php", "/static/x", "/apps/App/deployments/Staging/release/v1", "/APPS", "/apis",
    "/apps/a/b/c/d/e/f/g/h", "/apps/App/promote/x", "/reportStatus", "/blobs", "/auth",
]:  # fmt: skip
    for _method in ("GET", "POST"):
        case("an unknown path", _method, _path, {404, 405})

RAW_SEGMENTS = {
    "a byte that is no UTF-8": "\xff",
    "an overlong slash": "\xc0\xaf",
    "half a character": "\xf0\x9f",
    "NUL": "\0",
    "new lines": "a\r\nb",
    "a lone surrogate in UTF-8": "\xed\xa0\x80",
    "all of Latin-1's controls": "".join(map(chr, range(1, 32))),
    "huge": "x" * 50_000,
    "dots": "..",
    "a percent sign": "%",
    "percent-encoding twice": "%2F%2e%2e%00",
    "a right-to-left override": "\xe2\x80\xae",
    "many colons": ":" * 500,
    "many tildes": "~" * 500,
    "an owner that is none": ":App",
    "Redis's own signs": "{a:App}*[x]|",
}
for _name, _segment in RAW_SEGMENTS.items():
    for _method, _path in [
        ("GET", "/apps/{}"), ("DELETE", "/apps/{}"), ("GET", "/apps/{}/deployments/Staging"),
        ("GET", "/apps/App/deployments/{}"), ("DELETE", "/apps/App/deployments/{}"),
        ("GET", "/apps/App/deployments/{}/history"), ("POST", STAGING + "/rollback/{}"),
        ("POST", STAGING + "/promote/{}"), ("POST", "/apps/App/collaborators/{}"),
        ("DELETE", "/apps/App/collaborators/{}"), ("POST", "/apps/App/transfer/{}"),
        ("GET", "/accessKeys/{}"), ("DELETE", "/accessKeys/{}"), ("DELETE", "/sessions/{}"),
        ("GET", "/blobs/{}"), ("POST", "/apps/App/deployments/{}/release"),
    ]:  # fmt: skip
        case(f"{_name}: {_path}", _method, "/", {400, 404},
             environ_overrides={"PATH_INFO": _path.format(_segment)})  # fmt: skip
for _path in ("/apps//deployments", "//apps", f"//{STAGING}", "/apps/App//deployments"):
    case("two slashes", "GET", "/", {200, 308, 404}, environ_overrides={"PATH_INFO": _path})

# A redirect repeats the query in a header, where a line break cannot stand.
for _path in ("/apps//deployments", "/apps//x", "/accessKeys//x", "/apps", "/nothing"):
    for _name, _sign in {"a line feed": "a\nb", "a carriage return": "\r", "NUL": "\0"}.items():
        case(f"{_name} in the query", "GET", "/", 400,
             environ_overrides={"PATH_INFO": _path, "QUERY_STRING": _sign})  # fmt: skip
    case("an encoded line break", "GET", "/", {200, 308, 404},
         environ_overrides={"PATH_INFO": f"{_path}\r\n", "QUERY_STRING": "a=%0d%0a"})  # fmt: skip

CHECK = {"deployment_key": "KEY", "app_version": "1.0.0"}
for _path in ("/updateCheck", f"{MODERN}/update_check"):
    for _name, _query in {
        "nothing": b"",
        "signs alone": b"&&&===&;?",
        "bad percent-encoding": b"deployment_key=%&app_version=%zz",
        "bytes that are no UTF-8": b"deployment_key=%ff%fe&app_version=1.0.0",
        "raw bytes": b"deployment_key=\xff&app_version=\xfe",
        "NUL": b"deployment_key=KEY%00&app_version=1.0.0",
        "NUL in the version": b"deployment_key=KEY&app_version=1.0.0%00",
        "a key twice": b"deployment_key=KEY&deployment_key=KEY&app_version=1.0.0",
        "a version twice": b"deployment_key=KEY&app_version=1.0.0&app_version=2.0.0",
        "a list": b"deployment_key[]=KEY&app_version[]=1.0.0",
        "an object": b"deployment_key[a]=KEY&app_version[$gt]=1",
        "a huge version": b"deployment_key=KEY&app_version=" + b"1" * 50_000,
        "a huge key": b"deployment_key=" + b"x" * 50_000 + b"&app_version=1.0.0",
        "a version of 21 digits": b"deployment_key=KEY&app_version=1.0." + b"9" * 21,
        "a range": b"deployment_key=KEY&app_version=%5E1.0.0",
        "full-width digits": "deployment_key=KEY&app_version=１.０.０".encode(),
        "a version of blanks": b"deployment_key=KEY&app_version=%20%20",
        "100,000 parameters": b"deployment_key=KEY&app_version=1.0.0&" + b"a=1&" * 100_000,
    }.items():
        case(f"query: {_name}", "GET", _path, {400}, query_string=_query)
    for _name, _query in {
        "a huge label": b"deployment_key=KEY&app_version=1.0.0&label=" + b"x" * 100_000,
        "a huge hash": b"deployment_key=KEY&app_version=1.0.0&package_hash=" + b"x" * 100_000,
        "odd ids": b"deployment_key=KEY&app_version=1.0.0&client_unique_id=%ff%00%ed%a0%80",
        "an odd label": b"deployment_key=KEY&app_version=1.0.0&label=%00%ff",
        "an odd companion": b"deployment_key=KEY&app_version=1.0.0&is_companion=%ff",
        "raw UTF-8": "deployment_key=KEY&app_version=1.0.0&client_unique_id=客户端😀".encode(),
    }.items():
        case(f"query: {_name}", "GET", _path, {200, 400}, query_string=_query)
case("a huge query", "GET", "/apps", 200, query_string=b"x=" + b"y" * 200_000)
case("a parameter twice", "GET", "/apps", 200, query_string=b"x=1&x=2")


# Reports.

for _path in ("/reportStatus/deploy", f"{MODERN}/report_status/deploy"):
    for _name, _body in {
        "a number for a key": {"deploymentKey": 5, "appVersion": "1.0.0"},
        "a list for a key": {"deploymentKey": ["KEY"], "appVersion": "1.0.0"},
        "a number for a version": {"deploymentKey": "KEY", "appVersion": 1},
        "an object for a version": {"deploymentKey": "KEY", "appVersion": {"a": 1}},
        "a number for a label": {"deploymentKey": "KEY", "appVersion": "1", "label": 1},
        "a list for a status": {"deploymentKey": "KEY", "appVersion": "1", "status": [1]},
        "a huge status": {"deploymentKey": "KEY", "appVersion": "1", "status": "x" * 1_001},
        "control signs": {"deploymentKey": "KEY", "appVersion": "1", "status": "\x1b\0"},
        "a number for an id": {"deploymentKey": "KEY", "appVersion": "1", "clientUniqueId": 7},
        "a huge id": {"deploymentKey": "KEY", "appVersion": "1", "clientUniqueId": "x" * 1_001},
        "a huge label": {"deploymentKey": "KEY", "appVersion": "1", "label": "v" * 1_001},
        "a list for a previous key": {
            "deploymentKey": "KEY", "appVersion": "1", "previousDeploymentKey": [],
        },
        "a label for a version": {"deploymentKey": "KEY", "appVersion": "v1"},
        "a huge version": {"deploymentKey": "KEY", "appVersion": "1" * 1_001},
    }.items():  # fmt: skip
        _expect = {200, 400} if _name == "a list for a previous key" else {400}
        case(f"report: {_name}", "POST", _path, _expect, json=_body)
for _path in ("/reportStatus/download", f"{MODERN}/report_status/download"):
    for _body in ({"deploymentKey": 5}, {"deploymentKey": "KEY", "label": 5}, {"label": ["v1"]},
                  {"deploymentKey": "KEY", "label": "v1", "clientUniqueId": {}}):  # fmt: skip
        case(
            f"report: {sorted(_body)}",
            "POST",
            _path,
            {200, 400} if "clientUniqueId" in _body else 400,
            json=_body,
        )


# Who is asking.

for _name, _header in {
    "nothing": "",
    "blanks": "   ",
    "no token": "Bearer",
    "a blank token": "Bearer    ",
    "another scheme": "Basic YWxpY2U6c2VjcmV0",
    "a digest": 'Digest username="alice", realm="x"',
    "no scheme": "x" * 40,
    "two tokens": "Bearer a b",
    "raw bytes": "Bearer \xff\xfe",
    "UTF-8": "Bearer \xd0\xba\xd0\xbb",
    "NUL": "Bearer a\0b",
    "10 kB": "Bearer " + "x" * 10_000,
    "a pattern": "Bearer *",
    "a hash": "Bearer " + "0" * 64,
}.items():
    for _method, _path in (
        ("GET", "/apps"),
        ("POST", "/apps"),
        ("POST", RELEASE),
        ("DELETE", "/apps/App"),
    ):
        case(f"authorization: {_name}", _method, _path, 401, json={"name": "New"},
             environ_overrides={"HTTP_AUTHORIZATION": _header})  # fmt: skip


# Headers that nobody needs.

for _name, _environ in {
    "a host with blanks": {"HTTP_HOST": "a b"},
    "a host with a slash": {"HTTP_HOST": "a/b"},
    "a host of bytes": {"HTTP_HOST": "\xff"},
    "an empty host": {"HTTP_HOST": ""},
    "an expectation": {"HTTP_EXPECT": "the unexpected"},
    "forwarded": {"HTTP_X_FORWARDED_FOR": "\xff", "HTTP_X_FORWARDED_HOST": "evil.example"},
    "another method": {"HTTP_X_HTTP_METHOD_OVERRIDE": "DELETE"},
    "an odd range": {"HTTP_RANGE": "bytes=\xff"},
    "an odd date": {"HTTP_IF_MODIFIED_SINCE": "yesterday"},
    "a date beyond all": {"HTTP_IF_MODIFIED_SINCE": "Mon, 01 Jan 99999 00:00:00 GMT"},
    "an odd language": {"HTTP_ACCEPT_LANGUAGE": "\xff;q=x"},
    "an odd type": {"HTTP_ACCEPT": ";;;q=\xff"},
    "odd cookies": {"HTTP_COOKIE": "\xff=;;=\0"},
}.items():
    for _path in (f"{STAGING}/history", "/apps", "/blobs/a/b"):
        case(f"header: {_name}", "GET", _path, {200, 400, 404}, environ_overrides=_environ)


# The login page of browsers.

for _name, _options in {
    "nothing": {"data": b""},
    "a file for a password": {"data": {"password": (io.BytesIO(b"x"), "x")}},
    "too many fields": {"data": b"&".join(b"a%d=1" % n for n in range(9_000))},
    "no UTF-8": {
        "data": b"email=%ff&password=%fe", "content_type": "application/x-www-form-urlencoded",
    },
    "NUL": {"data": {"email": "a\0@example.com", "password": "\0"}},
    "huge": {"data": {"email": "x" * 20_000, "password": "x" * 20_000}},
}.items():  # fmt: skip
    case(f"login: {_name}", "POST", "/auth/login", {400, 401, 413, 429}, **_options)


def filled(value: Any, key: str) -> Any:
    """Put the deployment key of the world where a case says KEY."""
    if isinstance(value, dict):
        return {name: filled(each, key) for name, each in value.items()}
    if isinstance(value, list):
        return [filled(each, key) for each in value]
    if isinstance(value, bytes):
        return value.replace(b"KEY", key.encode())
    return value.replace("KEY", key) if isinstance(value, str) else value


def test_there_are_many_cases() -> None:
    assert len(CASES) >= 120


@pytest.mark.parametrize(
    "each", CASES, ids=lambda each: each.name.encode("unicode_escape").decode()[:90]
)
def test_nonsense_is_refused_with_a_sentence_and_changes_nothing(world: World, each: Case) -> None:
    options = {**each.options}
    for name in ("json", "query_string"):
        if name in options:
            options[name] = filled(options[name], world.key)
    headers = {"Authorization": f"Bearer {world.api.account.token}", **options.pop("headers", {})}  # type: ignore[union-attr]
    query = options.pop("query_string", b"").decode("latin-1")
    environ = {"QUERY_STRING": query, **options.pop("environ_overrides", {})}
    response = world.http.open(
        each.path, method=each.method, headers=headers, environ_overrides=environ, **options
    )
    if each.path == "/auth/login" and response.content_type.startswith("text/html"):
        assert response.status_code in each.expect  # a page for people
        assert "Traceback" not in response.get_data(as_text=True)
        return
    refuse(world, response, each.expect)


# Whatever else there is.

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
FIELDS = [
    "name", "friendlyName", "description", "createdBy", "ttl", "os", "platform", "key", "label",
    "manuallyProvisionDeployments", "appVersion", "app_version", "deploymentKey", "deployment_key",
    "status", "clientUniqueId", "client_unique_id", "previousDeploymentKey", "isDisabled",
    "isMandatory", "rollout",
]  # fmt: skip
BODY = st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=5)


@settings(max_examples=300, deadline=None)
@given(
    route=st.sampled_from(JSON_ROUTES),
    body=BODY | st.fixed_dictionaries({"packageInfo": BODY | JSON}) | JSON,
)
def test_no_json_at_all_is_answered_with_an_error_of_the_server(
    world: World, route: tuple[str, str], body: Any
) -> None:
    method, path = route
    response = world.api.call(method, path, filled(body, world.key))
    refuse(world, response, {200, 201, 204, 400, 404, 409})


@settings(max_examples=200, deadline=None)
@given(
    method=st.sampled_from(["GET", "POST", "PATCH", "DELETE"]),
    start=st.sampled_from(
        ["/", "/apps/", "/apps/App/", f"{STAGING}/", "/accessKeys/", "/blobs/", MODERN]
    ),
    rest=st.binary(max_size=20),
    query=st.binary(max_size=20),
)
def test_no_address_at_all_is_answered_with_an_error_of_the_server(
    world: World, method: str, start: str, rest: bytes, query: bytes
) -> None:
    path = start + rest.decode("latin-1")
    headers = {"Authorization": f"Bearer {world.api.account.token}"}  # type: ignore[union-attr]
    environ = {"PATH_INFO": path, "QUERY_STRING": query.decode("latin-1")}
    response = world.http.open("/", method=method, headers=headers, environ_overrides=environ)
    refuse(world, response, {200, 201, 204, 308, 400, 401, 404, 405, 409})


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=200), at=st.integers(0, 400), cut=st.integers(0, 20))
def test_no_damage_to_an_upload_is_answered_with_an_error_of_the_server(
    world: World, data: bytes, at: int, cut: int
) -> None:
    whole = INFO + FILE + END
    body = whole[:at] + data + whole[at + cut :]
    headers = {"Authorization": f"Bearer {world.api.account.token}", "Content-Type": FORM}  # type: ignore[union-attr]
    response = world.http.post(RELEASE, data=body, headers=headers)
    refuse(world, response, {201, 400, 409, 413})
