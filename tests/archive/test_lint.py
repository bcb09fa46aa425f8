"""Warnings about packages that somebody probably did not mean."""

import io
import struct

import pytest

from codepush.archive.gate import inspect
from codepush.archive.lint import (
    HERMES_MAGIC,
    bundle_warnings,
    hermes_version,
    hermes_warnings,
)
from codepush.archive.models import Inspection
from tests.archive.zips import files, tree


def package(*names: str) -> Inspection:
    return inspect(io.BytesIO(files(*names)))


def bytecode(version: int) -> bytes:
    return struct.pack("<QI", HERMES_MAGIC, version) + bytes(100)


@pytest.mark.parametrize(
    ("name", "os", "platform"),
    [
        ("CodePush/index.android.bundle", "Android", "React-Native"),
        ("index.android.bundle", "android", None),
        ("CodePush/main.bundle", "Android", "react-native"),
        ("CodePush/main.jsbundle", "iOS", "React-Native"),
        ("CodePush/index.ios.bundle", "ios", None),
        ("CodePush/index.windows.bundle", "Windows", "React-Native"),
        ("www/index.html", "iOS", "Cordova"),
        ("www/index.html", "Android", "cordova"),
        ("public/index.html", None, "Capacitor"),
        ("www/index.html", None, None),
        ("CodePush/main.jsbundle", None, None),
        ("CodePush/main.jsbundle", None, "React-Native"),
        ("CodePush/main.jsbundle", "tvOS", None),
    ],
)
def test_a_package_with_a_bundle_is_not_warned_of(
    name: str, os: str | None, platform: str | None
) -> None:
    assert bundle_warnings(package(name, "CodePush/a.png"), os, platform) == ()


@pytest.mark.parametrize(
    ("name", "os", "platform", "expected"),
    [
        ("CodePush/main.jsbundle", "Android", "React-Native", "index.android.bundle"),
        ("CodePush/index.android.bundle", "iOS", "React-Native", "main.jsbundle"),
        ("CodePush/index.android.bundle", "Windows", None, "index.windows.bundle"),
        ("CodePush/index.android.bundle", "Android", "Cordova", "index.html"),
        ("www/index.html", "Android", "React-Native", "index.android.bundle"),
        ("www/index.html", None, "React-Native", "main.jsbundle"),
        ("CodePush/a.png", None, None, "index.html"),
        ("CodePush/index.android.bundle.map", "Android", None, "index.android.bundle"),
    ],
)
def test_a_package_without_a_bundle_for_its_platform_is_warned_of(
    name: str, os: str | None, platform: str | None, expected: str
) -> None:
    (warning,) = bundle_warnings(package(name), os, platform)
    assert expected in warning


def test_a_single_file_is_its_own_bundle() -> None:
    assert bundle_warnings(inspect(io.BytesIO(b"console.log(1)")), "iOS", "React-Native") == ()


@pytest.mark.parametrize(
    ("content", "version"),
    [
        (bytecode(96), 96),
        (bytecode(96)[:12], 96),
        (bytecode(96)[:11], None),
        (b"console.log(1)", None),
        (b"", None),
    ],
)
def test_the_version_of_hermes_bytecode_is_found(content: bytes, version: int | None) -> None:
    trees = {"CodePush/assets/a.png": bytes(5_000), "CodePush/main.jsbundle": content}
    assert hermes_version(inspect(io.BytesIO(tree(trees)))) == version
    if content:
        assert hermes_version(inspect(io.BytesIO(content))) == version


def test_of_several_bundles_the_largest_counts() -> None:
    trees = {"a.bundle": bytecode(90), "main.jsbundle": bytecode(96) + bytes(9), "c.bundle": b""}
    assert hermes_version(inspect(io.BytesIO(tree(trees)))) == 96


def test_a_package_without_a_bundle_has_no_bytecode() -> None:
    assert hermes_version(package("www/index.html")) is None


def test_another_version_than_before_is_warned_of() -> None:
    (warning,) = hermes_warnings(94, 96)
    assert "version 96" in warning
    assert "version 94" in warning


@pytest.mark.parametrize(("previous", "current"), [(96, 96), (None, 96), (96, None), (None, None)])
def test_the_same_or_no_version_is_not_warned_of(previous: int | None, current: int | None) -> None:
    assert hermes_warnings(previous, current) == ()
