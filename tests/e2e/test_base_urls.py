"""Servers whose address has a path: behind a proxy, and where SDK 3 looks by default."""

import os
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.clients import Cli, Device, Manager, Person, Server, write_bundle
from tests.server.processes import wait_for

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="session")
def person(prefixed_server: Server) -> Person:
    return prefixed_server.create_user()


def test_the_cli_works_at_a_public_url_with_a_path(
    prefixed_server: Server, person: Person, tmp_path: Path
) -> None:
    cli = Cli(tmp_path / "home")
    assert prefixed_server.url.endswith("/codepush")

    cli("login", "--accessKey", person.token, prefixed_server.url + "/")
    cli("app", "add", "By CLI", "android", "react-native")
    cli("release", "By CLI", str(write_bundle(tmp_path, "one")), "1.0.0")

    def listed() -> dict[str, Any]:
        (found,) = (each for each in cli.json("deployment", "ls", "By CLI") if each["package"])
        return found

    assert listed()["package"]["blobUrl"].startswith(f"{prefixed_server.url}/blobs/")
    key = listed()["key"]
    for sdk in ("code-push-2", "code-push-3", "code-push-4"):
        device = Device(sdk, prefixed_server.url, key, sdk)
        # In between, a worker may have made it smaller, once.
        wait_for(
            lambda d=device: d.check()["downloadUrl"] == listed()["package"]["blobUrl"],
            "a device is told of what is listed",
        )
        package = device.check()
        device.download(package, tmp_path / "package.zip")
        device.report_download(package)
        device.report_deploy(package, "DeploymentSucceeded")
    # Refused while the CLI is still sending, far beyond what socket buffers hold.
    large = tmp_path / "main.jsbundle"
    large.write_bytes(os.urandom(20_000_000))
    assert cli.fails("release", "By CLI", str(large), "1.0.0") == (
        "The uploaded file is larger than the size limit of 1 megabytes."
    )
    (row,) = cli.table("deployment", "history", "By CLI", "Staging")
    assert row["Install Metrics"] == "Active: 100% (3 of 3)\nTotal: 3"


def test_download_urls_are_the_public_ones_whatever_address_a_client_used(
    prefixed_server: Server, person: Person, tmp_path: Path
) -> None:
    inside = Manager("code-push-3", f"http://127.0.0.1:{prefixed_server.port}", person.token)
    inside.add_app("From inside")
    made = inside.release(write_bundle(tmp_path, "one"), app="From inside")
    assert made["blobUrl"].startswith(f"{prefixed_server.url}/blobs/")


def test_sdk_3_works_at_the_path_of_its_default_address(
    server: Server, prefixed_server: Server, person: Person, tmp_path: Path
) -> None:
    root = write_bundle(tmp_path, "legacy")
    for each in (server.create_user(), person):
        manager = Manager("code-push-3", f"{each.url}/v0.1/legacy", each.token)
        assert manager("isAuthenticated") is True
        manager.add_app("Legacy 🚀")
        made = manager.release(root, app="Legacy 🚀")
        assert made["blobUrl"].startswith(f"{each.url}/blobs/")
        manager("promote", "Legacy 🚀", "Staging", "Production", {"description": ""})
        assert len(manager("getDeploymentHistory", "Legacy 🚀", "Production")) == 1
        assert manager.fails("rollback", "Legacy 🚀", "Production") == (
            404,
            "Cannot perform rollback because there are no prior releases to rollback to.",
        )
        manager("addAccessKey", "Made below a path", 60_000)
        manager("removeAccessKey", "Made below a path")
        manager("removeApp", "Legacy 🚀")
