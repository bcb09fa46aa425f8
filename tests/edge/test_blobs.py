"""Packages as native plugins fetch them: whole, in part, and never changed on the way."""

import hashlib
from urllib.parse import urlsplit

import pytest
from werkzeug.test import TestResponse

from codepush.services.container import Services
from codepush.settings import Settings
from tests.api_client import ApiClient

CONTENT = b"".join(hashlib.sha256(b"%d" % n).digest() for n in range(10_000))
SIZE = len(CONTENT)


@pytest.fixture
def url(api: ApiClient) -> str:
    """The path of a package of 320,000 bytes."""
    api.add_app()
    package = api.release(CONTENT).get_json()["package"]
    return urlsplit(package["blobUrl"]).path


def fetch(api: ApiClient, url: str, method: str = "GET", **headers: str) -> TestResponse:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return api.http.open(url, method=method, headers=given, buffered=True)


def refused(response: TestResponse, status: int = 404) -> None:
    assert response.status_code == status
    assert response.content_type == "text/plain; charset=utf-8"
    sentence = response.get_data(as_text=True)
    assert sentence.endswith(".")
    assert "Traceback" not in sentence


def test_a_package_is_sent_whole_with_all_that_plugins_need(api: ApiClient, url: str) -> None:
    response = fetch(api, url)
    assert response.status_code == 200
    assert response.data == CONTENT
    assert response.headers["Content-Length"] == str(SIZE)
    assert "Transfer-Encoding" not in response.headers
    assert response.headers["Accept-Ranges"] == "bytes"
    assert response.headers["Content-Type"] == "application/octet-stream"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert "Set-Cookie" not in response.headers


def test_a_package_may_be_cached_for_ever(api: ApiClient, url: str) -> None:
    directives = fetch(api, url).headers["Cache-Control"].split(", ")
    assert {"public", "immutable", "max-age=31536000"} == set(directives)


@pytest.mark.parametrize("coding", ["gzip", "gzip, deflate, br", "identity", "*", "gzip;q=1.0"])
def test_a_package_is_never_compressed(api: ApiClient, url: str, coding: str) -> None:
    response = fetch(api, url, Accept_Encoding=coding)
    assert "Content-Encoding" not in response.headers
    assert response.headers["Content-Length"] == str(SIZE)
    assert response.data == CONTENT


def test_an_etag_is_strong_and_names_the_contents(api: ApiClient, url: str) -> None:
    etag = fetch(api, url).headers["ETag"]
    assert etag == f'"{hashlib.sha256(CONTENT).hexdigest()}"'
    assert fetch(api, url).headers["ETag"] == etag


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', "*"])
def test_who_has_the_package_is_told_so(api: ApiClient, url: str, method: str, form: str) -> None:
    etag = fetch(api, url).headers["ETag"]
    response = fetch(api, url, method, If_None_Match=form.format(etag))
    assert response.status_code == 304
    assert response.data == b""
    assert response.headers["ETag"] == etag
    assert "immutable" in response.headers["Cache-Control"]


def test_who_has_another_package_gets_this_one(api: ApiClient, url: str) -> None:
    assert fetch(api, url, If_None_Match='"other"').data == CONTENT


def test_head_says_what_get_would_without_the_contents(api: ApiClient, url: str) -> None:
    whole, head = fetch(api, url), fetch(api, url, "HEAD")
    assert head.status_code == 200
    assert head.data == b""
    for name in ("Content-Length", "ETag", "Cache-Control", "Accept-Ranges", "Content-Type"):
        assert head.headers[name] == whole.headers[name]


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=0-99", 0, 99),
        ("bytes=100-199", 100, 199),
        ("bytes=100000-", 100_000, SIZE - 1),
        ("bytes=0-", 0, SIZE - 1),
        ("bytes=-1", SIZE - 1, SIZE - 1),
        ("bytes=-1000", SIZE - 1_000, SIZE - 1),
        (f"bytes={SIZE - 1}-", SIZE - 1, SIZE - 1),
        (f"bytes=10-{SIZE + 1000}", 10, SIZE - 1),
        (f"bytes=0-{SIZE - 1}", 0, SIZE - 1),
    ],
)
def test_a_part_of_a_package_is_sent(
    api: ApiClient, url: str, asked: str, first: int, last: int
) -> None:
    response = fetch(api, url, Range=asked)
    assert response.status_code == 206
    assert response.data == CONTENT[first : last + 1]
    assert response.headers["Content-Range"] == f"bytes {first}-{last}/{SIZE}"
    assert response.headers["Content-Length"] == str(last + 1 - first)
    assert response.headers["ETag"] == fetch(api, url).headers["ETag"]


