import re
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
from redis import Redis

from codepush.domain.store_urls import StoreUrl, Topology, parse_store_url
from codepush.plugins import open_storage
from codepush.settings import SettingsError, load_settings
from codepush.store.connection import connect


def test_the_defaults_are_those_of_the_documentation() -> None:
    settings = load_settings({})
    assert (settings.host, settings.port) == ("127.0.0.1", 3000)
    assert settings.data_dir == Path("var")
    assert settings.embedded_store
    assert settings.effective_storage_url == f"local://{Path('var/blobs').resolve()}"
    assert settings.max_package_bytes == 200_000_000
    assert settings.history_limit == 500
    assert settings.token_lifetime == timedelta(days=60)
    assert (settings.quota_user_per_hour, settings.quota_address_per_hour) == (1_000, 60)
    assert (settings.quota_device_per_minute, settings.quota_redis_url) == (0, "")
    assert settings.local_url == "http://127.0.0.1:3000"


def test_the_environment_overrides_and_an_empty_value_does_not() -> None:
    settings = load_settings({"PORT": "8080", "HOST": "", "PUBLIC_URL": "https://a.example/cp/"})
    assert (settings.port, settings.host) == (8080, "127.0.0.1")
    assert settings.public_url == "https://a.example/cp"
    assert settings.public_path == "/cp"
    assert settings.local_url == "https://a.example/cp"


def test_production_listens_to_all_and_logs_json() -> None:
    settings = load_settings({"CODEPUSH_ENV": "production"})
    assert (settings.host, settings.log_format) == ("0.0.0.0", "json")
    assert load_settings({"CODEPUSH_ENV": "production", "HOST": "10.0.0.1"}).host == "10.0.0.1"


def test_production_with_a_store_of_its_own_needs_a_secret_key() -> None:
    given = {"CODEPUSH_ENV": "production", "REDIS_URL": "redis://host"}
    with pytest.raises(SettingsError, match=r"^SECRET_KEY is not set"):
        load_settings(given)
    assert load_settings(given | {"SECRET_KEY": "k" * 40}).secret_keys == ("k" * 40,)
    assert load_settings({"REDIS_URL": "redis://host"}).secret_keys == ()


def test_an_ipv6_address_is_bracketed_in_urls() -> None:
    assert load_settings({"HOST": "fd00::1"}).local_url == "http://[fd00::1]:3000"


