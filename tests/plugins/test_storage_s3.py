"""The S3 plugin against a real server of that protocol."""

import hashlib
import io
import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast
from urllib.parse import parse_qs, urlsplit

import pytest
from click.testing import CliRunner
from flask import Flask

from codepush.cli import codepush
from codepush.domain.errors import StorageError
from codepush.domain.ids import BlobKey
from codepush.plugins import open_storage
from codepush.services.container import Services
from codepush.settings import SettingsError
from plugins import s3_notices
from plugins.storage_s3 import S3Storage
from tests.plugins.blobs import fetch, memory_of_sixty_megabytes, refusal, whole
from tests.plugins.rclone import ENVIRONMENT, SECRET_KEY, Rclone
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


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def storage(rclone: Rclone) -> S3Storage:
    return rclone.storage()


@pytest.fixture
def own_rclone(tmp_path: Path) -> Iterator[Rclone]:
    """A server that a test may kill."""
    server = Rclone(tmp_path)
    server.start()
    yield server
    server.kill()


class TestContract(StorageContract):
    """The whole contract, on a server of the S3 protocol."""


# Downloads


def test_a_signed_url_downloads_the_blob_as_devices_do(storage: S3Storage) -> None:
    put(storage, CONTENT)
    url = storage.download_url(KEY, lifetime=HOUR)
    with fetch(url) as answer:
        assert answer.status == 200
        assert answer.headers["Content-Length"] == str(len(CONTENT))
        assert answer.headers["Content-Encoding"] is None
        assert answer.read() == CONTENT
    with fetch(url, Range="bytes=1000-2999") as answer:
        assert answer.headers["Content-Range"] == f"bytes 1000-2999/{len(CONTENT)}"
        assert answer.read() == CONTENT[1_000:3_000]


def test_the_server_gives_out_what_lies_there_too(
    storage: S3Storage, app: Flask, services: Services
) -> None:
    """For addresses that were given out before a move from local disk (docs/adr/0024)."""
    put(storage, CONTENT)
    app.extensions["codepush"] = replace(services, storage=storage)
    http = app.test_client()
    assert http.get(f"/blobs/{KEY}").data == CONTENT
    part = http.get(f"/blobs/{KEY}", headers={"Range": "bytes=1000-2999"})
    assert (part.status_code, part.data) == (206, CONTENT[1_000:3_000])
    assert http.get(f"/blobs/{OTHER}").status_code == 404


def test_type_and_caching_are_kept_with_the_blob_also_by_a_touch(storage: S3Storage) -> None:
    for content in (CONTENT, bytes(LARGE)):
        put(storage, content)
        storage.touch(KEY)
        found = storage._client.head_object(**storage._address(KEY))
        assert found["ContentType"] == "application/zip"
        assert found["CacheControl"] == "public, max-age=31536000, immutable"


def test_a_signed_url_opens_one_blob_for_reading_only(storage: S3Storage) -> None:
    put(storage, CONTENT)
    put(storage, b"other", OTHER)
    url = storage.download_url(KEY, lifetime=HOUR)
    assert refusal(url.replace(KEY, OTHER)) == 403
    assert refusal(url.partition("?")[0]) in {400, 403}, "nothing is public"
    assert refusal(url.replace("X-Amz-Expires=3600", "X-Amz-Expires=7200")) == 403
    assert refusal(url, "DELETE") == 403
    assert whole(fetch(url)) == CONTENT


def test_a_signed_url_expires(storage: S3Storage) -> None:
    put(storage, CONTENT)
    url = storage.download_url(KEY, lifetime=timedelta(seconds=2))
    assert whole(fetch(url)) == CONTENT
    time.sleep(3.1)
    assert refusal(url) in {400, 403}


def lifetime_s(url: str) -> int:
    (text,) = parse_qs(urlsplit(url).query)["X-Amz-Expires"]
    return int(text)


def test_urls_live_as_long_as_asked_within_the_limits(rclone: Rclone) -> None:
    storage = rclone.storage()
    assert lifetime_s(storage.download_url(KEY, lifetime=HOUR)) == 3_600
    assert lifetime_s(storage.download_url(KEY, lifetime=timedelta(days=9))) == 7 * 86_400
    short = rclone.storage(url_minutes="10")
    assert lifetime_s(short.download_url(KEY, lifetime=HOUR)) == 600
    assert lifetime_s(short.download_url(KEY, lifetime=timedelta(seconds=5))) == 5


def test_a_cdn_stands_for_bucket_and_folder_and_needs_no_signature(rclone: Rclone) -> None:
    storage = rclone.storage(f"{rclone.new_bucket()}/folder", cdn="https://cdn.example.com/p/")
    put(storage, CONTENT)
    assert storage.download_url(KEY, lifetime=HOUR) == f"https://cdn.example.com/p/{KEY}"


