"""Disks, stores and storages that refuse: what a client is told, and what remains.

docs/faults.md has a row for each.
"""

import contextlib
import random
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests

from codepush.app import create_app
from codepush.domain.errors import StorageError
from codepush.services.backups.backup import make_backup
from codepush.services.clock import system_clock
from codepush.settings import Settings
from codepush.store import keys
from codepush.store.connection import connect
from plugins.storage_local import LocalStorage
from tests.api_client import Account, ApiClient, bundle, lasting_keys, make_zip
from tests.conftest import FakeClock
from tests.needed import lacking
from tests.redis_servers import RedisServer
from tests.server.processes import Processes, wait_for
from tests.server.real import RealServer

MEGABYTE = 1_000_000
AUDIT = "/api/v1/organizations/alice@example.com/audit"


@contextmanager
def disk(folder: Path, size: int) -> Iterator[Path]:
    """A disk of its own, of so many bytes."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, check=False)
    if mounted.returncode != 0:
        lacking("a disk of its own needs the right to mount one")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


SMALL_DISK = 360_000


def large() -> bytes:
    """A package that does not fit on it; Flask's test client keeps it in memory."""
    return make_zip({"CodePush/main.jsbundle": random.Random(1).randbytes(480_000)})


def client(settings: Settings, clock: FakeClock) -> ApiClient:
    app = create_app(settings, clock)
    api = ApiClient(
        app.test_client(), Account.create(app.extensions["codepush"], "alice@example.com")
    )
    api.add_app()
    api.release(bundle("1"))
    return api


def refused(api: ApiClient, content: bytes) -> str:
    answer = api.release(content, expect=503)
    assert answer.headers["Retry-After"] == "2"
    return answer.get_data(as_text=True)


def test_a_full_disk_of_packages(
    settings: Settings, redis: object, clock: FakeClock, tmp_path: Path
) -> None:
    with disk(tmp_path / "disk", SMALL_DISK) as folder:
        api = client(replace(settings, storage_url=f"local://{folder}/blobs"), clock)
        before = lasting_keys(redis)
        said = refused(api, large())
        assert said == (
            "The package could not be stored, because the server's disk refused: No space left on"
            " device. Please tell the operator of the server."
        )
        assert lasting_keys(redis) == before
        assert [each.name for each in (folder / "blobs" / ".incoming").iterdir()] == []
        assert [each["label"] for each in api.history()] == ["v1"]
        api.release(bundle("2"))  # a small one still fits
        assert api.check(api.key())["label"] == "v2"
        fill(folder / "filler")
        said = api.call("GET", "/health", expect=503).get_data(as_text=True)
        assert "the server's disk refused: No space" in said
        assert "No space" in api.call("GET", "/health/ready", expect=200).get_data(as_text=True)
        assert [each.name for each in (folder / "blobs" / ".incoming").iterdir()] == []


def test_a_full_disk_of_uploads_under_way(
    settings: Settings, redis: object, clock: FakeClock, tmp_path: Path
) -> None:
    with disk(tmp_path / "disk", SMALL_DISK) as folder:
        blobs = f"local://{tmp_path}/blobs"
        api = client(replace(settings, data_dir=folder, storage_url=blobs), clock)
        said = refused(api, large())
        assert "The upload could not be kept, because the server's disk refused: No space" in said
        assert [each["label"] for each in api.history()] == ["v1"]
        api.release(bundle("2"))


def test_a_disk_that_became_read_only(
    settings: Settings, redis: object, clock: FakeClock, tmp_path: Path
) -> None:
    with disk(tmp_path / "disk", 8 * MEGABYTE) as folder:
        api = client(replace(settings, storage_url=f"local://{folder}/blobs"), clock)
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        assert "the server's disk refused: Read-only file system." in refused(api, bundle("2"))
        answer = api.call("GET", "/health", expect=503)
        assert "Read-only file system" in answer.get_data(as_text=True)
        # What is there is served.
        update = api.check(api.key())
        path = "/" + update["download_url"].split("/", 3)[3]
        with api.http.get(path) as served:
            assert served.data == bundle("1")
        api.promote()
        subprocess.run(["mount", "-o", "remount,rw", str(folder)], check=True)
        api.release(bundle("2"))
        assert [each["label"] for each in api.history()] == ["v1", "v2"]


def test_a_store_without_memory(settings: Settings, clock: FakeClock, tmp_path: Path) -> None:
    server = RedisServer(tmp_path / "redis", "--maxmemory-policy", "noeviction")
    try:
        url = server.start().url
        api = client(replace(settings, redis_url=url, queue_url="", quota_user_per_hour=100), clock)
        key = api.key()
        store = connect(url)
        person = {"email": "new@example.com", "password": "correct horse battery"}
        api.call("PATCH", "/api/v1/account", {"password": person["password"]}, expect=200)
        entries = api.get(AUDIT)["entries"]
        api.call("POST", "/apps/App/deployments", {"name": "Logged"}, expect=201)
        before = lasting_keys(store)
        server.ask("CONFIG", "SET", "maxmemory", "1mb")
        full = "The server's store is full and takes no changes; what you asked for was not done."
        for path, body in (
            ("auth/register", person),
            ("auth/login", {"email": "alice@example.com", "password": person["password"]}),
            ("webhooks", {"url": "https://example.com/hook", "events": ["app.created"]}),
            ("organizations", {"name": "Other"}),
        ):
            answer = api.call("POST", f"/api/v1/{path}", body, expect=503)
            assert answer.get_json()["error"]["message"].startswith(full)
        for answer in (
            api.call("POST", "/apps/", {"name": "Other"}, expect=503),
            api.release(bundle("2"), expect=503),
            api.promote(expect=503),
            api.patch(expect=503, description="new"),
            api.call("POST", "/accessKeys", {"friendlyName": "k"}, expect=503),
            api.call("POST", "/apps/App/deployments", {"name": "D"}, expect=503),
            api.call("PATCH", "/apps/App", {"name": "Other"}, expect=503),
            api.report("download", key, 503, label="v1", client_unique_id="d"),
            api.report("deploy", key, 503, app_version="1.0.0", client_unique_id="d"),
        ):
            assert answer.get_data(as_text=True).startswith(full)
            assert answer.headers["Retry-After"] == "2"
        assert lasting_keys(store) == before
        # What only reads goes on, uncounted by quotas; what frees memory does, too.
        assert api.check(key)["label"] == "v1"
        assert [each["label"] for each in api.history()] == ["v1"]
        assert api.get(AUDIT)["entries"] == entries  # what waits to be folded comes later
        api.call("DELETE", "/apps/App/deployments/Logged", expect=204)
        server.ask("CONFIG", "SET", "maxmemory", "0")
        assert len(api.get(AUDIT)["entries"]) == len(entries) + 2
        api.release(bundle("2"))
        api.call("PATCH", "/apps/App", {"name": "Renamed"}, expect=200)
        assert [each["name"] for each in api.get("/apps")["apps"]] == ["Renamed"]
        store.close()
    finally:
        server.kill()