def test_a_download_is_resumed_where_it_broke_off(api: ApiClient, url: str) -> None:
    received = b""
    while len(received) < SIZE:
        end = len(received) + 70_000
        part = fetch(api, url, Range=f"bytes={len(received)}-{end}")
        assert part.status_code == 206
        received += part.data
    assert received == CONTENT


@pytest.mark.parametrize(
    "asked", [f"bytes={SIZE}-", f"bytes={SIZE + 5}-{SIZE + 10}", "bytes=999999999999999999999-"]
)
def test_a_part_beyond_the_end_is_416(api: ApiClient, url: str, asked: str) -> None:
    response = fetch(api, url, Range=asked)
    refused(response, 416)
    assert response.headers["Content-Range"] == f"bytes */{SIZE}"


ODD_RANGES = ["", "bytes", "bytes=", "bytes=a-b", "bytes=5-2", "bytes=--5", "items=0-5", "0-5"]
ODD_RANGES += ["bytes=0-1-2", "bytes=0-5,100-200", "bytes=²-", f"bytes={'0-0,' * 500}0-0"]


@pytest.mark.parametrize("asked", ODD_RANGES, ids=range(len(ODD_RANGES)))
def test_a_range_that_is_none_harms_nobody(api: ApiClient, url: str, asked: str) -> None:
    response = fetch(api, url, Range=asked)
    assert response.status_code == 200
    assert response.data == CONTENT
    assert response.headers["Content-Length"] == str(SIZE)


def test_who_insists_on_another_package_gets_nothing(api: ApiClient, url: str) -> None:
    response = fetch(api, url, If_Match='"other"')
    assert (response.status_code, response.data) == (412, b"")
    etag = fetch(api, url).headers["ETag"]
    assert fetch(api, url, If_Match=etag).data == CONTENT


def test_a_part_of_another_version_is_not_sent(api: ApiClient, url: str) -> None:
    etag = fetch(api, url).headers["ETag"]
    response = fetch(api, url, Range="bytes=0-9", If_Range='"other"')
    assert (response.status_code, response.data) == (200, CONTENT)
    response = fetch(api, url, Range="bytes=0-9", If_Range=etag)
    assert (response.status_code, response.data) == (206, CONTENT[:10])


def test_a_range_of_a_head_request_sends_nothing(api: ApiClient, url: str) -> None:
    response = fetch(api, url, "HEAD", Range="bytes=0-9")
    assert response.status_code in {200, 206}
    assert response.data == b""


def test_a_query_string_does_not_matter(api: ApiClient, url: str) -> None:
    assert fetch(api, f"{url}?download=1").data == CONTENT


def test_no_token_is_needed_and_none_is_asked(api: ApiClient, url: str) -> None:
    assert fetch(api, url, Authorization="Bearer nonsense").data == CONTENT


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_packages_are_only_read(api: ApiClient, url: str, method: str) -> None:
    refused(fetch(api, url, method), 405)
    assert fetch(api, url).data == CONTENT


@pytest.mark.parametrize(
    "path",
    [
        "/blobs/",
        "/blobs/nothing",
        "/blobs/nothing/at/all",
        "/blobs/" + "0" * 64,
        "/blobs/" + "x" * 5_000,
        "/blobs/a/b/c/d/e/f/g/h",
        "/blobs/ключ",
        "/blobs/%F0%9F%98%80",
        "/blobs/%ff%fe",
        "/blobs/a%0Ab",
        "/blobs/a%20b",
        "/blobs/.incoming",
        "/blobs/.incoming/x",
        "/blobs/%2eincoming/x",
        "/blobs/CON",
        "/blobs/a\\b",
        "/blobs/a:b",
    ],
)
def test_an_unknown_package_is_404(api: ApiClient, url: str, path: str) -> None:
    for method in ("GET", "HEAD"):
        response = fetch(api, path, method)
        assert response.status_code == 404
    refused(fetch(api, path))


