"""``codepush serve`` and ``codepush worker``: the processes of a server."""

import logging.config
import sys

import click

from codepush.commands.welcome import welcome
from codepush.plugins import open_storage
from codepush.server.logs import log_config
from codepush.server.start import check_start, check_tls, check_web
from codepush.server.supervisor import Supervisor
from codepush.services.bootstrap import first_administrator, note_welcome
from codepush.services.container import Services, build_services
from codepush.settings import Settings, load_settings
from codepush.store.connection import connect
from codepush.store.queue import JobQueue
from codepush.store.stores import open_stores
from codepush.telemetry.logging import configure_logging


@click.command()
def serve() -> None:
    """Run the whole server: the store, the web server and the worker."""
    settings = load_settings()
    logging.config.dictConfig(log_config(settings, settings.log_level.upper()))
    check_tls(settings)
    services: Services | None = None

    def prepare(url: str) -> None:
        nonlocal services
        check_web(settings)
        check_start(settings, url)
        services = _open_services(url, settings)

    def on_ready() -> None:
        # Only now: a token made earlier would be lost if the start failed in between.
        made = first_administrator(services, settings.admin_email) if services else None
        welcome(settings, made)
        if services and made:
            note_welcome(services)

    sys.exit(Supervisor(settings, prepare=prepare, on_ready=on_ready).run())


@click.command()
def worker() -> None:
    """Run one worker for background jobs; needs REDIS_URL."""
    # Here, because importing RQ would slow every command down.
    from codepush.server.worker import main

    main()


def _open_services(url: str, settings: Settings) -> Services:
    configure_logging(settings.log_level, settings.log_format)
    storage = open_storage(settings.effective_storage_url, settings.storage_secrets)
    return build_services(
        settings, open_stores(connect(url)), storage, JobQueue(settings.queue_url or url)
    )