@pytest.mark.parametrize("size", [4_096, 12_288, 16_384, 40_960, 81_920, 131_072])
def test_a_full_disk_of_backups(
    settings: Settings, clock: FakeClock, redis: Any, tmp_path: Path, size: int
) -> None:
    """Wherever it gets full: while records are written, or when the file is closed."""
    redis.set(f"{keys.ROOT}:{{odd}}:text", random.Random(1).randbytes(150_000).hex())
    store, storage = connect(settings.redis_url, any_bytes=True), LocalStorage(tmp_path / "blobs")
    with disk(tmp_path / "small", size) as folder:
        with pytest.raises(
            StorageError, match=r"No space left on device\. The backup was not made"
        ):
            make_backup(store, storage, system_clock, folder / "b", with_blobs=False)
        assert list(folder.iterdir()) == []


def fill(path: Path) -> None:
    """Write a file until the disk is full."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4_096))


class Refusing:
    """A storage that refuses as long as it is told to."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.refuses = True

    def __getattr__(self, name: str) -> Any:
        if not self.refuses or name == "download_url":  # which asks nobody
            return getattr(self.inner, name)

        def refuse(*_: object, **__: object) -> None:
            raise StorageError("The storage refuses. Please try again.")

        return refuse


def test_a_storage_that_refuses(
    settings: Settings, redis: object, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Refusing] = []
    from codepush import app as app_module

    def open_storage(*arguments: Any) -> Refusing:
        made.append(Refusing(real(*arguments)))
        made[0].refuses = False
        return made[0]

    real = app_module.open_storage
    monkeypatch.setattr(app_module, "open_storage", open_storage)
    api = client(settings, clock)
    before = lasting_keys(redis)
    made[0].refuses = True
    assert refused(api, bundle("2")) == "The storage refuses. Please try again."
    assert lasting_keys(redis) == before
    assert [each["label"] for each in api.history()] == ["v1"]
    api.promote()  # needs no package
    made[0].refuses = False
    api.release(bundle("2"))
    assert [each["label"] for each in api.history()] == ["v1", "v2"]


def test_a_clock_that_jumps_back(settings: Settings, redis: object, clock: FakeClock) -> None:
    api = client(settings, clock)
    clock.advance(-30 * 86_400)
    api.release(bundle("2"))
    api.report(
        "deploy",
        api.key(),
        app_version="1.0.0",
        label="v2",
        status="DeploymentSucceeded",
        client_unique_id="d",
    )
    api.patch(description="later")
    clock.advance(-86_400)
    api.release(bundle("3"))
    history = api.history()
    assert [each["label"] for each in history] == ["v1", "v2", "v3"]
    assert history[2]["uploadTime"] < history[0]["uploadTime"]  # as the clock said
    assert api.check(api.key())["label"] == "v3"
    assert api.metrics()["v2"]["active"] == 1
    assert api.call("POST", "/accessKeys", {"friendlyName": "k"}, expect=201)
    assert api.get("/authenticated")["authenticated"] is True


def test_a_full_disk_of_the_embedded_store(processes: Processes, tmp_path: Path) -> None:
    with disk(tmp_path / "disk", 24 * MEGABYTE) as folder:
        processes.data_dir = folder / "var"
        processes.data_dir.mkdir()
        server = RealServer(processes, WEB_CONCURRENCY="1")
        server.add_app("App")
        filler = folder / "filler"
        fill(filler)
        answers = []

        def post(name: str) -> int:
            try:
                answer = requests.post(
                    f"{server.url}/apps",
                    json={"name": name * 200},
                    headers=server.headers,
                    timeout=60,
                )
            except requests.ConnectionError:  # the web process ends with its store, and comes back
                return 0
            answers.append((answer.status_code, name * 200, answer.text))
            return answer.status_code

        names = iter(f"{number:03}" for number in range(1_000))
        wait_for(lambda: post(next(names)) == 503, "the store refuses", 60)
        assert "The server's store does not answer right now." in answers[-1][2]
        filler.unlink()
        wait_for(lambda: post(next(names)) == 201, "the store is back", 60)
        held = requests.get(f"{server.url}/apps", headers=server.headers, timeout=30).json()["apps"]
        made = {name for status, name, _ in answers if status == 201} | {"App"}
        assert made <= {each["name"] for each in held}
        server.stop()
