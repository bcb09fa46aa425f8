"""Whose address a download URL starts with."""

import pytest

from tests.api_client import ApiClient, bundle


@pytest.fixture
def key(api: ApiClient) -> str:
    api.add_app()
    api.release(bundle())
    return api.key()


def check(api: ApiClient, key: str, **headers: str) -> tuple[int, str]:
    query = {"deployment_key": key, "app_version": "1.0.0"}
    path = "/v0.1/public/codepush/update_check"
    response = api.http.get(path, query_string=query, headers=headers)
    if response.status_code != 200:
        return response.status_code, response.get_data(as_text=True)
    return 200, response.get_json()["update_info"]["download_url"].partition("/blobs/")[0]


@pytest.mark.parametrize(
    "host", ["example.com", "my_server:3000", "10.0.0.1:80", "[fd00::1]:3000", "xn--bcher-kva.de"]
)
def test_without_a_public_url_it_is_the_requests_own(api: ApiClient, key: str, host: str) -> None:
    assert check(api, key, Host=host) == (200, f"http://{host}")


@pytest.mark.parametrize("host", ["a b", "a/b", "a@b", "<x>", "a:b", "a:123456", "[x]", "a,b", "é"])
def test_a_host_that_is_no_address_is_refused(api: ApiClient, key: str, host: str) -> None:
    status, sentence = check(api, key, Host=host)
    assert status == 400
    assert sentence.startswith("The Host header")


def test_forwarded_headers_do_not_count_without_a_trusted_proxy(api: ApiClient, key: str) -> None:
    forwarded = {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https"}
    assert check(api, key, Host="example.com", **forwarded) == (200, "http://example.com")