TRAVERSALS = [
    "/blobs/../{secret}",
    "/blobs/../../{secret}",
    "/blobs/%2e%2e/{secret}",
    "/blobs/%2E%2E/%2E%2E/{secret}",
    "/blobs/..%2f{secret}",
    "/blobs/..%2F..%2F{secret}",
    "/blobs/%2e%2e%2f{secret}",
    "/blobs/..%5c{secret}",
    "/blobs/..\\{secret}",
    "/blobs/a/../../{secret}",
    "/blobs/a/..%2f..%2f{secret}",
    "/blobs/%252e%252e/{secret}",
    "/blobs/%252e%252e%252f{secret}",
    "/blobs/..;/{secret}",
    "/blobs/....//{secret}",
    "/blobs/..%00/{secret}",
    "/blobs/{secret}%00",
    "/blobs/%00{secret}",
    "/blobs/..%c0%af{secret}",
    "/blobs/%c0%ae%c0%ae/{secret}",
    "/blobs/%uff0e%uff0e/{secret}",
    "/blobs/．．/{secret}",
    "/blobs//etc/passwd",
    "/blobs/%2fetc%2fpasswd",
    "/blobs/%2Fetc/passwd",
    "/blobs/file:%2f%2f%2fetc%2fpasswd",
    "/blobs/~/{secret}",
    "/blobs/./{secret}",
    "/blobs/%2e/{secret}",
]


@pytest.mark.parametrize("path", TRAVERSALS)
def test_no_path_leads_out_of_the_packages(
    api: ApiClient, url: str, settings: Settings, path: str
) -> None:
    secret = settings.data_dir / "secret"
    secret.write_text("a secret", "utf-8")
    response = api.http.get(path.format(secret="secret"), buffered=True)
    if response.status_code in {301, 308}:  # slashes are merged first
        response = api.http.get(response.headers["Location"], buffered=True)
    refused(response)
    assert b"secret" not in response.data
    assert b"root:" not in response.data


def test_a_package_is_found_where_its_slash_is_encoded(api: ApiClient, url: str) -> None:
    # Proxies do that; it is the same key.
    head, _, digest = url.rpartition("/")
    assert fetch(api, f"{head}%2F{digest}").data == CONTENT


def test_a_folder_is_no_package(api: ApiClient, url: str) -> None:
    folder = url.rpartition("/")[0]
    refused(fetch(api, folder))
    assert fetch(api, f"{folder}/").status_code == 404
    refused(fetch(api, f"{url}/"))
    refused(fetch(api, f"{url}/x"))


def test_what_is_being_written_is_not_served(api: ApiClient, url: str, settings: Settings) -> None:
    incoming = settings.data_dir / "blobs" / ".incoming"
    incoming.mkdir(exist_ok=True)
    (incoming / "half").write_bytes(b"half a package")
    refused(fetch(api, "/blobs/.incoming/half"))


def test_what_others_keep_beside_packages_is_not_served(
    api: ApiClient, url: str, settings: Settings
) -> None:
    blobs = settings.data_dir / "blobs"
    for name in ("secret-key", "other/invoice.pdf", "sha256/" + "0" * 64):
        (blobs / name).parent.mkdir(exist_ok=True)
        (blobs / name).write_bytes(b"of somebody else")
        refused(fetch(api, f"/blobs/{name}"))


def test_a_package_whose_file_is_gone_is_404(api: ApiClient, url: str, services: Services) -> None:
    services.storage.delete(url.removeprefix("/blobs/"))  # type: ignore[arg-type]
    refused(fetch(api, url))


def test_addresses_cannot_be_guessed(url: str) -> None:
    app, digest = url.removeprefix("/blobs/").split("/")
    assert len(app) >= 22, "128 bits of the app's own"
    assert digest == hashlib.sha256(CONTENT).hexdigest()
