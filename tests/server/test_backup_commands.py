"""``codepush backup``, ``restore``, ``verify`` and ``migrate`` as operators run them."""

import io
import json
import os
import shutil
from pathlib import Path

import pytest
import requests

from plugins.storage_local import LocalStorage
from tests.server.processes import Processes
from tests.server.real import RealServer
from tests.storage_contract import blob_key


def run(processes: Processes, *command: str, code: int = 0, **settings: str) -> tuple[str, str]:
    process = processes.python("-P", "-m", "codepush", *command, **settings)
    told, said = process.communicate(timeout=60)
    assert process.returncode == code, said
    assert "Traceback" not in said
    return told, said


def test_from_one_embedded_store_into_another(processes: Processes, tmp_path: Path) -> None:
    run(processes, "user", "create", "--email", "ann@example.com")
    run(processes, "migrate")
    file = tmp_path / "backup"
    told, said = run(processes, "backup", str(file), "--blobs")
    digest = told.split()[-1]
    assert "Reading records" in said
    there = str(tmp_path / "there")
    _, said = run(processes, "restore", str(file), "--sha256", "0" * 64, code=2, DATA_DIR=there)
    assert f"is another backup: its SHA-256 is {digest}" in said
    told, said = run(processes, "restore", str(file), "--sha256", digest, DATA_DIR=there)
    assert "keys restored" in told
    assert "Restoring" in said
    assert "ann@example.com" in run(processes, "user", "list", DATA_DIR=there)[0]
    told, _ = run(processes, "verify", DATA_DIR=there)
    assert told == "0 releases with 0 package files.\nEverything is sound.\n"
    _, said = run(processes, "restore", str(file), code=2, DATA_DIR=there)
    assert "The store is not empty" in said
    file.write_bytes(file.read_bytes()[:-12_000])
    _, said = run(processes, "restore", str(file), code=2, DATA_DIR=str(tmp_path / "third"))
    assert said.splitlines()[-1].startswith("codepush: ")
    _, said = run(processes, "backup", str(file), code=2)
    assert "exists already" in said


def test_a_command_says_which_store_it_uses_and_makes_none_by_mistake(
    processes: Processes, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    for command in (["user", "list"], ["backup", str(tmp_path / "b")], ["verify"], ["migrate"]):
        _, said = run(processes, *command, code=2, DATA_DIR=str(elsewhere))
        assert f"There is no store in DATA_DIR {elsewhere}. Set DATA_DIR, or REDIS_URL" in said
    assert not elsewhere.exists()
    told, said = run(processes, "user", "create", "--email", "ann@example.com", "--json")
    assert json.loads(told)["email"] == "ann@example.com"
    assert f"Store: {processes.data_dir.resolve()}\n" in said
    run(processes, "user", "list")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can use what is another user's")
def test_root_makes_nothing_in_the_folder_of_another_user(
    processes: Processes, data_dir: Path
) -> None:
    os.chown(data_dir, 12_345, -1)
    _, said = run(processes, "user", "create", "--email", "ann@example.com", code=2)
    assert "sudo -u '#12345' env DATA_DIR=" in said
    assert not list(data_dir.iterdir())


def test_a_restore_without_the_key_of_the_webhooks_says_so(
    processes: Processes, tmp_path: Path
) -> None:
    server = RealServer(processes)
    hook = {"url": "https://example.com/hook"}
    made = requests.post(
        f"{server.url}/api/v1/webhooks", json=hook, headers=server.headers, timeout=30
    )
    assert made.status_code == 201
    file = str(tmp_path / "backup")
    told, _ = run(processes, "backup", file)
    key = processes.data_dir / "secret-key"
    assert f"Keep that key apart from the backup; it is in the file {key}." in told
    server.stop()
    told, _ = run(processes, "verify")
    assert "Everything is sound." in told

    there = tmp_path / "there"
    told, said = run(processes, "restore", file, code=1, DATA_DIR=str(there))
    assert "keys restored" in told
    assert "1 webhooks cannot be called: they were encrypted under another SECRET_KEY" in said
    _, said = run(processes, "verify", code=1, DATA_DIR=str(there))
    assert "cannot be called: it was encrypted under another SECRET_KEY" in said
    assert not (there / "secret-key").exists()
    run(processes, "verify", DATA_DIR=str(there), SECRET_KEY=key.read_text().strip())
    shutil.copy(key, there)
    run(processes, "verify", DATA_DIR=str(there))


def test_packages_are_put_back_alone(processes: Processes, tmp_path: Path) -> None:
    run(processes, "user", "create", "--email", "ann@example.com")
    content, blobs = b"a package", processes.data_dir / "blobs"
    key = blob_key(content)
    LocalStorage(blobs).put(key, io.BytesIO(content), size=len(content), content_type="a/b")
    file = tmp_path / "backup"
    run(processes, "backup", str(file))
    _, said = run(processes, "restore", str(file), "--blobs-only", code=2)
    assert "it was made without --blobs" in said
    file.unlink()
    run(processes, "backup", str(file), "--blobs")
    shutil.rmtree(blobs)
    for count in (1, 0):
        told, _ = run(processes, "restore", str(file), "--blobs-only")
        assert told == f"{count} package files put into the storage.\n"
    assert LocalStorage(blobs).size(key) == len(content)
