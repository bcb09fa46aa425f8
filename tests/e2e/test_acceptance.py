"""Three consecutive releases of a real app, from `make acceptance BUNDLES=folder`.

The folder holds v1.zip, v2.zip and v3.zip. Each is unpacked, released by the real command line,
promoted, and downloaded by the real SDK.
"""

import os
import time
from pathlib import Path

import pytest

from tests.e2e.clients import Cli, Device, Server, hash_folder, install, is_diff, unzip

pytestmark = [pytest.mark.e2e, pytest.mark.acceptance]

# What packageHash begins with, as the bundles' own README has it.
_HASHES = {"v1": "b9deecf0abf3", "v2": "e85d2d11e763", "v3": "45e3155aed64"}


def test_a_device_on_v1_merges_a_diff_to_v3(server: Server, tmp_path: Path) -> None:
    bundles = Path(os.environ["BUNDLES"])
    manager = server.create_user().manager()
    device = Device("code-push-4", server.url, manager.add_app("Diffs")["Staging"], "ann")
    sizes = {}
    for label in _HASHES:
        tree = unzip(bundles / f"{label}.zip", tmp_path / label)
        sizes[label] = manager.release(tree / "CodePush", app="Diffs")["size"]
        if label == "v1":
            v1 = device.check()
            device.download(v1, tmp_path / "v1.zip")
            running = install(tmp_path / "v1.zip", tmp_path / "running")
            device = device.on(v1)
    began = time.monotonic()
    while (v3 := device.check())["packageSize"] > 0.5 * sizes["v3"]:
        assert time.monotonic() < began + 120, "no diff"
        time.sleep(0.1)
    print(f"a diff from v1 to v3 after {time.monotonic() - began:.1f} s", end=", ")
    print(f"{v3['packageSize'] / sizes['v3']:.3f} of the upload")
    device.download(v3, tmp_path / "diff.zip")
    assert is_diff(tmp_path / "diff.zip")
    merged = install(tmp_path / "diff.zip", tmp_path / "merged", running)
    assert hash_folder(merged) == v3["packageHash"]
    assert v3["packageHash"].startswith(_HASHES["v3"])


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
            before = device.running.get("label", "1.0.0")
            folder = tmp_path / f"{name}-{label}"
            folder.mkdir()
            got = device.download(package, folder / "package.zip")
            assert got == {"bytes": package["packageSize"], "isZip": True}
            running = tmp_path / f"{name}-{before}" / "unzipped" if before in trees else None
            installed = install(folder / "package.zip", folder / "unzipped", running)
            assert hash_folder(installed) == package["packageHash"]
            device.report_download(package)
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
