"""What a STORAGE_URL of Azure may say, and that no error repeats a secret."""

from datetime import timedelta
from pathlib import Path

import pytest

from codepush.plugins import open_storage
from codepush.settings import SettingsError, load_settings
from plugins.azure_url import Place, read_url
from plugins.storage_azure import AzureStorage

KEY = "c2VjcmV0"
SECRETS = {"AZURE_STORAGE_KEY": KEY}


def connection(text: str) -> dict[str, str]:
    return {"AZURE_STORAGE_CONNECTION_STRING": text}


def test_the_plain_url_means_the_public_cloud() -> None:
    place, key = read_url("azure://myaccount/packages", SECRETS)
    assert place == Place("myaccount", "packages", "https://myaccount.blob.core.windows.net")
    assert key == KEY


def test_every_parameter_is_heeded() -> None:
    url = (
        "azure://myaccount/packages/?endpoint=https://myaccount.blob.core.usgovcloudapi.net/"
        "&cdn=https%3A%2F%2Fcdn.example.com%2Fp%2F&sas_minutes=60&retries=5"
    )
    place, _ = read_url(url, SECRETS)
    assert place == Place(
        account="myaccount",
        container="packages",
        endpoint="https://myaccount.blob.core.usgovcloudapi.net",
        cdn="https://cdn.example.com/p",
        sas_lifetime=timedelta(hours=1),
        retries=5,
    )


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        (f"AccountName=acct;AccountKey={KEY}", "https://acct.blob.core.windows.net"),
        (
            f"AccountName=acct;AccountKey={KEY};EndpointSuffix=core.chinacloudapi.cn",
            "https://acct.blob.core.chinacloudapi.cn",
        ),
        (
            f"BlobEndpoint=http://127.0.0.1:10000/acct/;AccountName=acct;AccountKey={KEY};",
            "http://127.0.0.1:10000/acct",
        ),
    ],
)
def test_a_connection_string_says_the_endpoint(text: str, endpoint: str) -> None:
    place, key = read_url("azure://acct/packages", connection(text))
    assert (place.endpoint, key) == (endpoint, KEY)
    other, _ = read_url("azure://acct/packages?endpoint=https://e.example", connection(text))
    assert other.endpoint == "https://e.example", "the URL goes first"


def test_without_a_key_the_identity_of_the_machine_is_used() -> None:
    _, key = read_url("azure://myaccount/packages", {"AZURE_STORAGE_KEY": ""})
    assert key == ""
    assert isinstance(open_storage("azure://myaccount/packages"), AzureStorage)


def test_an_identity_is_not_sent_without_tls() -> None:
    with pytest.raises(SettingsError, match="needs an https endpoint"):
        open_storage("azure://myaccount/packages?endpoint=http://127.0.0.1:10000/myaccount")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("azure:", "storage account and a container"),
        ("azure://", "storage account and a container"),
        ("azure://myaccount", "storage account and a container"),
        ("azure://myaccount/", "storage account and a container"),
        ("azure:///packages", "storage account and a container"),
        ("azure://myaccount/a/b", "storage account and a container"),
        ("azure://myaccount/Packages", "a container 3 to 63 lower-case letters, digits and single"),
        ("azure://myaccount/pack--ages", "storage account and a container"),
        ("azure://myaccount/-packages", "storage account and a container"),
        ("azure://my-account/packages", "an account has 3 to 24 lower-case letters and digits"),
        ("azure://secret:secret@myaccount/packages", "storage account and a container"),
        ("azure://myaccount:443/packages", "storage account and a container"),
        ("azure://[secret/packages", "storage account and a container"),
        ("azure://myaccount/packages#secret", "storage account and a container"),
        ("azure://myaccount/packages?key=secret", "keys belong into"),
        ("azure://myaccount/packages?secret", "keys belong into"),
        ("azure://myaccount/packages?AccountKey=secret==", "keys belong into"),
        ("azure://myaccount/packages?retries=1&retries=2", "each once"),
        ("azure://myaccount/packages?endpoint=secret", "its endpoint must be an http"),
        ("azure://myaccount/packages?endpoint=", "its endpoint must be an http"),
        ("azure://myaccount/packages?endpoint=https://u:secret@h", "its endpoint must be an http"),
        ("azure://myaccount/packages?cdn=ftp://secret", "its cdn must be an http"),
        ("azure://myaccount/packages?cdn=https://c/?secret", "its cdn must be an http"),
        ("azure://myaccount/packages?sas_minutes=0", "whole number from 1 to 525600"),
        ("azure://myaccount/packages?sas_minutes=secret", "whole number from 1 to 525600"),
        ("azure://myaccount/packages?retries=11", "whole number from 0 to 10"),
        ("azure://myaccount/packages?key_file=/no/secret", "key_file names cannot be read"),
    ],
)
def test_a_wrong_url_is_refused_with_a_sentence(url: str, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        open_storage(url, SECRETS)
    sentence = str(caught.value)
    assert sentence.startswith("STORAGE_URL cannot be used: ")
    assert words in sentence
    assert "secret" not in sentence


@pytest.mark.parametrize(
    ("secrets", "words"),
    [
        ({"AZURE_STORAGE_KEY": "not base64!"}, "AZURE_STORAGE_KEY is not an account key"),
        ({"AZURE_STORAGE_KEY": "ключ"}, "AZURE_STORAGE_KEY is not an account key"),
        (connection("secret"), "STRING must be a connection string with an AccountKey"),
        (connection("UseDevelopmentStorage=true"), "STRING must be a connection string"),
        (
            connection("BlobEndpoint=https://x;SharedAccessSignature=secret"),
            "STRING must be a connection string with an AccountKey",
        ),
        (connection("AccountName=myaccount;AccountKey=!"), "STRING is not an account key"),
        (connection(f"AccountName=other;AccountKey={KEY}"), "STRING is of another storage account"),
        (
            connection(f"AccountName=myaccount;AccountKey={KEY};BlobEndpoint=ftp://secret"),
            "STRING has an endpoint that is not",
        ),
    ],
)
def test_a_wrong_secret_is_refused_without_showing_it(secrets: dict[str, str], words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        open_storage("azure://myaccount/packages", secrets)
    sentence = str(caught.value)
    assert words in sentence
    for hidden in ("secret", "base64!", "ключ", KEY):
        assert hidden not in sentence


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe", b"two words"])
def test_a_wrong_key_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(SettingsError, match="key_file"):
        open_storage(f"azure://myaccount/packages?key_file={tmp_path}/key", SECRETS)


def test_the_settings_keep_secrets_from_being_shown() -> None:
    settings = load_settings(
        {"AZURE_STORAGE_KEY": KEY, "AZURE_STORAGE_CONNECTION_STRING": f"AccountKey={KEY}"}
    )
    assert settings.storage_secrets["AZURE_STORAGE_KEY"] == KEY
    assert settings.storage_secrets["AZURE_STORAGE_CONNECTION_STRING"] == f"AccountKey={KEY}"
    assert KEY not in repr(settings)
