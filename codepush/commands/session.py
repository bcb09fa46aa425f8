"""Gives a command the services of the server, or its bare store; the server may run or not."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass

import click

from codepush.domain.storage import BlobStorage
from codepush.plugins import open_storage
from codepush.server.access import store_url
from codepush.server.errors import ServerError
from codepush.server.locks import SERVE_LOCK, is_held
from codepush.server.secret_key import FILE, keys_at_hand
from codepush.server.start import check_layout, check_reachable
from codepush.services.container import Services, build_services
from codepush.services.vault import Vault
from codepush.settings import Settings, load_settings
from codepush.store.connection import StoreClient, connect
from codepush.store.queue import JobQueue
from codepush.store.stores import open_stores
from codepush.telemetry.logging import configure_logging


@contextlib.contextmanager
def open_services(*, makes: bool = False) -> Iterator[Services]:
    """Yield the services over the store that the settings mean.

    Args:
        makes: Whether the command may make an embedded store where there is none.

    Raises:
        SettingsError: A setting is wrong.
        ServerError: No store can be had, or its data is not for this server.
    """
    settings = load_settings()
    configure_logging(settings.log_level, settings.log_format)
    _say_which(settings, makes=makes)
    with store_url(settings) as url:
        storage = open_storage(settings.effective_storage_url, settings.storage_secrets)
        client = connect(url)
        check_reachable(client, url)
        check_layout(client)
        queue = JobQueue(settings.queue_url or url)
        yield build_services(settings, open_stores(client), storage, queue)


@dataclass(frozen=True, slots=True)
class Session:
    """All data of a server.

    Attributes:
        client: Of the store; takes any bytes for text.
        vault: Reads secrets, with the keys that a server would have here.
        key_place: Where the operator finds the key, for people.
    """

    client: StoreClient
    storage: BlobStorage
    vault: Vault
    key_place: str


@contextlib.contextmanager
def open_session(*, any_layout: bool = False, makes: bool = False) -> Iterator[Session]:
    """Yield the store and the storage that the settings mean.

    Args:
        any_layout: Also where the data is not for this server.
        makes: As for ``open_services``.

    Raises:
        SettingsError: A setting is wrong.
        ServerError: As for ``open_services``.
    """
    settings = load_settings()
    configure_logging(settings.log_level, settings.log_format)
    _say_which(settings, makes=makes)
    with store_url(settings) as url:
        client = connect(url, any_bytes=True)
        check_reachable(client, url)
        if not any_layout:
            check_layout(client)
        storage = open_storage(settings.effective_storage_url, settings.storage_secrets)
        is_own = settings.embedded_store and not settings.secret_keys
        place = f"in the file {settings.data_dir / FILE}" if is_own else "the setting SECRET_KEY"
        yield Session(client, storage, Vault(keys_at_hand(settings)), place)


def _say_which(settings: Settings, *, makes: bool) -> None:
    """Say which embedded store the command is about to use; a wrong folder would look empty.

    Raises:
        ServerError: There is none in the folder, or its files would no longer be its server's.
    """
    if not settings.embedded_store:
        return
    folder = settings.data_dir.resolve()
    served = folder / SERVE_LOCK
    if not (served.exists() and is_held(served)):  # which would make it
        if not makes and not (folder / "store").exists():
            raise ServerError(
                f"There is no store in DATA_DIR {folder}. Set DATA_DIR, or REDIS_URL, as for"
                " codepush serve; that makes a new store, and so do user create and restore."
            )
        if folder.exists() and os.geteuid() == 0 and (owner := folder.stat().st_uid) != 0:
            raise ServerError(
                f"DATA_DIR {folder} is another user's, who could not use what root makes there. Run"
                f" this as that user: sudo -u '#{owner}' env DATA_DIR={folder} codepush ..."
            )
    click.echo(f"Store: {folder}", err=True)
