"""The server's settings, read from the environment once and checked at start.

Only this module reads the environment. ``config/default.py`` names every setting with its
unit and default; ``config/<CODEPUSH_ENV>.py`` holds what an environment changes.
"""

import importlib
import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from codepush.domain.errors import InvalidParameterError
from codepush.domain.names import check_email
from codepush.domain.store_urls import Topology, parse_store_url, without_verification

ENVIRONMENTS = ("development", "testing", "production")
LOG_LEVELS = ("debug", "info", "warning", "error")
LOG_FORMATS = ("text", "json")
ACCESS_LOGS = ("off", "sampled", "all")
REGISTRATIONS = ("open", "invited", "closed")
MAX_QUOTA = 100_000_000
MIN_SECRET_KEY = 32

_WEB_URL = re.compile(
    r"https?://(?:\[([0-9A-Fa-f:.]+)\]|[A-Za-z0-9][A-Za-z0-9._-]*)(?::([^/@]*))?"
    r"(?:/[A-Za-z0-9._~/-]*)?"
)
"""Its groups: an address in brackets, and a port."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class SettingsError(Exception):
    """A setting is missing or absurd; the message names it and says what to do."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Checked settings. Names and units are those of ``config/default.py``, in lower case."""

    environment: str
    host: str
    port: int
    web_concurrency: int
    web_threads: int
    data_dir: Path
    public_url: str
    redis_url: str
    queue_url: str
    redis_tls_verify: bool
    storage_url: str
    azure_storage_connection_string: str = field(repr=False)
    azure_storage_key: str = field(repr=False)
    max_package_bytes: int
    history_limit: int
    token_lifetime: timedelta
    audit_lifetime: timedelta
    blob_grace: timedelta
    registration: str
    quota_user_per_hour: int
    quota_address_per_hour: int
    quota_device_per_minute: int
    quota_redis_url: str
    device_days: int
    series_hourly_days: int
    series_daily_days: int
    cdn_max_age_s: int
    cdn_purge_url: str
    cdn_token: str = field(repr=False)
    trusted_proxies: int
    tls_certificate: Path | None
    tls_key: Path | None
    secret_keys: tuple[str, ...] = field(repr=False)
    webhook_allow_http: bool
    webhook_allowed_networks: tuple[Network, ...]
    admin_email: str
    log_level: str
    log_format: str
    access_log: str
    access_log_rate: int
    metrics_token: str = field(repr=False)
    metrics_port: int
    otel_exporter_otlp_endpoint: str

    @property
    def embedded_store(self) -> bool:
        """Whether this server keeps its own Valkey in ``data_dir``."""
        return not self.redis_url

    @property
    def effective_queue_url(self) -> str:
        """The URL of the jobs' Redis, which is the store's own where it has no other."""
        return self.queue_url or self.redis_url

    @property
    def spool_dir(self) -> Path:
        """Folder for packages in flight, on the data disk: /tmp may be memory."""
        return self.data_dir / "spool"

    @property
    def effective_storage_url(self) -> str:
        """The storage URL, with the default filled in."""
        return self.storage_url or f"local://{quote(str(self.data_dir.resolve() / 'blobs'))}"

    @property
    def storage_secrets(self) -> Mapping[str, str]:
        """The settings that hold secrets of storage plugins, by name; "" where unset."""
        return {
            "AZURE_STORAGE_CONNECTION_STRING": self.azure_storage_connection_string,
            "AZURE_STORAGE_KEY": self.azure_storage_key,
        }

    @property
    def scheme(self) -> str:
        """What the web server itself speaks: ``http`` or ``https``."""
        return "https" if self.tls_certificate else "http"

    @property
    def public_path(self) -> str:
        """Path part of ``public_url``, without a trailing slash: ``""`` or ``"/codepush"``."""
        return urlsplit(self.public_url).path.rstrip("/")

    @property
    def local_url(self) -> str:
        """Where a person on this machine reaches the server."""
        if self.public_url:
            return self.public_url
        # Not "localhost": some versions of Node look for it at ::1 only.
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104
        return f"{self.scheme}://{f'[{host}]' if ':' in host else host}:{self.port}"


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read and check all settings.

    Args:
        environ: Environment variables; those of the process if None.

    Raises:
        SettingsError: A value is wrong; the message names the setting, the value and what it
            should be.
    """
    values = _merge(os.environ if environ is None else environ)
    _check_production(values)
    _check_ports(values)
    return Settings(
        environment=values["CODEPUSH_ENV"],
        host=_host(values, "HOST"),
        port=_integer(values, "PORT", 1, 65_535),
        web_concurrency=_integer(values, "WEB_CONCURRENCY", 1, 256),
        web_threads=_integer(values, "WEB_THREADS", 1, 1_000),
        data_dir=_directory(values, "DATA_DIR"),
        public_url=_public_url(values, "PUBLIC_URL"),
        redis_url=_redis_url(values, "REDIS_URL", "Leave it unset for the embedded store."),
        queue_url=_queue_url(values),
        redis_tls_verify=_choice(values, "REDIS_TLS_VERIFY", ("0", "1")) == "1",
        storage_url=_storage_url(values, "STORAGE_URL", _directory(values, "DATA_DIR")),
        azure_storage_connection_string=values["AZURE_STORAGE_CONNECTION_STRING"],
        azure_storage_key=values["AZURE_STORAGE_KEY"],
        max_package_bytes=_integer(values, "MAX_PACKAGE_MB", 1, 4_000) * 1_000_000,
        history_limit=_integer(values, "HISTORY_LIMIT", 500, 100_000),
        token_lifetime=timedelta(days=_integer(values, "TOKEN_TTL_DAYS", 1, 3_650)),
        audit_lifetime=timedelta(days=_integer(values, "AUDIT_DAYS", 1, 3_650)),
        blob_grace=timedelta(days=_integer(values, "BLOB_GRACE_DAYS", 1, 3_650)),
        registration=_choice(values, "REGISTRATION", REGISTRATIONS),
        quota_user_per_hour=_integer(values, "QUOTA_USER_PER_HOUR", 0, MAX_QUOTA),
        quota_address_per_hour=_integer(values, "QUOTA_ADDRESS_PER_HOUR", 0, MAX_QUOTA),
        quota_device_per_minute=_integer(values, "QUOTA_DEVICE_PER_MINUTE", 0, MAX_QUOTA),
        quota_redis_url=_redis_url(
            values, "QUOTA_REDIS_URL", "Leave it unset to count in the server's own store."
        ),
        device_days=_integer(values, "DEVICE_DAYS", 1, 3_650),
        series_hourly_days=_integer(values, "SERIES_HOURLY_DAYS", 1, 366),
        series_daily_days=_integer(values, "SERIES_DAILY_DAYS", 1, 3_660),
        cdn_max_age_s=_integer(values, "CDN_MAX_AGE_S", 0, 31_536_000),
        cdn_purge_url=values["CDN_PURGE_URL"],
        cdn_token=values["CDN_TOKEN"],
        trusted_proxies=_integer(values, "TRUSTED_PROXIES", 0, 16),
        tls_certificate=_file(values, "TLS_CERTIFICATE", "TLS_KEY"),
        tls_key=_file(values, "TLS_KEY", "TLS_CERTIFICATE"),
        secret_keys=_secret_keys(values, "SECRET_KEY"),
        webhook_allow_http=_choice(values, "WEBHOOK_ALLOW_HTTP", ("0", "1")) == "1",
        webhook_allowed_networks=_networks(values, "WEBHOOK_ALLOWED_NETWORKS"),
        admin_email=_email(values, "ADMIN_EMAIL"),
        log_level=_choice(values, "LOG_LEVEL", LOG_LEVELS),
        log_format=_choice(values, "LOG_FORMAT", LOG_FORMATS),
        access_log=_choice(values, "ACCESS_LOG", ACCESS_LOGS),
        access_log_rate=_integer(values, "ACCESS_LOG_RATE", 1, 1_000_000),
        metrics_token=_token(values, "METRICS_TOKEN"),
        metrics_port=_integer(values, "METRICS_PORT", 0, 65_535),
        otel_exporter_otlp_endpoint=_public_url(values, "OTEL_EXPORTER_OTLP_ENDPOINT"),
    )


def _merge(environ: Mapping[str, str]) -> dict[str, str]:
    environment = environ.get("CODEPUSH_ENV", "")
    if environment and environment not in ENVIRONMENTS:
        raise SettingsError(
            f"CODEPUSH_ENV is {environment!r}; it must be one of {', '.join(ENVIRONMENTS)}, or"
            " unset."
        )
    values = {"CODEPUSH_ENV": environment}
    for name in ("default", environment):
        if name:
            module = importlib.import_module(f"config.{name}")
            values |= {key: value for key, value in vars(module).items() if key.isupper()}
    known = values.keys()
    return values | {key: environ[key].strip() for key in known if environ.get(key, "").strip()}


def _integer(values: Mapping[str, str], name: str, least: int, most: int) -> int:
    text = values[name]
    if not re.fullmatch(r"[0-9]{1,9}", text) or not least <= int(text) <= most:
        raise SettingsError(
            f"{name} is {text!r}; it must be a whole number from {least} to {most}."
        )
    return int(text)


def _choice(values: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str:
    text = values[name].lower()
    if text not in choices:
        raise SettingsError(f"{name} is {values[name]!r}; it must be one of {', '.join(choices)}.")
    return text


def _host(values: Mapping[str, str], name: str) -> str:
    text = values[name]
    if not re.fullmatch(r"[A-Za-z0-9.:_-]{1,255}", text):
        raise SettingsError(
            f"{name} is {text!r}; it must be an address or host name without scheme or port, such"
            " as 127.0.0.1 or 0.0.0.0."
        )
    return text


def _directory(values: Mapping[str, str], name: str) -> Path:
    path = Path(values[name]).expanduser()
    if "\0" in values[name] or (path.exists() and not path.is_dir()):
        raise SettingsError(
            f"{name} is {values[name]!r}, which is not a folder; name a folder, which is made if it"
            " is missing."
        )
    return path


def _file(values: Mapping[str, str], name: str, other: str) -> Path | None:
    """Return the path of a file that goes with another one; what is in it, is looked at later."""
    if bool(values[name]) != bool(values[other]):
        unset = other if values[name] else name
        raise SettingsError(
            f"{unset} is not set, but its counterpart is; for HTTPS set both TLS_CERTIFICATE and"
            " TLS_KEY, to PEM files, or neither where a proxy in front ends TLS."
        )
    return Path(values[name]).expanduser() if values[name] else None


def _public_url(values: Mapping[str, str], name: str) -> str:
    text = values[name].rstrip("/")
    if not text:
        return text
    found = _WEB_URL.fullmatch(text)
    if not found or (found[1] and not _is_address(found[1])):
        shown = "not usable" if "@" in text else repr(values[name])  # it may hold a password
        raise SettingsError(
            f"{name} is {shown}; it must be an http or https URL without user, query or fragment,"
            " such as https://codepush.example.com."
        )
    port = found[2]
    if port is not None and not (re.fullmatch("[0-9]{1,5}", port) and 0 < int(port) < 65_536):
        raise SettingsError(
            f"{name} is {values[name]!r}; its port must be a whole number from 1 to 65535."
        )
    return text


def _is_address(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def _redis_url(values: Mapping[str, str], name: str, otherwise: str) -> str:
    text = values[name]
    if not text:
        return text
    try:
        parse_store_url(text)
    except ValueError as exc:
        # The value may hold a password: name the setting only.
        raise SettingsError(
            f"{name} is not a Redis URL ({exc}); it must look like redis://host:6379/0,"
            " redis+cluster://host:6379,host:6379, redis+sentinel://host:26379,host:26379/SERVICE"
            f" (each with rediss for TLS), or unix:///path/to/socket. {otherwise}"
        ) from exc
    return without_verification(text) if values["REDIS_TLS_VERIFY"] == "0" else text


def _queue_url(values: Mapping[str, str]) -> str:
    """Return where jobs are queued, "" for the store itself, which must then be no cluster."""

    def is_cluster(url: str) -> bool:
        return bool(url) and parse_store_url(url).topology is Topology.CLUSTER

    text = _redis_url(values, "QUEUE_URL", "Leave it unset to queue jobs in the store.")
    if is_cluster(text):
        raise SettingsError(
            "QUEUE_URL names a cluster, but background jobs need a single Redis or Valkey, such as"
            " redis://host:6379/0."
        )
    if not text and is_cluster(values["REDIS_URL"]):
        raise SettingsError(
            "REDIS_URL names a cluster, so QUEUE_URL must be set: background jobs need a single"
            " Redis or Valkey, such as redis://host:6379/0."
        )
    return text


def _check_production(values: Mapping[str, str]) -> None:
    """Refuse to serve with what works only by chance."""
    if values["CODEPUSH_ENV"] == "production" and values["REDIS_URL"] and not values["SECRET_KEY"]:
        raise SettingsError(
            "SECRET_KEY is not set, which CODEPUSH_ENV=production needs where REDIS_URL is set: it"
            " encrypts the secrets of webhooks, and must be the same for all processes. Set it to"
            " the output of: openssl rand -hex 32."
        )


def _check_ports(values: Mapping[str, str]) -> None:
    port = values["METRICS_PORT"]
    if port == values["PORT"] and port != "0":
        raise SettingsError(
            f"METRICS_PORT is {port!r}, which is PORT, too; set it to another, or leave it unset"
            " and set METRICS_TOKEN to have the metrics at PORT."
        )


def _secret_keys(values: Mapping[str, str], name: str) -> tuple[str, ...]:
    keys = tuple(key.strip() for key in values[name].split(",")) if values[name] else ()
    if any(len(key) < MIN_SECRET_KEY for key in keys):
        raise SettingsError(
            f"{name} is too short; it must be at least {MIN_SECRET_KEY} random characters, or"
            " several such with commas between them, the newest first."
        )
    return keys


def _networks(values: Mapping[str, str], name: str) -> tuple[Network, ...]:
    found = []
    for text in filter(None, (each.strip() for each in values[name].split(","))):
        try:
            found.append(ipaddress.ip_network(text))
        except ValueError as exc:
            raise SettingsError(
                f"{name} has {text!r}, which is not a network; write networks such as 10.1.0.0/16"
                " or fd00:1::/32, with commas between them."
            ) from exc
    return tuple(found)


def _storage_url(values: Mapping[str, str], name: str, data_dir: Path) -> str:
    text = values[name]
    if text and not re.match(r"[a-z][a-z0-9+.-]*:", text):
        # The value may hold an account key: name the setting only.
        raise SettingsError(
            f"{name} is not a URL; it must begin with the scheme of a storage plugin, such as"
            " local:///var/lib/codepush/blobs."
        )
    parts = urlsplit(text)
    if parts.scheme == "local" and data_dir.resolve().is_relative_to(
        Path(unquote(parts.path)).resolve()
    ):
        raise SettingsError(
            f"{name} is a folder that DATA_DIR is in, or the same; packages need one of their own,"
            f" such as local://{quote(str(data_dir.resolve() / 'blobs'))}."
        )
    return text


def _token(values: Mapping[str, str], name: str) -> str:
    text = values[name]
    if text and not re.fullmatch(r"[\x21-\x7e]{16,200}", text):
        raise SettingsError(  # which does not repeat it
            f"{name} is too weak; it must have 16 to 200 printable characters and no spaces, such"
            " as the output of: openssl rand -hex 32."
        )
    return text


def _email(values: Mapping[str, str], name: str) -> str:
    text = values[name]
    try:
        return check_email(text)
    except InvalidParameterError as exc:
        raise SettingsError(f"{name} is {text!r}; it must be an e-mail address.") from exc