def test_a_url_of_amazon_names_the_region() -> None:
    storage = open_storage("s3://my-bucket/packages?region=eu-central-1")
    url = storage.download_url(KEY, lifetime=HOUR)
    assert url.startswith(f"https://my-bucket.s3.eu-central-1.amazonaws.com/packages/{KEY}?")
    assert "eu-central-1%2Fs3%2Faws4_request" in url


# Uploads


def test_a_folder_is_a_storage_of_its_own(rclone: Rclone) -> None:
    bucket = rclone.new_bucket()
    one, two, all_ = (rclone.storage(f"{bucket}{path}") for path in ("/one", "/one-more", ""))
    put(one, b"one")
    put(two, b"two")
    assert [blob.size for blob in one.list_blobs()] == [3]
    assert read(one) == b"one"
    assert list(all_.list_blobs()) == [], "nor has the bucket what its folders have"


def test_sixty_megabytes_take_little_memory(rclone: Rclone) -> None:
    put_mb, both_mb = memory_of_sixty_megabytes(rclone.url(), environment=ENVIRONMENT)
    assert put_mb < 40
    assert both_mb < 50


def test_a_release_as_large_as_a_part_is_stored(storage: S3Storage) -> None:
    part = 8 * 1024 * 1024
    for size in (part - 1, part, part + 1, 2 * part):
        key = blob_key(b"%d" % size)
        source = cast(io.BytesIO, OneMegabyteAtMost(size))
        storage.put(key, source, size=size, content_type="application/zip")
        assert hashlib.sha256(read(storage, key)).digest() == hashlib.sha256(bytes(size)).digest()


def test_a_put_whose_server_dies_leaves_nothing_and_can_be_repeated(own_rclone: Rclone) -> None:
    storage = own_rclone.storage()
    source = cast(io.BytesIO, KillsOnTheWay(LARGE, own_rclone.kill))
    with pytest.raises(StorageError, match="did not answer"):
        storage.put(KEY, source, size=LARGE, content_type="application/zip")
    own_rclone.start()
    assert storage.size(KEY) is None
    put(storage, CONTENT)
    assert read(storage) == CONTENT


def test_a_put_is_tried_again_until_the_server_is_back(own_rclone: Rclone) -> None:
    storage = own_rclone.storage(retries="8")
    own_rclone.kill()
    back = threading.Timer(1.0, own_rclone.start)
    back.start()
    put(storage, CONTENT)
    back.join()
    assert read(storage) == CONTENT


# Collecting against referring


def listed(storage: S3Storage) -> set[str]:
    answer = storage._client.list_objects_v2(Bucket=storage._bucket.name)
    return {found["Key"] for found in answer.get("Contents", ())}


def test_a_deletion_leaves_no_notice_behind(storage: S3Storage) -> None:
    put(storage, CONTENT)
    assert storage.delete(KEY, unmodified_since_ms=0) is False
    assert listed(storage) == {KEY}
    assert storage.delete(KEY, unmodified_since_ms=int(time.time() + 60) * 1_000) is True
    assert storage.delete(KEY, unmodified_since_ms=0) is True
    assert listed(storage) == set()


def test_a_touch_waits_for_a_deletion_that_was_announced(storage: S3Storage) -> None:
    put(storage, CONTENT)
    answers: list[bool] = []
    toucher = threading.Thread(target=lambda: answers.append(storage.touch(KEY)))
    with storage._notices.announced(KEY):
        toucher.start()
        toucher.join(1)
        assert toucher.is_alive()
        storage._quick.delete_object(**storage._address(KEY))
        put(storage, b"other", OTHER)  # which nobody deletes, does not wait
    toucher.join()
    assert answers == [False]


def test_a_put_waits_too_and_says_if_it_was_in_vain(storage: S3Storage) -> None:
    errors: list[str] = []

    def write() -> None:
        try:
            put(storage, CONTENT)
        except StorageError as exc:
            errors.append(str(exc))

    writer = threading.Thread(target=write)
    with storage._notices.announced(KEY):
        writer.start()
        deadline = time.monotonic() + 10
        while storage.size(KEY) is None:
            assert time.monotonic() < deadline
        storage._quick.delete_object(**storage._address(KEY))
    writer.join()
    assert errors == [
        "The package could not be stored, because it was deleted meanwhile. Please try again."
    ]


