from tests.api_client import ApiClient, bundle


def test_a_release_reaches_a_device(api: ApiClient) -> None:
    api.add_app()
    key = api.key()
    package = api.release(bundle("1")).get_json()["package"]
    answer = api.check(key)
    assert answer["is_available"]
    assert answer["package_hash"] == package["packageHash"]
    assert answer["label"] == "v1"
    path = answer["download_url"].removeprefix("http://localhost")
    assert api.http.get(path, buffered=True).data == bundle("1")
    api.report("download", key, label="v1", client_unique_id="d1")
    api.report(
        "deploy",
        key,
        label="v1",
        app_version="1.0.0",
        status="DeploymentSucceeded",
        client_unique_id="d1",
    )
    assert api.metrics() == {"v1": {"active": 1, "downloaded": 1, "failed": 0, "installed": 1}}
