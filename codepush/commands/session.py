"""Gives a command the services of the server, or its bare store; the server may run or not."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from codepush.domain.storage import BlobStorage
from codepush.plugins import open_storage
from codepush.server.access import store_url
from codepush.server.secret_key import FILE, keys_at_hand
from codepush.server.start import check_layout, check_reachable
from codepush.services.container import Services, build_services
from codepush.services.vault import Vault
from codepush.settings import load_settings
from codepush.store.connection import StoreClient, connect
from codepush.store.queue import JobQueue
from codepush.store.stores import open_stores
from codepush.telemetry.logging import configure_logging


@contextlib.contextmanager
def open_services() -> Iterator[Services]:
    """Yield the services over the store that the settings mean.

    Raises:
        SettingsError: A setting is wrong.
        ServerError: No store can be had, or its data is not for this server.
    """
    settings = load_settings()
    configure_logging(settings.log_level, settings.log_format)
    with store_url(settings) as url:
        storage = open_storage(settings.effective_storage_url, settings.storage_secrets)
        client = connect(url)
        check_reachable(client)
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
def open_session(*, any_layout: bool = False) -> Iterator[Session]:
    """Yield the store and the storage that the settings mean.

    Args:
        any_layout: Also where the data is not for this server.

    Raises:
        SettingsError: A setting is wrong.
        ServerError: As for ``open_services``.
    """
    settings = load_settings()
    configure_logging(settings.log_level, settings.log_format)
    with store_url(settings) as url:
        client = connect(url, any_bytes=True)
        check_reachable(client)
        if not any_layout:
            check_layout(client)
        storage = open_storage(settings.effective_storage_url, settings.storage_secrets)
        is_own = settings.embedded_store and not settings.secret_keys
        place = f"in the file {settings.data_dir / FILE}" if is_own else "the setting SECRET_KEY"
        yield Session(client, storage, Vault(keys_at_hand(settings)), place)