def test_the_notice_of_a_dead_process_is_taken_down(
    storage: S3Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(storage, CONTENT)
    storage._client.put_object(Bucket=storage._bucket.name, Key=f".deleting/{KEY}/1", Body=b"")
    monkeypatch.setattr(s3_notices, "_STALE_S", 0.0)
    assert storage.touch(KEY) is True
    assert listed(storage) == {KEY}


def test_a_deletion_that_takes_too_long_is_not_sent(
    storage: S3Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(storage, CONTENT)
    monkeypatch.setattr(s3_notices, "_DELETE_WITHIN_S", -1.0)
    with pytest.raises(StorageError, match="too slow"):
        storage.delete(KEY, unmodified_since_ms=int(time.time() + 60) * 1_000)
    assert listed(storage) == {KEY}


def test_a_touch_does_not_wait_for_ever(
    storage: S3Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(storage, CONTENT)
    monkeypatch.setattr(s3_notices, "_WAIT_S", 0.3)
    with storage._notices.announced(KEY), pytest.raises(StorageError, match="being deleted"):
        storage.touch(KEY)


# What goes wrong


def test_a_bucket_that_is_not_there_is_told(rclone: Rclone) -> None:
    storage = rclone.storage("no-such-bucket")
    for failing in (storage.check, lambda: put(storage, CONTENT)):
        with pytest.raises(StorageError, match=r"refused \(404 NoSuchBucket\)"):
            failing()


def test_a_wrong_key_is_a_storage_error_that_does_not_show_it(
    rclone: Rclone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-wrong-secret")
    storage = rclone.storage()
    for failing in (storage.check, lambda: put(storage, CONTENT), lambda: storage.open(KEY)):
        with pytest.raises(StorageError, match=r"refused \(403") as caught:
            failing()
        assert "a-wrong-secret" not in str(caught.value)


def test_no_credentials_are_told(rclone: Rclone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    storage = rclone.storage()
    with pytest.raises(StorageError, match="has no credentials"):
        storage.check()
    with pytest.raises(StorageError, match="has no credentials"):
        storage.download_url(KEY, lifetime=HOUR)


def test_a_profile_names_other_credentials(
    rclone: Rclone, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "credentials").write_text(
        f"[backup]\naws_access_key_id = {ENVIRONMENT['AWS_ACCESS_KEY_ID']}\n"
        f"aws_secret_access_key = {SECRET_KEY}\n"
    )
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-wrong-secret")
    storage = rclone.storage(profile="backup")
    put(storage, CONTENT)
    assert read(storage) == CONTENT
    with pytest.raises(SettingsError, match="profile is not in the AWS configuration"):
        rclone.storage(profile="another")


def test_a_server_that_is_not_there_is_told_at_once() -> None:
    storage = open_storage("s3://bucket?endpoint=http://127.0.0.1:1&retries=10")
    with pytest.raises(StorageError, match="did not answer"):
        storage.check()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("s3://", "must name a bucket"),
        ("s3:bucket", "must name a bucket"),
        ("s3://Bad_Bucket", "a bucket has 3 to 63 lower-case letters, digits, dots and"),
        ("s3://b?region=a", "a bucket has 3 to 63 lower-case letters, digits, dots and"),
        ("s3://bucket/.hidden", "must name a bucket"),
        ("s3://bucket/a/../b", "a folder up to four names of letters"),
        ("s3://key:secret@bucket", "must name a bucket"),
        ("s3://bucket?secret=x", "its parameters can be"),
        ("s3://bucket?region=a&region=b", "each once"),
        ("s3://bucket?region=a b", "its region must be"),
        ("s3://bucket?endpoint=example.com", "its endpoint must be"),
        ("s3://bucket?endpoint=https://u:secret@h", "its endpoint must be"),
        ("s3://bucket?cdn=ftp://h", "its cdn must be"),
        ("s3://bucket?url_minutes=10081", "its url_minutes must be"),
        ("s3://bucket?url_minutes=0", "its url_minutes must be"),
        ("s3://bucket?retries=11", "its retries must be"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_without_repeating_it(url: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words) as caught:
        open_storage(url)
    assert "secret@" not in str(caught.value)


def test_the_secret_is_never_logged(
    rclone: Rclone, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    storage = rclone.storage()
    put(storage, CONTENT)
    url = storage.download_url(KEY, lifetime=HOUR)
    assert read(storage) == CONTENT
    output = "".join(capfd.readouterr()) + caplog.text
    assert SECRET_KEY not in output
    assert parse_qs(urlsplit(url).query)["X-Amz-Signature"][0] not in output
    assert SECRET_KEY not in repr(storage) + repr(vars(storage))


# The command


def test_storage_copy_moves_packages_there_and_back(rclone: Rclone, tmp_path: Path) -> None:
    there, back = rclone.url(), f"local://{tmp_path}/back"
    source = open_storage(f"local://{tmp_path}/blobs")
    for content in (CONTENT, b"PK\x03\x04", bytes(9_000_000)):
        put(source, content, blob_key(content))
    for pair in ((f"local://{tmp_path}/blobs", there), (there, back)):
        done = CliRunner().invoke(codepush, ["storage", "copy", *pair])
        assert done.exit_code == 0, done.output
        assert done.stdout.startswith("3 packages copied")
    assert {blob.key: blob.size for blob in open_storage(back).list_blobs()} == {
        blob.key: blob.size for blob in source.list_blobs()
    }


def test_times_of_modification_are_those_of_the_server(storage: S3Storage) -> None:
    before = datetime.now(UTC) - timedelta(seconds=2)
    put(storage, CONTENT)
    (blob,) = storage.list_blobs()
    assert before.timestamp() * 1_000 <= blob.modified_at_ms <= time.time() * 1_000