def test_packages_have_a_folder_of_their_own(tmp_path: Path) -> None:
    """Whatever lies beside them would be given out and collected as if it were one of them."""
    data, link = tmp_path / "a folder" / "var", tmp_path / "link"
    data.mkdir(parents=True)
    link.symlink_to(data)
    said = {"DATA_DIR": str(data)}
    for folder in (data, data.parent, Path("/"), link, data / "blobs" / ".."):
        with pytest.raises(SettingsError, match="DATA_DIR is in") as caught:
            load_settings(said | {"STORAGE_URL": f"local://{quote(str(folder))}"})
    own = load_settings(said).effective_storage_url
    assert own in str(caught.value)
    for url in (own, f"local://{quote(str(tmp_path / 'a folder' / 'blobs'))}"):
        assert load_settings(said | {"STORAGE_URL": url}).effective_storage_url == url


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CODEPUSH_ENV", "prod"),
        ("HOST", "http://localhost"),
        ("HOST", "a b"),
        ("PORT", "0"),
        ("PORT", "65536"),
        ("PORT", "-1"),
        ("PORT", "3000.0"),
        ("PORT", "three thousand"),
        ("PORT", "٣"),
        ("WEB_CONCURRENCY", "0"),
        ("WEB_CONCURRENCY", "1000"),
        ("WEB_THREADS", "0"),
        ("DATA_DIR", __file__),
        ("PUBLIC_URL", "codepush.example.com"),
        ("PUBLIC_URL", "ftp://codepush.example.com"),
        ("PUBLIC_URL", "https://host:port"),
        ("PUBLIC_URL", "https://host:99999"),
        ("PUBLIC_URL", "https://host/?a=1"),
        ("PUBLIC_URL", "https://host:/"),
        ("PUBLIC_URL", "https://host:3000@secret"),
        ("PUBLIC_URL", "https://user:secret@host"),
        ("REDIS_URL", "localhost:6379"),
        ("REDIS_URL", "http://localhost"),
        ("REDIS_URL", "redis://"),
        ("REDIS_URL", "redis://:secret@host:port"),
        ("REDIS_URL", "redis://:secret#@host:6379"),
        ("REDIS_URL", "redis://:5/secret@host:6379"),
        ("REDIS_URL", "unix://"),
        ("REDIS_URL", "redis+cluster://"),
        ("REDIS_URL", "redis+cluster://:secret@host:port"),
        ("REDIS_URL", "redis+cluster://host:6379/1"),
        ("REDIS_URL", "redis+sentinel://:secret@host:26379"),
        ("REDIS_URL", "redis+sentinel://host:26379/main/zero"),
        ("REDIS_URL", "redis+sentinel://host:26379,:/main"),
        ("REDIS_URL", "redis+sentinel://host:99999/main"),
        ("QUEUE_URL", "localhost:6379"),
        ("REDIS_TLS_VERIFY", "no"),
        ("STORAGE_URL", "/var/blobs"),
        ("STORAGE_URL", "AccountKey=secret"),
        ("MAX_PACKAGE_MB", "0"),
        ("MAX_PACKAGE_MB", "1e9"),
        ("HISTORY_LIMIT", "499"),
        ("TOKEN_TTL_DAYS", "0"),
        ("QUOTA_USER_PER_HOUR", "-1"),
        ("QUOTA_USER_PER_HOUR", "1000/hour"),
        ("QUOTA_USER_PER_HOUR", "100000001"),
        ("QUOTA_ADDRESS_PER_HOUR", "sixty"),
        ("QUOTA_DEVICE_PER_MINUTE", "0.5"),
        ("QUOTA_REDIS_URL", "localhost:6379"),
        ("QUOTA_REDIS_URL", "redis://:secret@host:port"),
        ("TRUSTED_PROXIES", "-1"),
        ("TRUSTED_PROXIES", "yes"),
        ("ADMIN_EMAIL", "admin"),
        ("ADMIN_EMAIL", "a?b@c"),
        ("PUBLIC_URL", "https://:3000"),
        ("LOG_LEVEL", "loud"),
        ("LOG_FORMAT", "xml"),
        ("ACCESS_LOG", "some"),
        ("ACCESS_LOG_RATE", "0"),
        ("METRICS_TOKEN", "secret"),
        ("METRICS_TOKEN", "secret with some spaces in it"),
        ("METRICS_PORT", "65536"),
        ("METRICS_PORT", "3000"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4318"),
    ],
)
def test_a_wrong_value_is_refused_with_a_sentence_that_names_it(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({name: value})
    sentence = str(caught.value)
    assert sentence.startswith(f"{name} is ")
    assert sentence.endswith(".")
    assert "secret" not in sentence


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("https://x:99999", "its port must be a whole number from 1 to 65535."),
        ("http://x:0", "its port must be a whole number from 1 to 65535."),
        ("https://x:port/path", "its port must be a whole number from 1 to 65535."),
        ("https://[fd00::1]:0", "its port must be a whole number from 1 to 65535."),
        ("https://[x", "it must be an http or https URL without"),
        ("https://[12:34", "it must be an http or https URL without"),
        ("https://[::1", "it must be an http or https URL without"),
        ("https://[1:::2]", "it must be an http or https URL without"),
        ("https://x[1]", "it must be an http or https URL without"),
    ],
)
def test_what_is_wrong_with_a_public_url_is_told_apart(url: str, fault: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(f"PUBLIC_URL is {url!r}; {fault}")):
        load_settings({"PUBLIC_URL": url})


@pytest.mark.parametrize(
    "url",
    ["http://x:1", "https://a_b.example:65535/p/q", "https://[fd00::1]:3000/p", "http://[::1]"],
)
def test_public_urls_may_have_ports_paths_and_addresses(url: str) -> None:
    assert load_settings({"PUBLIC_URL": url}).public_url == url


def test_a_data_folder_with_odd_characters_keeps_its_packages(tmp_path: Path) -> None:
    folder = tmp_path / "d#1?%41 x"
    storage = open_storage(load_settings({"DATA_DIR": str(folder)}).effective_storage_url)
    storage.check()
    assert (folder / "blobs").is_dir()


def test_a_cluster_needs_another_redis_for_its_jobs() -> None:
    cluster = "rediss+cluster://:secret@a:7000,b"
    with pytest.raises(SettingsError, match=r"REDIS_URL names a cluster, so QUEUE_URL must be set"):
        load_settings({"REDIS_URL": cluster})
    with pytest.raises(SettingsError, match=r"QUEUE_URL names a cluster, but .* a single Redis"):
        load_settings({"QUEUE_URL": cluster})
    settings = load_settings({"REDIS_URL": cluster, "QUEUE_URL": "redis://jobs"})
    assert settings.effective_queue_url == "redis://jobs"
    assert load_settings({"REDIS_URL": "redis://all"}).effective_queue_url == "redis://all"


