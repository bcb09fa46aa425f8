"""The server with its packages in Azure: what devices and managers see."""

from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from codepush.services.container import Services
from codepush.settings import Settings
from tests.api_client import ApiClient, bundle
from tests.plugins.azurite import ACCOUNT_KEY, Azurite, require
from tests.plugins.blobs import fetch


@pytest.fixture(scope="module")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    """One that a test may kill and start again."""
    require()
    server = Azurite(tmp_path_factory.mktemp("azurite"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def settings(settings: Settings, azurite: Azurite) -> Settings:
    return replace(settings, storage_url=azurite.url(), azure_storage_key=ACCOUNT_KEY)


def test_a_release_is_stored_in_azure_and_devices_download_it_from_there(
    api: ApiClient, services: Services, azurite: Azurite, settings: Settings
) -> None:
    assert api.http.get("/health").text == "Healthy"
    api.add_app()
    package = api.release(bundle("1")).get_json()["package"]
    answer = api.check(api.key())
    assert answer["is_available"]
    assert answer["package_hash"] == package["packageHash"]
    assert answer["download_url"].startswith(azurite.endpoint)
    with fetch(answer["download_url"]) as download:
        assert download.headers["Content-Length"] == str(answer["package_size"])
        assert download.headers["Content-Type"] == "application/zip"
        assert download.read() == bundle("1")
    with fetch(package["blobUrl"]) as download:
        assert download.read() == bundle("1")
    (blob,) = services.storage.list_blobs()
    assert blob.key in urlsplit(answer["download_url"]).path
    assert not (settings.data_dir / "blobs").exists()


def test_promote_and_rollback_reuse_the_blob(api: ApiClient, services: Services) -> None:
    api.add_app()
    api.release(bundle("1"))
    api.release(bundle("2"))
    api.promote()
    api.roll_back()
    assert len(list(services.storage.list_blobs())) == 2
    answer = api.check(api.key(deployment="Production"))
    with fetch(answer["download_url"]) as download:
        assert download.read() == bundle("2")


def test_an_azure_that_is_away_refuses_releases_and_not_update_checks(
    api: ApiClient, azurite: Azurite
) -> None:
    api.add_app()
    api.release(bundle("1"))
    azurite.kill()
    response = api.release(bundle("2"), expect=503)
    assert "Azure Blob Storage did not answer" in response.text
    assert [each["label"] for each in api.history()] == ["v1"], "no trace of the failed release"
    assert api.check(api.key())["label"] == "v1", "signing asks nobody"
    health = api.http.get("/health")
    assert health.status_code == 503
    assert "Azure Blob Storage did not answer" in health.text
    azurite.start()
    api.release(bundle("2"))
    with fetch(api.check(api.key())["download_url"]) as download:
        assert download.read() == bundle("2")
