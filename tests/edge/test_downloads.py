"""What a device is told to download: the package as uploaded, a smaller one, or a diff."""

from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient

from codepush.domain.ids import BlobKey, PackageHash
from codepush.domain.models import App, Deployment, Download, History
from codepush.domain.releasing import Change
from codepush.services.container import Services
from tests.api_client import Account, ApiClient, bundle

BASE = PackageHash("b" * 64)
REFUSED = PackageHash("c" * 64)


@pytest.fixture
def target(api: ApiClient, services: Services, account: Account) -> tuple[App, Deployment]:
    """A deployment with a release for which a smaller package and a diff were made."""
    api.add_app()
    api.release(bundle())
    principal = services.tokens.authenticate(account.token)
    target = services.deployments.get(principal, "App", "Staging")
    app, deployment = target

    def decide(history: History) -> Change:
        (release,) = history.releases
        served = Download(BlobKey(f"{app.id}/{'1' * 64}"), 200)
        diff = Download(BlobKey(f"{app.id}/{'2' * 64}"), 100)
        made = replace(release, served=served, diffs={BASE: diff, REFUSED: None})
        return Change(updated=(made,))

    services.stores.releases.change(app.id, deployment.id, decide, tell=None)
    return target


@pytest.mark.parametrize("dialect", ["camel", "snake"])
@pytest.mark.parametrize(
    ("package_hash", "blob", "size"),
    [("", "1", 200), (BASE, "2", 100), (REFUSED, "1", 200), ("d" * 64, "1", 200)],
)
def test_both_generations_are_told_of_the_best_download(
    http: FlaskClient,
    api: ApiClient,
    target: tuple[App, Deployment],
    dialect: str,
    package_hash: str,
    blob: str,
    size: int,
) -> None:
    app = target[0]
    if dialect == "camel":
        query = {"deploymentKey": api.key(), "appVersion": "1.0.0", "packageHash": package_hash}
        told: Any = http.get("/updateCheck", query_string=query).get_json()["updateInfo"]
        found = (told["downloadURL"], told["packageSize"])
    else:
        told = api.check(api.key(), package_hash=package_hash)
        found = (told["download_url"], told["package_size"])
    assert found == (f"http://localhost/blobs/{app.id}/{blob * 64}", size)


def test_managers_see_the_full_package_as_devices_get_it(
    http: FlaskClient, api: ApiClient, account: Account, target: tuple[App, Deployment]
) -> None:
    url = f"http://localhost/blobs/{target[0].id}/"
    (classic,) = api.history()
    assert (classic["blobUrl"], classic["size"]) == (url + "1" * 64, 200)
    assert classic["diffPackageMap"] == {BASE: {"url": url + "2" * 64, "size": 100}}
    headers = {"Authorization": f"Bearer {account.token}"}
    path = "/api/v1/apps/App/deployments/Staging/releases/v1"
    seed = http.get(path, headers=headers).get_json()["release"]
    assert (seed["blobUrl"], seed["size"]) == (url + "1" * 64, 200)


def test_a_change_that_nobody_made_is_not_in_the_log(
    services: Services, api: ApiClient, target: tuple[App, Deployment]
) -> None:
    app, deployment = target
    log = services.stores.client.xrange(f"cp:1:{{a:{app.id}}}:log", "-", "+", 100)
    assert [each[1]["e"].count("deployment.released") for each in log] == [0, 1]
    (release,) = services.stores.releases.history(app.id, deployment.id).releases
    assert release.served
