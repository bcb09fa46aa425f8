"""The Azure plugin against a real Azurite."""

import hashlib
import io
import logging
import re
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import cast
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from azure.storage.blob import BlobSasPermissions, generate_blob_sas

from codepush.domain.errors import StorageError
from codepush.domain.ids import BlobKey
from codepush.plugins import open_storage
from plugins.storage_azure import AzureStorage
from tests.plugins.azurite import (
    ACCOUNT,
    ACCOUNT_KEY,
    KEY_SETTING,
    Azurite,
    new_container,
    require,
    stored_keys,
)
from tests.plugins.blobs import fetch, memory_of_sixty_megabytes, refusal, whole
from tests.storage_contract import (
    KEY,
    LARGE,
    KillsOnTheWay,
    OneMegabyteAtMost,
    StorageContract,
    blob_key,
    put,
    read,
)

HOUR = timedelta(hours=1)
OTHER = BlobKey(KEY.replace("0", "1"))
CONTENT = bytes(range(256)) * 1_000
ROOT = Path(__file__).parents[2]


@pytest.fixture
def storage(azurite: Azurite) -> AzureStorage:
    """A storage whose container does not exist yet."""
    return azurite.storage()


@pytest.fixture
def own_azurite(tmp_path: Path) -> Iterator[Azurite]:
    """An Azurite that a test may kill; it keeps its blobs on disk."""
    require()
    server = Azurite(tmp_path)
    server.start()
    yield server
    server.stop()


class TestContract(StorageContract):
    """The whole contract, on Azure Blob Storage."""


def expiry(url: str) -> datetime:
    (text,) = parse_qs(urlsplit(url).query)["se"]
    return datetime.fromisoformat(text)


# Downloads


def test_a_signed_url_downloads_the_blob_as_devices_do(storage: AzureStorage) -> None:
    put(storage, CONTENT)
    with fetch(storage.download_url(KEY, lifetime=HOUR)) as answer:
        assert answer.status == 200
        assert answer.headers["Content-Length"] == str(len(CONTENT))
        assert answer.headers["Content-Type"] == "application/zip"
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert answer.headers["Content-Encoding"] is None
        assert answer.headers["Transfer-Encoding"] is None
        assert answer.read() == CONTENT


def test_a_large_blob_has_the_same_headers(storage: AzureStorage) -> None:
    source = cast(io.BytesIO, OneMegabyteAtMost(LARGE))
    storage.put(KEY, source, size=LARGE, content_type="application/zip")
    with fetch(storage.download_url(KEY, lifetime=HOUR)) as answer:
        assert answer.headers["Content-Length"] == str(LARGE)
        assert answer.headers["Content-Type"] == "application/zip"
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert answer.read() == bytes(LARGE)


def test_a_signed_url_serves_ranges(storage: AzureStorage) -> None:
    put(storage, CONTENT)
    url = storage.download_url(KEY, lifetime=HOUR)
    with fetch(url, Range="bytes=1000-2999") as answer:
        assert answer.status == 206
        assert answer.headers["Content-Length"] == "2000"
        assert answer.headers["Content-Range"] == f"bytes 1000-2999/{len(CONTENT)}"
        assert answer.read() == CONTENT[1_000:3_000]
    assert whole(fetch(url, Range=f"bytes={len(CONTENT) - 5}-")) == CONTENT[-5:]


def test_a_signed_url_answers_head(storage: AzureStorage) -> None:
    put(storage, CONTENT)
    with fetch(storage.download_url(KEY, lifetime=HOUR), "HEAD") as answer:
        assert answer.headers["Content-Length"] == str(len(CONTENT))


def test_a_signed_url_expires(storage: AzureStorage) -> None:
    put(storage, CONTENT)
    url = storage.download_url(KEY, lifetime=timedelta(seconds=2))
    assert whole(fetch(url)) == CONTENT
    time.sleep((expiry(url) - datetime.now(UTC)).total_seconds() + 1)
    assert refusal(url) == 403


def test_a_signed_url_opens_one_blob_for_reading_only(storage: AzureStorage) -> None:
    put(storage, CONTENT)
    put(storage, b"other", OTHER)
    url = storage.download_url(KEY, lifetime=HOUR)
    address, _, query = url.partition("?")
    (signature,) = parse_qs(query)["sig"]
    forged = ("A" if signature[0] != "A" else "B") + signature[1:]
    assert refusal(url.replace(quote(signature, safe=""), quote(forged, safe=""))) == 403
    assert refusal(f"{address.replace(KEY, OTHER)}?{query}") == 403
    assert refusal(address) in {403, 404}, "nothing is public"
    longer = query.replace(f"{expiry(url).year}-", f"{expiry(url).year + 1}-")
    assert refusal(f"{address}?{longer}") == 403
    assert refusal(url, "DELETE") == 403
    assert refusal(url, "PUT", **{"x-ms-blob-type": "BlockBlob", "Content-Length": "0"}) == 403
    assert whole(fetch(url)) == CONTENT


