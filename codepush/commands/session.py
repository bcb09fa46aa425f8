"""Gives a command the services of the server, running or not."""

import contextlib
from collections.abc import Iterator

from codepush.plugins import open_storage
from codepush.server.access import store_url
from codepush.services.container import Services, build_services
from codepush.settings import load_settings
from codepush.store.connection import connect
from codepush.store.queue import JobQueue
from codepush.store.stores import open_stores
from codepush.telemetry.logging import configure_logging


@contextlib.contextmanager
def open_services() -> Iterator[Services]:
    """Yield the services over the store that the settings mean.

    Raises:
        SettingsError: A setting is wrong.
        ServerError: No store can be had.
    """
    settings = load_settings()
    configure_logging(settings.log_level, settings.log_format)
    with store_url(settings) as url:
        storage = open_storage(settings.effective_storage_url, settings.storage_secrets)
        yield build_services(
            settings, open_stores(connect(url)), storage, JobQueue(settings.queue_url or url)
        )
