"""Gives jobs the services of the server, built once in each process."""

import functools

from codepush.plugins import open_storage
from codepush.services.container import Services, build_services
from codepush.settings import Settings, load_settings
from codepush.store.connection import connect
from codepush.store.queue import JobQueue
from codepush.store.stores import Stores, open_stores
from codepush.telemetry.logging import configure_logging


@functools.cache
def settings() -> Settings:
    """Return the settings that the worker was started with."""
    found = load_settings()
    configure_logging(found.log_level, found.log_format)
    return found


@functools.cache
def stores() -> Stores:
    """Return the stores, over the store that the worker was started with."""
    return open_stores(connect(settings().redis_url))


@functools.cache
def services() -> Services:
    """Return the services."""
    storage = open_storage(settings().effective_storage_url, settings().storage_secrets)
    queue = JobQueue(settings().effective_queue_url)
    return build_services(settings(), stores(), storage, queue)