@pytest.mark.parametrize("lifetime", [timedelta(seconds=30), HOUR, timedelta(days=7)])
def test_a_signed_url_lives_as_long_as_asked(storage: AzureStorage, lifetime: timedelta) -> None:
    before = datetime.now(UTC)
    ends = expiry(storage.download_url(KEY, lifetime=lifetime))
    assert before + lifetime <= ends <= datetime.now(UTC) + lifetime + timedelta(seconds=1)


def test_sas_minutes_shortens_the_life_of_urls(azurite: Azurite) -> None:
    storage = azurite.storage(sas_minutes="10")
    ends = expiry(storage.download_url(KEY, lifetime=timedelta(days=7)))
    assert timedelta(minutes=9) < ends - datetime.now(UTC) < timedelta(minutes=11)
    sooner = expiry(storage.download_url(KEY, lifetime=timedelta(minutes=1)))
    assert sooner - datetime.now(UTC) < timedelta(minutes=2)


def test_what_is_signed_is_what_the_sdk_signs(azurite: Azurite) -> None:
    container = new_container()
    url = azurite.storage(container).download_url(KEY, lifetime=HOUR)
    signed: list[str] = []
    given = parse_qs(urlsplit(url).query)
    generate_blob_sas(
        ACCOUNT,
        container,
        KEY,
        account_key=ACCOUNT_KEY,
        permission=BlobSasPermissions(read=True),
        expiry=given["se"][0],
        sts_hook=signed.append,
    )
    (theirs,) = signed
    lines = theirs.split("\n")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", lines[7])
    lines[7] = given["sv"][0]  # the one thing that differs
    mine = ["r", "", given["se"][0], f"/blob/{ACCOUNT}/{container}/{KEY}", "", "", ""]
    assert lines == [*mine, given["sv"][0], "b", *[""] * 7]


def test_a_cdn_stands_for_the_container_and_needs_no_signature(azurite: Azurite) -> None:
    storage = azurite.storage(cdn="https://cdn.example.com/packages/")
    put(storage, CONTENT)
    url = storage.download_url(KEY, lifetime=HOUR)
    assert url == f"https://cdn.example.com/packages/{KEY}"


# Uploads


def test_sixty_megabytes_take_little_memory(azurite: Azurite) -> None:
    put_mb, both_mb = memory_of_sixty_megabytes(azurite.url(), ACCOUNT_KEY)
    # A few blocks are on their way at any time; the whole would be 60.
    assert put_mb < 30
    assert both_mb < 30


def test_a_put_whose_azure_dies_leaves_nothing_and_can_be_repeated(own_azurite: Azurite) -> None:
    container = new_container()
    storage = own_azurite.storage(container)
    put(storage, b"other", OTHER)
    source = cast(io.BytesIO, KillsOnTheWay(LARGE, own_azurite.kill))
    with pytest.raises(StorageError, match="did not answer"):
        storage.put(KEY, source, size=LARGE, content_type="application/zip")
    with pytest.raises(StorageError, match="did not answer"):
        storage.size(KEY)
    own_azurite.start()
    assert storage.size(KEY) is None
    assert KEY not in stored_keys(storage)
    put(storage, CONTENT)
    assert read(storage) == CONTENT


def test_a_put_is_tried_again_until_azure_is_back(own_azurite: Azurite) -> None:
    storage = own_azurite.storage(retries="5")
    put(storage, b"other", OTHER)
    own_azurite.kill()
    back = threading.Timer(1.0, own_azurite.start)
    back.start()
    put(storage, CONTENT)
    back.join()
    assert read(storage) == CONTENT


def test_nothing_is_sent_before_it_is_needed_and_the_container_is_made_when_it_is(
    azurite: Azurite,
) -> None:
    container = new_container()
    first, second = azurite.storage(container), azurite.storage(container)
    assert first.size(KEY) is None
    assert stored_keys(first) == set()
    first.delete(KEY)
    first.check()
    second.check()
    put(first, CONTENT)
    assert read(second) == CONTENT


def test_a_blob_of_somebody_elses_is_not_listed(azurite: Azurite, storage: AzureStorage) -> None:
    put(storage, CONTENT)
    storage._container.upload_blob("$logs/x", b"not ours")
    storage._container.upload_blob("a/b/c/d/e/f", b"not ours")
    assert stored_keys(storage) == {KEY}


def test_modification_times_are_those_of_azure(storage: AzureStorage) -> None:
    put(storage, CONTENT)
    (blob,) = storage.list_blobs()
    with fetch(storage.download_url(KEY, lifetime=HOUR)) as answer:
        told = parsedate_to_datetime(answer.headers["Last-Modified"])
    assert blob.modified_at_ms == told.timestamp() * 1_000


