"""What ``codepush verify`` finds in diffs and in webhooks, over real packages and a real vault."""

import hashlib
import io
import json
import zipfile
from pathlib import Path

import pytest
from flask import Flask

from codepush.services.backups.locked import count_locked
from codepush.services.backups.remedies import Finding
from codepush.services.backups.verification import Verification
from codepush.services.clock import system_clock
from codepush.services.vault import Vault
from codepush.settings import Settings
from codepush.store import keys
from codepush.store.connection import StoreClient, connect
from plugins.storage_local import LocalStorage
from tests.api_client import Account
from tests.services.line import Line, tree

OTHER_KEY = "another key than the one that tests have"


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path / "var" / "blobs")


def verify(
    redis_url: str, storage: LocalStorage, secret_keys: tuple[str, ...]
) -> tuple[list[Finding], Verification]:
    client: StoreClient = connect(redis_url, any_bytes=True)
    looking = Verification(client, storage, system_clock, Vault(secret_keys))
    return looking.run(), looking


def test_each_diff_makes_of_its_base_what_the_release_says(
    staging: Line, redis_url: str, storage: LocalStorage, settings: Settings
) -> None:
    for number in range(4):
        staging.release(tree(f"{number}", **{f"only{number}.js": b"1"}))
        staging.prepare(f"v{number + 1}")
    diffs = [diff for diff in staging["v4"].diffs.values() if diff]
    assert len(diffs) == 3
    findings, looking = verify(redis_url, storage, settings.secret_keys)
    assert findings == []
    assert (looking.releases, looking.untried_diffs) == (4, 0)
    assert looking.blobs >= 4 + 1 + 2 + 3


def test_a_diff_that_would_make_something_else_is_told(
    staging: Line, redis_url: str, storage: LocalStorage, settings: Settings
) -> None:
    staging.prepared(2)
    ((base, diff),) = staging["v2"].diffs.items()
    assert diff
    client = connect(redis_url)
    records = next(client.scan_iter(f"{keys.ROOT}:*:releases"))
    record = json.loads(client.hget(records, "2") or "")

    def point_to(content: bytes) -> None:
        """Store another diff, whole and truly named, in place of the one that there is."""
        digest = hashlib.sha256(content).hexdigest()
        key = diff.blob_key.replace(str(diff.blob_key)[-64:], digest)
        storage.put(key, io.BytesIO(content), size=len(content), content_type="application/zip")
        text = json.dumps(record).replace(diff.blob_key, key)
        text = text.replace(f'"{key}", {diff.size}', f'"{key}", {len(content)}')
        client.hset(records, "2", text)

    def fault() -> str:
        findings, _ = verify(redis_url, storage, settings.secret_keys)
        (found,) = findings
        return found.what

    with storage.open(diff.blob_key) as file, zipfile.ZipFile(io.BytesIO(file.read())) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    changed = {**entries, "CodePush/index.android.bundle": b"something else"}
    point_to(zipped(changed))
    assert f"does not make of the package {base} what the release says" in fault()
    del changed["hotcodepush.json"]
    point_to(zipped(changed))
    assert "is no diff that a device could apply" in fault()
    point_to(b"no zip at all")
    assert "is no diff that a device could apply" in fault()


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def test_diffs_from_releases_that_are_gone_are_tried_as_far_as_they_are_known(
    staging: Line, redis_url: str, storage: LocalStorage, settings: Settings
) -> None:
    staging.prepared(2)
    client = connect(redis_url)
    records = next(client.scan_iter(f"{keys.ROOT}:*:releases"))
    client.hdel(records, "1")
    findings, looking = verify(redis_url, storage, settings.secret_keys)
    assert (findings, looking.untried_diffs) == ([], 0)
    # And now nobody knows what was in it.
    client.delete(next(client.scan_iter(f"{keys.ROOT}:*:packages")))
    findings, looking = verify(redis_url, storage, settings.secret_keys)
    assert ["is not noted" in each.what for each in findings] == [True]
    assert looking.untried_diffs == 1


def test_webhooks_under_another_key_are_told(
    app: Flask,
    settings: Settings,
    account: Account,
    redis_url: str,
    storage: LocalStorage,
) -> None:
    http = app.test_client()
    headers = {"Authorization": f"Bearer {account.token}"}
    for number in range(2):
        hook = {"url": f"https://example.com/{number}"}
        made = http.post("/api/v1/webhooks", json=hook, headers=headers)
        assert made.status_code == 201, made.text
    client = connect(redis_url, any_bytes=True)
    assert count_locked(client, Vault(settings.secret_keys)) == 0
    assert count_locked(client, Vault((OTHER_KEY, *settings.secret_keys))) == 0
    assert verify(redis_url, storage, settings.secret_keys)[0] == []
    for wrong in ((OTHER_KEY,), ()):
        assert count_locked(client, Vault(wrong)) == 2
        findings, _ = verify(redis_url, storage, wrong)
        assert len(findings) == 2
        assert all("encrypted under another SECRET_KEY" in each.what for each in findings)
