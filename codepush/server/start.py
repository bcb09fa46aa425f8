"""What is looked at before a process starts, so that it ends with a sentence if it cannot work."""

import importlib
import logging
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from codepush.domain.errors import CodePushError
from codepush.domain.storage import BlobStorage
from codepush.domain.store_urls import FILE_OPTIONS
from codepush.edge.tls import CertificateError, days_left, server_context
from codepush.plugins import how_to_install, open_cdn, open_storage
from codepush.server import metrics
from codepush.server.errors import ServerError
from codepush.settings import Settings
from codepush.store import layout
from codepush.store.connection import STORE_ERRORS, StoreClient, cause, connect, connect_queue

log = logging.getLogger("codepush.server")

_LAYOUTS = {
    layout.State.OLDER: "The store's data is of an older layout than this server needs. Run:"
    " codepush migrate",
    layout.State.NEWER: "A newer server wrote the store's data, which this one does not understand."
    " Start that version, or restore a backup of this one's time into an empty store.",
    layout.State.RESTORING: "A backup is being restored into this store, or its restore was"
    " interrupted; run the same codepush restore again, and start the server when it has finished.",
}
_SOON_DAYS = 14.0
_LOOK = "Check {name}, and whether that server runs and lets this machine in."
_TLS = " A URL that begins with rediss is for a server that speaks TLS; without TLS it is redis."
_TRUST = (
    "No authority that this machine knows signed its certificate. Name the file of the one that did"
    " at the end of {name}: ?ssl_ca_certs=/path/ca.pem. Where a platform runs it and gives out no"
    " such file, REDIS_TLS_VERIFY=0 takes any certificate, and so whoever is in between."
)


def check_start(settings: Settings, url: str) -> None:
    """Return if a server can start with these settings, over the store at ``url``.

    Raises:
        SettingsError: ``STORAGE_URL`` or ``CDN_PURGE_URL`` is wrong.
        ServerError: The store, the queue or the storage cannot be used; the message names the
            setting.
    """
    if settings.cdn_purge_url:
        open_cdn(settings.cdn_purge_url, settings.cdn_token)
    if not settings.redis_tls_verify:
        log.warning(
            "REDIS_TLS_VERIFY is 0: nobody checks whether the store is the one it says; whoever is"
            " between it and this machine can read and change everything."
        )
    client = connect(url)
    check_reachable(client, url)
    check_layout(client)
    client.close()
    if settings.queue_url:
        check_queue(settings.queue_url)
    check_storage(open_storage(settings.effective_storage_url, settings.storage_secrets))


def check_own_start(settings: Settings, what: str) -> None:
    """Return if a part of a server can start by itself, beside others over the same store.

    Args:
        settings: Of this process.
        what: What is to start, for people.

    Raises:
        SettingsError: As for ``check_start``.
        ServerError: No ``REDIS_URL`` is set, or as for ``check_start``.
    """
    if settings.embedded_store:
        raise ServerError(
            f"{what} needs REDIS_URL, such as redis://localhost:6379/0; codepush serve runs all"
            " parts over an embedded store by itself."
        )
    check_start(settings, settings.redis_url)


def check_tls(settings: Settings) -> None:
    """Return if the web server can speak HTTPS, or need not; warn of a certificate that ends.

    Raises:
        ServerError: The certificate or its key cannot be used.
    """
    if settings.tls_certificate and settings.tls_key:
        try:
            server_context(settings.tls_certificate, settings.tls_key)
            days = days_left(settings.tls_certificate)
        except CertificateError as exc:
            raise ServerError(str(exc)) from exc
        if days < _SOON_DAYS:
            log.warning(
                "the certificate in TLS_CERTIFICATE (%s) %s; renew it, and reload the server",
                settings.tls_certificate,
                f"ends in {days:.0f} days" if days > 0 else "has ended: clients refuse it",
            )


def check_web(settings: Settings) -> None:
    """Return if a web server finds what it needs on this machine, besides what it serves.

    Raises:
        ServerError: It does not; the message names the setting.
    """
    metrics.check_port(settings)
    if settings.otel_exporter_otlp_endpoint:
        try:
            importlib.import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
        except ImportError as exc:
            raise ServerError(
                f"OTEL_EXPORTER_OTLP_ENDPOINT is set, but the packages for traces are not installed"
                f" ({exc}). {how_to_install('otel')} Or unset it."
            ) from exc


def check_reachable(client: StoreClient, url: str, name: str = "REDIS_URL") -> None:
    """Return if a store answers.

    Args:
        client: Of the store.
        url: Of the store.
        name: Setting that the URL is from.

    Raises:
        ServerError: It does not, or a file that the URL names cannot be read.
    """
    parts = urlsplit(url)
    for option, path in parse_qsl(parts.query):
        if option in FILE_OPTIONS:
            _check_readable(name, option, Path(path))
    try:
        client.ping()
    except STORE_ERRORS as exc:
        advice = _TRUST if "CERTIFICATE_VERIFY_FAILED" in str(exc) else _LOOK
        if advice is _LOOK and parts.scheme.startswith("rediss"):
            advice += _TLS
        raise ServerError(
            f"The store of {name} does not answer ({cause(exc)}). {advice.format(name=name)}"
        ) from exc


def _check_readable(name: str, option: str, path: Path) -> None:
    try:
        with path.open("rb"):
            pass
    except OSError as exc:
        raise ServerError(
            f"{name} names {path} as {option}, which cannot be read: {exc.strerror}. Name a PEM"
            " file that this process may read."
        ) from exc


def check_queue(url: str) -> None:
    """Return if the jobs' Redis answers.

    Raises:
        ServerError: It does not.
    """
    with connect_queue(url, timeout_s=5.0) as client:
        check_reachable(client, url, "QUEUE_URL")


def check_layout(client: StoreClient) -> None:
    """Return if the data is of the layout of this server, or there is none.

    Raises:
        ServerError: It is not.
    """
    try:
        sentence = _LAYOUTS.get(layout.look(client))
    except STORE_ERRORS as exc:
        raise ServerError(
            f"The store of REDIS_URL cannot be used: {cause(exc)}. Check REDIS_URL."
        ) from exc
    except CodePushError as exc:
        raise ServerError(exc.message) from exc
    if sentence:
        raise ServerError(sentence)


def check_storage(storage: BlobStorage) -> None:
    """Return if packages can be kept.

    Raises:
        ServerError: They cannot.
    """
    try:
        storage.check()
    except CodePushError as exc:
        raise ServerError(
            f"The storage of STORAGE_URL cannot be used: {exc.message} Check STORAGE_URL, and what"
            " this process may do there."
        ) from exc
