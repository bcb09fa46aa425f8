"""Gives jobs the services of the server, built once in each process."""

import functools

from codepush.plugins import open_storage
from codepush.services.container import Services, build_services
from codepush.settings import load_settings
from codepush.store.connection import connect
from codepush.store.queue import JobQueue
from codepush.store.stores import open_stores
from codepush.telemetry.logging import configure_logging


@functools.cache
def services() -> Services:
    """Return the services, over the store that the worker was started with."""
    settings = load_settings()
    configure_logging(settings.log_level, settings.log_format)
    storage = open_storage(settings.effective_storage_url, settings.storage_secrets)
    queue = JobQueue(settings.effective_queue_url)
    return build_services(settings, open_stores(connect(settings.redis_url)), storage, queue)
