"""Three consecutive releases of a real app, from `make acceptance BUNDLES=folder`.

The folder holds v1.zip, v2.zip and v3.zip. Each is unpacked, released by the real command line,
promoted, and downloaded by the real SDK.
"""

import os
from pathlib import Path

import pytest

from tests.e2e.clients import Cli, Device, Server, hash_folder, unzip

pytestmark = [pytest.mark.e2e, pytest.mark.acceptance]

# What packageHash begins with, as the bundles' own README has it.
_HASHES = {"v1": "b9deecf0abf3", "v2": "e85d2d11e763", "v3": "45e3155aed64"}


def test_real_releases_reach_devices_whole(server: Server, tmp_path: Path) -> None:
    bundles = Path(os.environ["BUNDLES"])
    trees = {label: unzip(bundles / f"{label}.zip", tmp_path / label) for label in _HASHES}
    person = server.create_user()
    cli = Cli(tmp_path / "home")
    cli("login", "--accessKey", person.token, server.url)
    print(cli("app", "add", "RealApp", "android", "react-native"))
    keys = {each["name"]: each["key"] for each in cli.json("deployment", "ls", "RealApp")}
    devices = {name: Device("code-push-4", server.url, key, "ann") for name, key in keys.items()}

    for label, tree in trees.items():
        print(cli("release", "RealApp", str(tree / "CodePush"), "1.0.0", "--des", f"Real {label}"))
        print(cli("promote", "RealApp", "Staging", "Production"))
        for name, device in devices.items():
            package = device.check()
            assert (package["label"], package["description"]) == (label, f"Real {label}")
            assert package["packageHash"].startswith(_HASHES[label])
            assert package["packageHash"] == hash_folder(tree)
            folder = tmp_path / f"{name}-{label}"
            folder.mkdir()
            got = device.download(package, folder / "package.zip")
            assert got == {"bytes": package["packageSize"], "isZip": True}
            unpacked = unzip(folder / "package.zip", folder / "unzipped")
            assert hash_folder(unpacked) == package["packageHash"]
            device.report_download(package)
            before = device.running.get("label", "1.0.0")
            device.report_deploy(package, "DeploymentSucceeded", before)
            devices[name] = device.on(package)
            assert devices[name].check() is None

    for name in keys:
        history = cli.json("deployment", "history", "RealApp", name)
        assert [(r["label"], r["packageHash"][:12]) for r in history] == list(_HASHES.items())
        assert [r["metrics"]["active"] for r in history] == [0, 0, 1]
        assert [r["metrics"]["installed"] for r in history] == [1, 1, 1]
    cli("patch", "RealApp", "Production", "--mandatory")
    print(cli("rollback", "RealApp", "Production", "--targetRelease", "v1"))
    package = devices["Production"].check()
    assert (package["label"], package["packageHash"][:12]) == ("v4", _HASHES["v1"])
    print(cli("deployment", "history", "RealApp", "Production", "-a"))
    print(cli("deployment", "ls", "RealApp", "-k"))