def test_a_blob_that_another_replaces_while_it_is_read_fails_the_reader(
    storage: AzureStorage,
) -> None:
    put(storage, bytes(9_000_000))
    with storage.open(KEY) as file:
        file.read(1)
        storage.delete(KEY)
        put(storage, CONTENT)
        with pytest.raises(StorageError, match="412"):
            file.read()


# Credentials


def test_a_connection_string_names_key_and_endpoint(azurite: Azurite) -> None:
    settings = {
        "AZURE_STORAGE_CONNECTION_STRING": (
            f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={ACCOUNT_KEY};"
            f"BlobEndpoint={azurite.endpoint};"
        )
    }
    storage = open_storage(f"azure://{ACCOUNT}/{new_container()}?retries=0", settings)
    put(storage, CONTENT)
    assert whole(fetch(storage.download_url(KEY, lifetime=HOUR))) == CONTENT


@pytest.mark.parametrize("form", ["{}", "{}\n", "AccountName=devstoreaccount1;AccountKey={}"])
def test_a_key_can_be_in_a_file_which_goes_before_settings(
    azurite: Azurite, tmp_path: Path, form: str
) -> None:
    (tmp_path / "key").write_text(form.format(ACCOUNT_KEY))
    url = azurite.url(key_file=str(tmp_path / "key"))
    storage = open_storage(url, {"AZURE_STORAGE_KEY": "d3Jvbmc="})
    put(storage, CONTENT)
    assert read(storage) == CONTENT


def test_a_wrong_key_is_a_storage_error_that_does_not_show_it(azurite: Azurite) -> None:
    wrong = "d3Jvbmc="
    storage = open_storage(azurite.url(), {"AZURE_STORAGE_KEY": wrong})
    for failing in (storage.check, lambda: put(storage, CONTENT), lambda: storage.open(KEY)):
        with pytest.raises(StorageError, match=r"refused \(403 AuthorizationFailure\)") as caught:
            failing()
        assert wrong not in str(caught.value)


def test_an_azure_that_is_not_there_is_told_at_once(tmp_path: Path) -> None:
    url = f"azure://{ACCOUNT}/packages?endpoint=http://127.0.0.1:1/{ACCOUNT}&retries=10"
    storage = open_storage(url, KEY_SETTING)
    began = time.monotonic()
    with pytest.raises(StorageError, match="did not answer"):
        storage.check()
    assert time.monotonic() - began < 8, "readiness is asked for again anyway"


class NotAzure(BaseHTTPRequestHandler):
    """Answers everything with the status that the account is named after, in HTML."""

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(int(self.path.split("/")[1]))
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", "14")
        self.end_headers()
        self.wfile.write(b"<html>no</html>"[:14])

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize(
    ("status", "words"), [("500", "refused (500)"), ("400", "refused (400)"), ("302", "(302)")]
)
def test_an_endpoint_that_is_not_azure_is_a_storage_error(status: str, words: str) -> None:
    with HTTPServer(("127.0.0.1", 0), NotAzure) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        endpoint = f"http://127.0.0.1:{server.server_port}/{status}"
        url = f"azure://{ACCOUNT}/packages?endpoint={endpoint}&retries=0"
        storage = open_storage(url, KEY_SETTING)
        try:
            with pytest.raises(StorageError) as caught:
                storage.check()
        finally:
            server.shutdown()
    assert words in str(caught.value)
    assert "html" not in str(caught.value)


def test_the_key_is_never_logged(
    azurite: Azurite, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("azure").setLevel(logging.DEBUG)
    try:
        storage = azurite.storage()
        put(storage, CONTENT)
        url = storage.download_url(KEY, lifetime=HOUR)
        assert read(storage) == CONTENT
    finally:
        logging.getLogger("azure").setLevel(logging.WARNING)
    output = "".join(capfd.readouterr()) + caplog.text
    assert "azure" in caplog.text
    assert ACCOUNT_KEY not in output
    assert parse_qs(urlsplit(url).query)["sig"][0] not in output
    assert ACCOUNT_KEY not in repr(storage)


def test_a_release_as_large_as_a_block_is_stored(storage: AzureStorage) -> None:
    block = 4 * 1024 * 1024
    for size in (block - 1, block, block + 1, 2 * block):
        key = blob_key(b"%d" % size)
        source = cast(io.BytesIO, OneMegabyteAtMost(size))
        storage.put(key, source, size=size, content_type="application/zip")
        assert hashlib.sha256(read(storage, key)).digest() == hashlib.sha256(bytes(size)).digest()
    sizes = sorted(blob.size for blob in storage.list_blobs())
    assert sizes == [block - 1, block, block + 1, 2 * block]
