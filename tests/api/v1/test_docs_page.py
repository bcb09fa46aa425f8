"""The documentation page, which must work on a server that has no internet."""

import configparser
import re
from html.parser import HTMLParser
from pathlib import Path

from flask.testing import FlaskClient

import codepush
from tests.api.v1.client import BASE

PACKAGE = Path(codepush.__file__).parent
VENDORED = PACKAGE / "static" / "vendor" / "swagger-ui"


class Page(HTMLParser):
    """What a page loads and runs."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.urls: list[str] = []
        self.inline: list[str] = []
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag
        for name, value in attrs:
            if name in {"src", "href", "data-document"}:
                self.urls.append(value or "")
            if name == "style" or name.startswith("on"):
                self.inline.append(f"{name}={value}")

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside in {"script", "style"} and data.strip():
            self.inline.append(data)


def test_the_page_loads_only_from_this_server(http: FlaskClient) -> None:
    response = http.get(f"{BASE}/docs")
    text = response.get_data(as_text=True)
    assert response.content_type == "text/html; charset=utf-8"
    page = Page(text)
    assert len(page.urls) >= 5
    assert not re.search(r"https?:|//\w", text)
    for url in page.urls:
        assert url.startswith("/"), url
        assert http.get(url, buffered=True).status_code == 200, url


def test_the_page_runs_nothing_inline_and_says_so(http: FlaskClient) -> None:
    response = http.get(f"{BASE}/docs")
    assert Page(response.get_data(as_text=True)).inline == []
    policy = dict(
        part.strip().partition(" ")[::2]
        for part in response.headers["Content-Security-Policy"].split(";")
    )
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert "unsafe-eval" not in str(policy)
    assert "http" not in str(policy)
    assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_the_page_asks_no_validator_on_the_internet() -> None:
    script = (PACKAGE / "static" / "docs" / "docs.js").read_text("utf-8")
    assert "validatorUrl: null" in script
    assert "http" not in script


def test_assets_are_cached_for_ever_below_an_address_of_their_contents(http: FlaskClient) -> None:
    text = http.get(f"{BASE}/docs").get_data(as_text=True)
    for url in re.findall(r'(?:src|href)="([^"]+/docs/[^"]+)"', text):
        response = http.get(url, buffered=True)
        assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        elsewhere = re.sub(r"/docs/\w+/", "/docs/0123456789abcdef/", url)
        assert http.get(elsewhere).status_code == 404
    for path in ("%2e%2e/README.md", "README.md", "..%2fapp.py", "docs.js.map"):
        digest = re.search(r"/docs/(\w+)/", text)
        assert digest
        answer = http.get(f"{BASE}/docs/{digest[1]}/{path}")
        assert answer.status_code == 404
        assert answer.mimetype == "application/json"


def test_what_is_vendored_says_where_it_is_from() -> None:
    readme = (VENDORED / "README.md").read_text("utf-8")
    assert re.search(r"^# Swagger UI \d+\.\d+\.\d+$", readme, re.MULTILINE)
    assert "Apache License" in (VENDORED / "LICENSE").read_text("utf-8")
    assert (VENDORED / "NOTICE").exists()


def test_what_the_page_needs_is_installed_with_the_package() -> None:
    config = configparser.ConfigParser()
    config.read(PACKAGE.parent / "setup.cfg", "utf-8")
    patterns = [each.strip() for each in config["options.package_data"]["codepush"].split(",")]
    shipped = {path for pattern in patterns for path in PACKAGE.glob(pattern)}
    for folder in ("static", "templates"):
        assert {path for path in (PACKAGE / folder).rglob("*") if path.is_file()} <= shipped