@pytest.mark.parametrize(
    ("url", "parsed"),
    [
        (
            "rediss+cluster://u:p%40@a:7000,b,[::1]:7001?ssl_ca_certs=/ca%20.pem",
            StoreUrl(
                Topology.CLUSTER,
                "rediss://u:p%40@a:7000?ssl_ca_certs=%2Fca+.pem",
                (("a", 7000), ("b", 6379), ("::1", 7001)),
            ),
        ),
        (
            "redis+sentinel://:p@a,b:7/main/3?sentinel_username=s&sentinel_password=x%26y",
            StoreUrl(
                Topology.SENTINEL,
                "redis://:p@a:26379/3",
                (("a", 26379), ("b", 7)),
                "main",
                ("s", "x&y"),
            ),
        ),
        ("REDISS://:P@Host:1/0", StoreUrl(Topology.SINGLE, "rediss://:P@Host:1/0")),
        ("unix:///run/s?db=1", StoreUrl(Topology.SINGLE, "unix:///run/s?db=1")),
    ],
)
def test_store_urls_name_single_servers_clusters_and_sentinels(url: str, parsed: StoreUrl) -> None:
    assert parse_store_url(url) == parsed


def test_a_password_with_a_slash_is_read_percent_encoded() -> None:
    """As a key of Azure is, which is base64; unencoded, its slash would end the host."""
    key = "a/b+c=@:%"
    url = f"rediss://:{quote(key, safe='')}@cache.example.com:10000/0"
    settings = load_settings({"REDIS_URL": url})
    client = connect(settings.redis_url)
    assert isinstance(client, Redis)
    options = client.connection_pool.connection_kwargs
    assert (options["host"], options["port"], options["password"]) == (
        "cache.example.com",
        10000,
        key,
    )


def test_certificates_go_unchecked_only_by_choice() -> None:
    url = "rediss://:p@host:6379/0"
    urls = {
        "REDIS_URL": "rediss+cluster://:p@a,b?ssl_certfile=/c.pem",
        "QUEUE_URL": url,
        "QUOTA_REDIS_URL": "redis://host",
    }
    checked = load_settings(urls)
    assert (checked.redis_url, checked.queue_url) == (urls["REDIS_URL"], url)
    off = load_settings(urls | {"REDIS_TLS_VERIFY": "0"})
    assert off.redis_url == f"{urls['REDIS_URL']}&ssl_cert_reqs=none"
    assert off.queue_url == f"{url}?ssl_cert_reqs=none"
    assert off.quota_redis_url == urls["QUOTA_REDIS_URL"], "without TLS"
    # A child gets what its parent made of it; and a URL may say more itself.
    for said in (off.queue_url, f"{url}?ssl_cert_reqs=required"):
        assert load_settings({"REDIS_URL": said, "REDIS_TLS_VERIFY": "0"}).redis_url == said


@pytest.mark.parametrize("name", ["REDIS_URL", "QUEUE_URL", "QUOTA_REDIS_URL"])
@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("redis://:secret@host?foo=bar", "its option foo is unknown; there are "),
        (
            "redis://host?socket_timeout=abc",
            "the value of its option socket_timeout cannot be used",
        ),
        (
            "redis://host?ssl_ca_certs=/ca.pem",
            "ssl_ca_certs needs TLS, which is rediss in place of",
        ),
        (
            "rediss://host?ssl_cert_reqs=some",
            "the value of its option ssl_cert_reqs cannot be used",
        ),
        ("rediss://host?ssl_keyfile=/k.pem", "its option ssl_keyfile needs ssl_certfile"),
        ("redis://host?sec%20ret=1", "its option (of an odd name) is unknown"),
        ("redis+sentinel://host/main?sentinel_name=secret", "its option sentinel_name is unknown"),
        ("redis://:secret@host/abc", "its path is not the number of a database"),
        ("unix:///run/s?db=one", "the value of its option db cannot be used"),
    ],
)
def test_an_option_of_a_store_url_that_nobody_understands_is_named(
    name: str, url: str, reason: str
) -> None:
    with pytest.raises(SettingsError, match=re.escape(reason)) as refused:
        load_settings({name: url})
    assert str(refused.value).startswith(f"{name} is not a Redis URL (")
    assert not re.search("sec.?ret", str(refused.value))
