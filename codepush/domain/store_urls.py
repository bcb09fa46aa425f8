"""URLs of Redis and Valkey: one server, a cluster, or one found through sentinels."""

import re
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

SCHEMES = (
    "redis",
    "rediss",
    "unix",
    "redis+cluster",
    "rediss+cluster",
    "redis+sentinel",
    "rediss+sentinel",
)
"""All that may begin the URL of a store; those with ``rediss`` speak TLS."""

FILE_OPTIONS = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
"""Options of such URLs that name a file."""

_DEFAULT_PORTS = {"cluster": 6379, "sentinel": 26379}
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?")
_OF_SENTINELS = ("sentinel_username", "sentinel_password")
_WORDS = re.compile(r".+", re.DOTALL)
_NUMBER = re.compile(r"[0-9]{1,9}")
_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
_SWITCH = re.compile(r"(?i)0|1|f|t|n|y|false|true|no|yes")
_OPTIONS = {
    **dict.fromkeys(("username", "password", "client_name"), _WORDS),
    **dict.fromkeys(("db", "max_connections", "health_check_interval"), _NUMBER),
    **dict.fromkeys(("socket_timeout", "socket_connect_timeout"), _SECONDS),
    "protocol": re.compile("2|3"),
    "socket_keepalive": _SWITCH,
}
_OPTIONS_OF_TLS = {
    **dict.fromkeys((*FILE_OPTIONS, "ssl_password"), _WORDS),
    **dict.fromkeys(("ssl_ca_path", "ssl_ca_data", "ssl_ciphers"), _WORDS),
    "ssl_cert_reqs": re.compile("none|optional|required"),
    "ssl_check_hostname": _SWITCH,
    "ssl_min_version": _NUMBER,
}
"""What may follow the ``?``, and how its values look. Of redis-py's, those that a URL can spell."""


class Topology(StrEnum):
    """How many servers there are, and how the right one is found."""

    SINGLE = "single"
    CLUSTER = "cluster"
    SENTINEL = "sentinel"


@dataclass(frozen=True, slots=True)
class StoreUrl:
    """What a store's URL says.

    Attributes:
        server: URL of one server, as redis-py reads it: with the scheme ``redis``, ``rediss`` or
            ``unix``, and with user, password, database and options. In a cluster that is the first
            node; with sentinels its host means nothing.
        hosts: Host and port of nodes of the cluster to begin with, or of sentinels.
        service: Name under which sentinels know the master.
        sentinel_login: User and password for the sentinels themselves; "" where they want none.
    """

    topology: Topology
    server: str
    hosts: tuple[tuple[str, int], ...] = ()
    service: str = ""
    sentinel_login: tuple[str, str] = ("", "")


def parse_store_url(url: str) -> StoreUrl:
    """Take a store's URL apart.

    The spellings are ``redis://host:6379/0``, ``unix:///path``, ``redis+cluster://host:port[,...]``
    and ``redis+sentinel://host:port[,...]/SERVICE[/DATABASE]``, each with ``rediss`` for TLS.

    Raises:
        ValueError: It is none of these. The message does not repeat the URL, which may hold a
            password.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port if "," not in parts.netloc else None
    except ValueError:
        # Python's own message may repeat a password that was taken for a port.
        raise ValueError("its host or port cannot be read") from None
    if parts.scheme not in SCHEMES:
        raise ValueError("its scheme is unknown")
    base, _, kind = parts.scheme.partition("+")
    _check_options(parts.query, uses_tls=base == "rediss", has_sentinels=kind == "sentinel")
    if not kind:
        if base != "unix" and not re.fullmatch(r"/?[0-9]{0,9}", parts.path):
            raise ValueError("its path is not the number of a database")
        if not (parts.path if base == "unix" else parts.hostname):
            raise ValueError("it names no server")
        # redis-py knows schemes in lower case only.
        return StoreUrl(Topology.SINGLE, parts.scheme + url[len(parts.scheme) :])
    login, at, places = parts.netloc.rpartition("@")
    hosts = tuple(_host(place, _DEFAULT_PORTS[kind]) for place in places.split(","))
    host, port = hosts[0]
    server = f"{base}://{login}{at}{f'[{host}]' if ':' in host else host}:{port}"
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    steps = [unquote(step) for step in parts.path.split("/") if step]
    if kind == "cluster":
        if steps and steps != ["0"]:
            raise ValueError("a cluster has no numbered databases")
        return StoreUrl(Topology.CLUSTER, _with_query(server, query), hosts)
    if not 1 <= len(steps) <= 2 or not (len(steps) == 1 or steps[1].isdecimal()):
        raise ValueError("the hosts must be followed by /SERVICE or /SERVICE/DATABASE")
    user, password = (query.pop(name, "") for name in _OF_SENTINELS)
    return StoreUrl(
        Topology.SENTINEL,
        _with_query(f"{server}/{steps[1] if len(steps) == 2 else 0}", query),
        hosts,
        steps[0],
        (user, password),
    )


def without_verification(url: str) -> str:
    """Return a store's URL with which the certificate of its server is not checked.

    Args:
        url: As ``parse_store_url`` takes it; returned as it is where it says itself what is to be
            checked, or has no TLS.
    """
    parts = urlsplit(url)
    if not parts.scheme.startswith("rediss") or "ssl_cert_reqs" in parse_qs(parts.query):
        return url
    return f"{url}{'&' if parts.query else '?'}ssl_cert_reqs=none"


def _host(place: str, default_port: int) -> tuple[str, int]:
    found = _HOST.fullmatch(place)
    if not found:
        raise ValueError("its hosts must look like host:port,host:port")
    port = int(found[2] or default_port)
    if not 0 < port < 65_536:
        raise ValueError("its port is not between 1 and 65535")
    return found[1].strip("[]"), port


def _check_options(query: str, *, uses_tls: bool, has_sentinels: bool) -> None:
    """Raise ``ValueError`` for the first option that nobody would understand."""
    of_sentinels = dict.fromkeys(_OF_SENTINELS if has_sentinels else (), _WORDS)
    known = {**_OPTIONS, **of_sentinels, **(_OPTIONS_OF_TLS if uses_tls else {})}
    given = parse_qs(query, keep_blank_values=True)
    for name, values in given.items():
        # A name is repeated only if it looks like one: it may be a part of a password.
        shown = name if re.fullmatch("[a-z_]{1,40}", name) else "(of an odd name)"
        if name in _OPTIONS_OF_TLS and not uses_tls:
            raise ValueError(f"its option {shown} needs TLS, which is rediss in place of redis")
        if name not in known:
            raise ValueError(f"its option {shown} is unknown; there are {', '.join(sorted(known))}")
        if not all(known[name].fullmatch(value) for value in values):
            raise ValueError(f"the value of its option {shown} cannot be used")
    if "ssl_keyfile" in given and "ssl_certfile" not in given:
        raise ValueError("its option ssl_keyfile needs ssl_certfile, the certificate of that key")


def _with_query(url: str, query: dict[str, str]) -> str:
    return f"{url}?{urlencode(query)}" if query else url
