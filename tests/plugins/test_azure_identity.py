"""The Azure plugin with a managed identity: tokens instead of a key, over TLS."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from urllib.error import HTTPError
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from azure.core.exceptions import AzureError, ServiceRequestError
from azure.storage.blob import BlobServiceClient, UserDelegationKey

from codepush.domain.errors import StorageError
from plugins.azure_sas import IdentitySigner
from plugins.azure_url import Place, read_url
from plugins.storage_azure import AzureStorage
from tests.plugins.azurite import Azurite, Identity, Tls, require
from tests.plugins.blobs import fetch
from tests.storage_contract import KEY, StorageContract, put

WEEK = timedelta(days=7)


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    return Tls(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def secure_azurite(tls: Tls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    require()
    server = Azurite(tmp_path_factory.mktemp("azurite"), in_memory=True, tls=tls)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def place(secure_azurite: Azurite, tls: Tls, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tls.certificate))
    return read_url(secure_azurite.url(), {})[0]


@pytest.fixture
def storage(place: Place) -> AzureStorage:
    return AzureStorage(place, Identity())


class TestContract(StorageContract):
    """The whole contract, with a token instead of a key."""


def test_a_url_signed_with_a_delegated_key_downloads(storage: AzureStorage, tls: Tls) -> None:
    put(storage, b"content")
    url = storage.download_url(KEY, lifetime=timedelta(minutes=5))
    with fetch(url, context=tls.context) as answer:
        assert answer.headers["Content-Length"] == "7"
        assert answer.read() == b"content"
    with fetch(url, context=tls.context, Range="bytes=1-3") as answer:
        assert answer.read() == b"ont"
    query = parse_qs(urlsplit(url).query)
    assert query["spr"] == ["https"]
    with pytest.raises(HTTPError) as caught:
        fetch(url.replace(KEY, KEY[:-1] + "1"), context=tls.context)
    caught.value.close()
    assert caught.value.code == 403


def test_a_url_for_a_week_lives_six_days(storage: AzureStorage) -> None:
    (ends,) = parse_qs(urlsplit(storage.download_url(KEY, lifetime=WEEK)).query)["se"]
    left = datetime.fromisoformat(ends) - datetime.now(UTC)
    assert timedelta(days=5, hours=23) < left <= timedelta(days=6, seconds=1)


def test_an_identity_that_azure_refuses_is_a_storage_error(place: Place) -> None:
    storage = AzureStorage(replace(place, retries=0), Identity(audience="https://other.example"))
    for failing in (
        storage.check,
        lambda: put(storage, b"content"),
        lambda: storage.download_url(KEY, lifetime=WEEK),
    ):
        with pytest.raises(StorageError, match=r"refused \(403 AuthenticationFailed\)"):
            failing()


def test_a_machine_without_an_identity_is_a_storage_error() -> None:
    # In a process of its own, without what this machine may know of identities.
    script = (
        "from codepush.plugins import open_storage\n"
        "from codepush.domain.errors import StorageError\n"
        "storage = open_storage('azure://myaccount/packages?retries=0')\n"
        "try:\n"
        "    storage.check()\n"
        "except StorageError as exc:\n"
        "    print(exc)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        # The one credential it may try is a file that is not there.
        env={
            "PATH": "/nonexistent",
            "AZURE_TOKEN_CREDENTIALS": "WorkloadIdentityCredential",
            "AZURE_TENANT_ID": "ab1f708d-50f6-404c-a006-d71b2ac7a606",
            "AZURE_CLIENT_ID": "11059fcc-5514-4800-b5f8-49808b9cfab6",
            "AZURE_FEDERATED_TOKEN_FILE": "/nonexistent/token",
        },
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Packages could not be ")


class FakeService:
    """Makes delegation keys, or fails, and counts."""

    def __init__(self) -> None:
        self.asked = 0
        self.error: AzureError | None = None
        self.answers = threading.Event()
        self.answers.set()

    def get_user_delegation_key(
        self, start: datetime, until: datetime, **_options: Any
    ) -> UserDelegationKey:
        self.asked += 1
        assert self.answers.wait(10)
        if self.error:
            raise self.error
        assert until - start <= timedelta(days=7), "Azure refuses more"
        key = UserDelegationKey()
        key.value = "c2VjcmV0"
        key.signed_expiry = until.strftime("%Y-%m-%dT%H:%M:%SZ")
        return key


def ends(query: str) -> datetime:
    return datetime.fromisoformat(parse_qs(query)["se"][0])


def test_a_delegated_key_serves_a_day_and_the_old_one_while_there_is_no_other() -> None:
    service = FakeService()
    signer = IdentitySigner(cast(BlobServiceClient, service), {}, lambda work: work())
    place = Place("myaccount", "packages", "https://myaccount.blob.core.windows.net")
    key = KEY
    with time_machine.travel(datetime(2026, 1, 1, tzinfo=UTC), tick=False) as clock:
        for _ in range(10):
            signer.prepare()
            signer.sign(place, key, WEEK)
        assert service.asked == 1
        clock.shift(timedelta(hours=23))
        signer.sign(place, key, WEEK)
        assert service.asked == 1
        clock.shift(timedelta(hours=2))
        signer.sign(place, key, timedelta(hours=1))
        assert service.asked == 1, "it lives long enough for this"
        signer.sign(place, key, WEEK)
        assert service.asked == 2

        service.error = ServiceRequestError("Azure is away")
        clock.shift(timedelta(days=3))
        asked = service.asked
        for _ in range(10):
            shorter = signer.sign(place, key, WEEK)
        assert service.asked == asked + 1, "it is not asked for at every request"
        assert ends(shorter) <= datetime.fromisoformat(parse_qs(shorter)["ske"][0])
        assert ends(shorter) > datetime.now(UTC) + timedelta(days=3)
        clock.shift(timedelta(minutes=2))
        signer.sign(place, key, WEEK)
        assert service.asked == asked + 2, "but now and then"

        clock.shift(timedelta(days=4))
        with pytest.raises(ServiceRequestError):
            signer.sign(place, key, WEEK)
        service.error = None
        signer.sign(place, key, WEEK)


def test_nobody_waits_for_a_new_key_while_the_old_one_serves() -> None:
    """An event loop signs: it would answer no device meanwhile."""
    service = FakeService()
    signer = IdentitySigner(cast(BlobServiceClient, service), {})
    place = Place("myaccount", "packages", "https://myaccount.blob.core.windows.net")
    with time_machine.travel(datetime(2026, 1, 1, tzinfo=UTC), tick=False) as clock:
        signer.prepare()
        first = signer.sign(place, KEY, WEEK)
        clock.shift(timedelta(days=2))
        service.answers.clear()
        for _ in range(10):
            later = signer.sign(place, KEY, WEEK)
        assert parse_qs(later)["ske"] == parse_qs(first)["ske"]
        service.answers.set()
        for thread in threading.enumerate():
            if thread.name == "delegation":
                thread.join(10)
        assert service.asked == 2
        renewed = signer.sign(place, KEY, WEEK)
        assert parse_qs(renewed)["ske"] > parse_qs(first)["ske"]


def test_signing_is_quick_enough_for_every_update_check(storage: AzureStorage) -> None:
    storage.check()
    began = datetime.now(UTC)
    for _ in range(1_000):
        storage.download_url(KEY, lifetime=WEEK)
    assert datetime.now(UTC) - began < timedelta(milliseconds=500)
