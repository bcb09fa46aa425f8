"""Releases, as the published CLIs and SDKs make, change and read them."""

import hashlib
import io
import json
import zipfile
from typing import Any
from urllib.parse import urlsplit

import pytest
from werkzeug.test import TestResponse

from codepush.services.container import Services
from codepush.settings import Settings
from codepush.store.connection import StoreClient
from tests.api_client import ApiClient, bundle
from tests.conftest import FakeClock

STAGING = "/apps/App/deployments/Staging"
NO_FILE = "A deployment package must include a file."
UNFINISHED = "Please update the previous release to 100% rollout before releasing a new package."
IDENTICAL = (
    "The uploaded package was not released because it is identical to the contents of the"
    " specified deployment's current release."
)
PROMOTE_UNFINISHED = (
    "Cannot promote to an unfinished rollout release unless it is already disabled."
)
PROMOTE_IDENTICAL = (
    "The uploaded package was not promoted because it is identical to the contents of the targeted"
    " deployment's current release."
)


@pytest.fixture(autouse=True)
def made(api: ApiClient) -> Any:
    return api.add_app()


def post(api: ApiClient, body: bytes, boundary: str = "b", path: str = STAGING) -> TestResponse:
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    return api.call("POST", f"{path}/release", headers=headers, data=body)


def part(name: str, content: bytes, filename: str = "", boundary: str = "b") -> bytes:
    suffix = f'; filename="{filename}"' if filename else ""
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{suffix}\r\n'
    if filename:
        head += "Content-Type: application/octet-stream\r\n"
    return f"{head}\r\n".encode() + content + b"\r\n"


def info(**fields: Any) -> bytes:
    return json.dumps({"appVersion": "1.0.0", **fields}).encode()


def upload(api: ApiClient, content: bytes) -> TestResponse:
    """Release without the test client's own encoder, which forgets to close big bodies."""
    return post(api, part("packageInfo", info()) + part("package", content, "p") + b"--b--\r\n")


def fetch(api: ApiClient, url: str) -> bytes:
    return api.http.get(urlsplit(url).path, buffered=True).data


def blobs(settings: Settings) -> list[str]:
    folder = settings.data_dir / "blobs"
    return [path.name for path in folder.rglob("*") if path.is_file()]


# Releasing.


@pytest.mark.parametrize("prefix", ["", "/v0.1/legacy"])
@pytest.mark.parametrize("slash", ["", "/"])
def test_a_release_is_answered_with_all_that_clients_show(
    api: ApiClient, clock: FakeClock, prefix: str, slash: str
) -> None:
    content = bundle()
    response = api.call(
        "POST",
        f"{prefix}{STAGING}/release{slash}",
        expect=201,
        data={
            "package": (io.BytesIO(content), "package.zip"),
            "packageInfo": json.dumps(
                {
                    "appVersion": "^1.0.0",
                    "description": "Fixes ✓",
                    "isDisabled": False,
                    "isMandatory": True,
                    "rollout": 25,
                    "label": None,
                }
            ),
        },
    )
    made = response.get_json()["package"]
    assert made == {
        "label": "v1",
        "appVersion": "^1.0.0",
        "description": "Fixes ✓",
        "isDisabled": False,
        "isMandatory": True,
        "rollout": 25,
        "packageHash": made["packageHash"],
        "blobUrl": made["blobUrl"],
        "size": len(content),
        "releaseMethod": "Upload",
        "uploadTime": clock.now_ms,
        "releasedBy": "alice@example.com",
    }
    assert response.headers["Location"] == f"{prefix}{STAGING}"
    assert made["blobUrl"].startswith("http://localhost/blobs/")
    assert fetch(api, made["blobUrl"]) == content
    history = {"history": [made]}
    assert api.get(f"{prefix}{STAGING}/history{slash}") == history
    assert api.get(f"{prefix}{STAGING}{slash}")["deployment"]["package"] == made


def test_a_release_needs_an_app_version_alone(api: ApiClient) -> None:
    made = api.release(bundle(), "1.0").get_json()["package"]
    assert made["appVersion"] == "1.0"
    assert made["description"] == ""
    assert made["isDisabled"] is made["isMandatory"] is False
    assert made["rollout"] == 100


def test_properties_that_are_null_are_not_given(api: ApiClient) -> None:
    nothing = {"description": None, "isDisabled": None, "isMandatory": None, "rollout": None}
    made = api.release(bundle(), label=None, **nothing).get_json()["package"]
    assert (made["description"], made["rollout"]) == ("", 100)


def test_properties_that_the_server_decides_are_not_taken_from_the_client(
    api: ApiClient,
) -> None:
    forged = {
        "packageHash": "x",
        "blobUrl": "http://evil.example",
        "size": 1,
        "label": "v9",
        "uploadTime": 1,
        "releasedBy": "mallory",
        "releaseMethod": "Promote",
        "originalLabel": "v7",
        "evil": 1,
    }
    made = api.release(bundle(), **forged).get_json()["package"]
    assert made["label"] == "v1"
    assert made["releasedBy"] == "alice@example.com"
    assert made["releaseMethod"] == "Upload"
    assert made["blobUrl"].startswith("http://localhost/")
    assert made["size"] == len(bundle())
    assert not {"evil", "originalLabel"} & made.keys()


def test_a_rollout_may_be_a_string_as_old_clients_send_it(api: ApiClient) -> None:
    assert api.release(bundle(), rollout="50").get_json()["package"]["rollout"] == 50


@pytest.mark.parametrize("info_first", [True, False])
def test_the_properties_may_come_before_or_after_the_file(api: ApiClient, info_first: bool) -> None:
    content = bundle()
    parts = [part("packageInfo", info(description="x")), part("package", content, "p.zip")]
    body = b"".join(parts if info_first else reversed(parts)) + b"--b--\r\n"
    response = post(api, body)
    assert response.status_code == 201
    made = response.get_json()["package"]
    assert made["description"] == "x"
    assert fetch(api, made["blobUrl"]) == content


def test_other_parts_are_ignored(api: ApiClient) -> None:
    body = part("extra", b"1") + part("package", bundle(), "p.zip") + part("file", b"2", "x")
    body += part("packageInfo", info()) + b"--b--\r\n"
    assert post(api, body).status_code == 201


def test_contents_may_hold_what_looks_like_a_boundary(api: ApiClient) -> None:
    content = b"\r\n--b\r\nContent-Disposition: form-data\r\n\r\n--b--\r\n" * 50
    body = part("package", content, "p", "real") + part("packageInfo", info(), boundary="real")
    response = post(api, body + b"--real--\r\n", "real")
    assert response.status_code == 201
    assert fetch(api, response.get_json()["package"]["blobUrl"]) == content


@pytest.mark.parametrize("size", [1, 2, 255, 256, 65_535, 65_536, 65_537, 1_000_000])
def test_the_bytes_uploaded_are_the_bytes_served(api: ApiClient, size: int) -> None:
    content = (hashlib.sha256(b"%d" % size).digest() * (size // 32 + 1))[:size]
    made = upload(api, content).get_json()["package"]
    assert made["size"] == size
    assert fetch(api, made["blobUrl"]) == content


def test_a_single_file_is_hashed_as_it_is(api: ApiClient) -> None:
    content = b"console.log(1)\n"
    made = api.release(content).get_json()["package"]
    assert made["packageHash"] == hashlib.sha256(content).hexdigest()
    answer = api.check(api.key())
    assert answer["package_hash"] == made["packageHash"]
    assert fetch(api, answer["download_url"]) == content


def test_an_archive_is_hashed_by_what_is_in_it(api: ApiClient) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for path in ("a.txt", "b.txt", ".codepushrelease", ".DS_Store"):
            archive.writestr(f"CodePush/{path}", f"{path[0]}\n")
    made = api.release(content.getvalue()).get_json()["package"]
    assert made["packageHash"] == "65e956d9b3169a9f9b5424eae27d7e1185c5ce273570bb3053844664678a76a9"


@pytest.mark.parametrize(
    "body",
    [
        part("packageInfo", info()),
        part("file", bundle(), "p.zip") + part("packageInfo", info()),
        part("Package", bundle(), "p.zip") + part("packageInfo", info()),
        # Without a file name, it is a field and no file.
        part("package", b"x") + part("packageInfo", info()),
        b"",
    ],
    ids=["no file", "wrong part", "wrong case", "no file name", "no part"],
)
def test_an_upload_without_the_file_part_is_refused(
    api: ApiClient, settings: Settings, body: bytes
) -> None:
    response = post(api, body + b"--b--\r\n")
    assert response.status_code == 400
    assert response.get_data(as_text=True) == NO_FILE
    assert api.history() == []
    assert blobs(settings) == []


def test_an_upload_that_is_no_form_is_refused(api: ApiClient) -> None:
    for kind in ("application/json", "application/zip", "text/plain", ""):
        headers = {"Content-Type": kind}
        sentence = api.refused(400, "POST", f"{STAGING}/release", headers=headers, data=bundle())
        assert sentence.startswith(NO_FILE)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"appVersion": None}, "The appVersion is missing; say which binary versions the release"),
        ({"appVersion": "one"}, "The target binary version 'one' is not a semver range."),
        ({"appVersion": 1}, "The appVersion is not valid: Not a valid string."),
        ({"rollout": 0}, "The rollout is not valid: Must be a whole number from 1 to 100."),
        ({"rollout": 101}, "The rollout is not valid: Must be a whole number from 1 to 100."),
        ({"rollout": "abc"}, "The rollout is not valid: Must be a whole number from 1 to 100."),
        ({"rollout": 50.5}, "The rollout is not valid: Must be a whole number from 1 to 100."),
        ({"rollout": True}, "The rollout is not valid: Must be a whole number from 1 to 100."),
        ({"isDisabled": "true"}, "The isDisabled is not valid: Not a valid boolean."),
        ({"isMandatory": 1}, "The isMandatory is not valid: Not a valid boolean."),
        ({"isMandatory": 0}, "The isMandatory is not valid: Not a valid boolean."),
        ({"description": 5}, "The description is not valid: Not a valid string."),
        ({"description": "x" * 10_001}, "The description is not valid: Longer than"),
        ({"label": "7"}, "The label is not valid: labels look like v7."),
    ],
)
def test_a_release_with_a_bad_property_is_refused_and_leaves_no_trace(
    api: ApiClient, settings: Settings, given: dict[str, Any], sentence: str
) -> None:
    body = part("package", bundle(), "p.zip") + part("packageInfo", info(**given)) + b"--b--\r\n"
    response = post(api, body)
    assert response.status_code == 400
    assert response.get_data(as_text=True).startswith(sentence)
    assert api.history() == []
    assert blobs(settings) == []


@pytest.mark.parametrize("given", [None, b"", b"{", b"[]", b"null", b'"x"'])
def test_a_release_with_unreadable_properties_is_refused(
    api: ApiClient, given: bytes | None
) -> None:
    body = part("package", bundle(), "p.zip")
    body += b"" if given is None else part("packageInfo", given)
    response = post(api, body + b"--b--\r\n")
    assert response.status_code == 400
    assert api.history() == []


def test_an_empty_package_is_refused(api: ApiClient) -> None:
    sentence = api.release(b"", expect=400).get_data(as_text=True)
    assert sentence.startswith("The package is empty;")
    assert api.history() == []


def test_a_package_that_devices_could_not_unpack_is_refused(
    api: ApiClient, settings: Settings
) -> None:
    for content in (bundle()[:-30], b"PK\x03\x04" + bytes(50)):
        sentence = api.release(content, expect=400).get_data(as_text=True)
        assert sentence.startswith("The package begins like a zip but has no end record")
    assert api.history() == []
    assert blobs(settings) == []


@pytest.mark.parametrize("over", [1, 100_000, 2_000_000])
def test_a_package_over_the_limit_is_413_with_the_known_sentence(
    api: ApiClient, settings: Settings, over: int
) -> None:
    response = upload(api, bytes(5_000_000 + over))
    assert response.status_code == 413
    assert response.get_data(as_text=True) == (
        "The uploaded file is larger than the size limit of 5 megabytes."
    )
    assert api.history() == []
    assert blobs(settings) == []


def test_a_package_of_exactly_the_limit_is_taken(api: ApiClient) -> None:
    assert upload(api, bytes(5_000_000)).get_json()["package"]["size"] == 5_000_000


def test_an_upload_to_nowhere_is_refused_before_it_is_looked_into(api: ApiClient) -> None:
    for path in ("/apps/Nope/deployments/Staging", "/apps/App/deployments/Nope"):
        assert post(api, b"nonsense", path=path).status_code == 404


def test_identical_contents_are_409(api: ApiClient, settings: Settings) -> None:
    api.release(bundle())
    sentence = api.release(bundle(), expect=409).get_data(as_text=True)
    assert sentence == IDENTICAL
    assert len(api.history()) == 1
    assert len(blobs(settings)) == 1


def test_identical_contents_in_another_archive_are_409(api: ApiClient, settings: Settings) -> None:
    for compression, status in ((zipfile.ZIP_STORED, 201), (zipfile.ZIP_DEFLATED, 409)):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", compression) as archive:
            archive.writestr("CodePush/a.txt", "a" * 1_000)
        api.release(buffer.getvalue(), expect=status)
    assert len(blobs(settings)) == 1


def test_contents_may_return_after_others_and_for_other_binaries(api: ApiClient) -> None:
    for text, version in (("1", "1.0.0"), ("2", "1.0.0"), ("1", "1.0.0"), ("1", "2.0.0")):
        api.release(bundle(text), version)
    assert [each["label"] for each in api.history()] == ["v1", "v2", "v3", "v4"]
    urls = [each["blobUrl"] for each in api.history()]
    assert urls[0] == urls[2] == urls[3] != urls[1]


def test_a_release_over_an_unfinished_rollout_is_409(api: ApiClient) -> None:
    api.release(bundle("1"), rollout=50)
    assert api.release(bundle("2"), expect=409).get_data(as_text=True) == UNFINISHED
    api.patch(isDisabled=True)
    api.release(bundle("2"))
    assert [each["rollout"] for each in api.history()] == [100, 100]


def test_history_is_oldest_first_and_empty_at_first(api: ApiClient) -> None:
    assert api.history() == []
    for n in range(12):
        api.release(bundle(str(n)))
    assert [each["label"] for each in api.history()] == [f"v{n}" for n in range(1, 13)]


def test_blob_urls_begin_with_the_host_that_was_asked(api: ApiClient) -> None:
    api.release(bundle())
    response = api.call("GET", f"{STAGING}/history", base_url="https://push.example.org:8443")
    url = response.get_json()["history"][0]["blobUrl"]
    assert url.startswith("https://push.example.org:8443/blobs/")


# Patch.


@pytest.mark.parametrize("prefix", ["", "/v0.1/legacy"])
@pytest.mark.parametrize("slash", ["", "/"])
def test_a_patch_changes_what_it_names(api: ApiClient, prefix: str, slash: str) -> None:
    before = api.release(bundle(), rollout=10).get_json()["package"]
    change = {
        "appVersion": "1.x",
        "description": "New",
        "isDisabled": True,
        "isMandatory": True,
        "rollout": 20,
    }
    body = {"packageInfo": {"label": None, **change}}
    answer = api.call("PATCH", f"{prefix}{STAGING}/release{slash}", body, expect=200)
    assert answer.get_json() == {"package": {**before, **change}}
    assert api.history() == [{**before, **change}]


def test_a_patch_of_a_label_leaves_the_others(api: ApiClient) -> None:
    first = api.release(bundle("1")).get_json()["package"]
    second = api.release(bundle("2")).get_json()["package"]
    api.patch(label="v1", description="x")
    assert api.history() == [{**first, "description": "x"}, second]
    api.patch(label="", description="y")
    assert api.history()[1]["description"] == "y"


@pytest.mark.parametrize(
    "body",
    [
        {"packageInfo": {}},
        {"packageInfo": None},
        {},
        {"packageInfo": {"description": None, "rollout": None, "appVersion": None}},
        {"packageInfo": {"description": "same", "isMandatory": False}},
    ],
)
def test_a_patch_that_changes_nothing_is_204(api: ApiClient, body: object) -> None:
    api.release(bundle(), description="same")
    before = api.history()
    assert api.call("PATCH", f"{STAGING}/release", body, expect=204).data == b""
    assert api.history() == before


def test_a_patched_release_is_what_devices_get(api: ApiClient) -> None:
    api.release(bundle("1"))
    api.release(bundle("2"))
    key = api.key()
    api.patch(isMandatory=True, description="Now")
    answer = api.check(key)
    assert (answer["is_mandatory"], answer["description"]) == (True, "Now")
    api.patch(isDisabled=True)
    assert api.check(key)["label"] == "v1"
    api.patch(isDisabled=False, appVersion="2.0.0")
    assert api.check(key)["label"] == "v1"
    assert api.check(key, "2.0.0")["label"] == "v2"


def test_a_patch_of_what_is_not_there_is_404(api: ApiClient) -> None:
    body = {"packageInfo": {"description": "x"}}
    sentence = api.refused(404, "PATCH", f"{STAGING}/release", body)
    assert sentence == "Deployment has no releases."
    api.release(bundle())
    body = {"packageInfo": {"label": "v2", "description": "x"}}
    sentence = api.refused(404, "PATCH", f"{STAGING}/release", body)
    assert sentence == "Release not found for given label."


def test_a_rollout_only_grows_until_it_is_complete(api: ApiClient) -> None:
    api.release(bundle(), rollout=50)
    for rollout in (50, 49, 1):
        assert api.patch(409, rollout=rollout).get_data(as_text=True) == (
            'Rollout value must be greater than "50", the existing value.'
        )
    assert api.patch(rollout="60").get_json()["package"]["rollout"] == 60
    assert api.patch(rollout=100).get_json()["package"]["rollout"] == 100
    for rollout in (1, 100):
        assert api.patch(409, rollout=rollout).get_data(as_text=True) == (
            "Cannot update rollout value for a completed rollout release."
        )


@pytest.mark.parametrize(
    "given",
    [
        {"rollout": 0},
        {"appVersion": "one"},
        {"isDisabled": "no"},
        {"label": "latest"},
        {"label": "v0"},
        {"description": []},
    ],
)
def test_a_bad_patch_is_refused(api: ApiClient, given: dict[str, Any]) -> None:
    api.release(bundle())
    before = api.history()
    assert api.patch(400, **given).get_data(as_text=True).endswith(".")
    assert api.history() == before


# Promote.


@pytest.mark.parametrize("prefix", ["", "/v0.1/legacy"])
@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize(
    "given",
    [
        {},
        {"description": "", "label": "", "rollout": None, "isDisabled": None, "appVersion": None},
    ],
)
def test_promote_releases_what_another_deployment_has(
    api: ApiClient, clock: FakeClock, prefix: str, slash: str, given: dict[str, Any]
) -> None:
    source = api.release(bundle(), "1.x", description="Fixes", isMandatory=True, rollout=30)
    clock.advance(60)
    path = f"{prefix}{STAGING}/promote/Production{slash}"
    response = api.call("POST", path, {"packageInfo": given}, expect=201)
    made = response.get_json()["package"]
    assert made == {
        **source.get_json()["package"],
        "releaseMethod": "Promote",
        "rollout": 100,
        "uploadTime": clock.now_ms,
        "originalLabel": "v1",
        "originalDeployment": "Staging",
    }
    assert api.history("Production") == [made]
    assert api.history() == [source.get_json()["package"]]
    assert api.check(api.key(deployment="Production"))["label"] == "v1"


def test_promote_without_a_body_keeps_everything(api: ApiClient) -> None:
    api.release(bundle(), description="Fixes")
    response = api.call("POST", f"{STAGING}/promote/Production", expect=201)
    assert response.get_json()["package"]["description"] == "Fixes"


def test_promote_sets_what_is_given(api: ApiClient) -> None:
    api.release(bundle(), description="Fixes", isDisabled=True)
    change = {
        "appVersion": "2.x",
        "description": "Other",
        "isDisabled": False,
        "isMandatory": True,
        "rollout": 5,
    }
    made = api.promote(**change).get_json()["package"]
    assert {name: made[name] for name in change} == change


def test_promote_of_a_disabled_release_stays_disabled(api: ApiClient) -> None:
    api.release(bundle(), isDisabled=True)
    assert api.promote().get_json()["package"]["isDisabled"] is True
    assert not api.check(api.key(deployment="Production"))["is_available"]


def test_promote_takes_the_release_of_a_label(api: ApiClient) -> None:
    first = api.release(bundle("1")).get_json()["package"]
    api.release(bundle("2"))
    made = api.promote(label="v1").get_json()["package"]
    assert (made["packageHash"], made["originalLabel"]) == (first["packageHash"], "v1")


def test_promote_refuses_what_the_reference_server_refuses(api: ApiClient) -> None:
    nothing = "Cannot promote from a deployment with no enabled releases."
    assert api.promote(expect=404).get_data(as_text=True) == nothing
    assert api.promote(expect=404, label="v1").get_data(as_text=True) == nothing
    api.release(bundle("1"))
    assert "v9" in api.promote(expect=404, label="v9").get_data(as_text=True)
    api.promote(rollout=50)
    assert api.promote(expect=409).get_data(as_text=True) == PROMOTE_UNFINISHED
    api.patch(deployment="Production", rollout=100)
    assert api.promote(expect=409).get_data(as_text=True) == PROMOTE_IDENTICAL
    api.release(bundle("2"))
    api.promote()
    assert [each["label"] for each in api.history("Production")] == ["v1", "v2"]


def test_promote_over_a_disabled_rollout_is_taken(api: ApiClient) -> None:
    api.release(bundle("1"))
    api.promote(rollout=50)
    api.patch(deployment="Production", isDisabled=True)
    api.release(bundle("2"))
    api.promote()
    assert [each["rollout"] for each in api.history("Production")] == [100, 100]


def test_promote_to_or_from_nowhere_is_404(api: ApiClient) -> None:
    api.release(bundle())
    for path in (f"{STAGING}/promote/Nope", "/apps/App/deployments/Nope/promote/Staging"):
        sentence = api.refused(404, "POST", path, {"packageInfo": {}})
        assert sentence == 'Deployment "Nope" does not exist.'


def test_promote_onto_itself_is_identical(api: ApiClient) -> None:
    api.release(bundle("1"))
    assert api.promote("Staging", "Staging", 409).get_data(as_text=True) == PROMOTE_IDENTICAL


@pytest.mark.parametrize("given", [{"rollout": 0}, {"appVersion": "one"}, {"label": "1"}])
def test_a_bad_promote_is_refused(api: ApiClient, given: dict[str, Any]) -> None:
    api.release(bundle())
    assert api.promote(expect=400, **given).get_data(as_text=True).endswith(".")
    assert api.history("Production") == []


# Rollback.


@pytest.mark.parametrize("prefix", ["", "/v0.1/legacy"])
@pytest.mark.parametrize("suffix", ["", "/", "/v1", "/v1/"])
def test_rollback_releases_an_earlier_release_again(
    api: ApiClient, clock: FakeClock, prefix: str, suffix: str
) -> None:
    first = api.release(bundle("1"), description="Good").get_json()["package"]
    api.release(bundle("2"), isMandatory=True)
    clock.advance(60)
    response = api.call("POST", f"{prefix}{STAGING}/rollback{suffix}", expect=201)
    made = response.get_json()["package"]
    assert made == {
        **first,
        "label": "v3",
        "releaseMethod": "Rollback",
        "uploadTime": clock.now_ms,
        "originalLabel": "v1",
    }
    assert api.history()[2] == made
    assert api.check(api.key())["label"] == "v3"


def test_rollback_goes_back_one_release_each_time(api: ApiClient) -> None:
    for text in ("1", "2", "3"):
        api.release(bundle(text))
    hashes = [each["packageHash"] for each in api.history()]
    api.roll_back()
    assert api.history()[-1]["packageHash"] == hashes[1]
    api.roll_back()
    assert api.history()[-1]["packageHash"] == hashes[2]


def test_rollback_ends_a_rollout(api: ApiClient) -> None:
    api.release(bundle("1"))
    api.release(bundle("2"), rollout=10)
    assert api.roll_back().get_json()["package"]["rollout"] == 100
    assert [each["rollout"] for each in api.history()] == [100, 100, 100]


def test_rollback_refuses_what_the_reference_server_refuses(api: ApiClient) -> None:
    start = "Cannot perform rollback because "
    assert api.roll_back(expect=404).get_data(as_text=True) == (
        f"{start}there are no releases on this deployment."
    )
    api.release(bundle("1"))
    assert api.roll_back(expect=404).get_data(as_text=True) == (
        f"{start}there are no prior releases to rollback to."
    )
    assert api.roll_back("v1", 409).get_data(as_text=True) == (
        f"{start}the target release (v1) is already the latest release."
    )
    api.release(bundle("2"), "2.0.0")
    assert api.roll_back("v9", 404).get_data(as_text=True) == (
        f"{start}the target release (v9) could not be found in the deployment history."
    )
    for label in ("", "v1"):
        assert api.roll_back(label, 409).get_data(as_text=True) == (
            "Cannot perform rollback to a different app version. Please perform a new release with"
            " the desired replacement package."
        )
    assert len(api.history()) == 2


# Clear.


@pytest.mark.parametrize("prefix", ["", "/v0.1/legacy"])
@pytest.mark.parametrize("slash", ["", "/"])
def test_clear_drops_releases_and_metrics(api: ApiClient, prefix: str, slash: str) -> None:
    api.release(bundle("1"))
    key = api.key()
    api.report("download", key, label="v1", client_unique_id="d1")
    path = f"{prefix}{STAGING}/history{slash}"
    assert api.call("DELETE", path, expect=204).data == b""
    assert api.history() == []
    assert api.metrics() == {}
    assert api.get(STAGING)["deployment"]["package"] is None
    answer = api.check(key)
    assert not answer["is_available"]
    assert answer["should_run_binary_version"]
    api.call("DELETE", path, expect=204)


def test_labels_go_on_counting_after_a_clear(api: ApiClient) -> None:
    api.release(bundle("1"))
    api.release(bundle("2"))
    api.call("DELETE", f"{STAGING}/history", expect=204)
    made = api.release(bundle("2")).get_json()["package"]
    assert made["label"] == "v3"
    assert api.report("download", api.key(), label="v1", client_unique_id="d1")
    assert api.metrics() == {}


def test_clear_leaves_other_deployments_and_their_packages(api: ApiClient) -> None:
    api.release(bundle("1"))
    made = api.promote().get_json()["package"]
    api.call("DELETE", f"{STAGING}/history", expect=204)
    assert api.history("Production") == [made]
    assert fetch(api, made["blobUrl"]) == bundle("1")


# Apart from each other.


def test_apps_keep_equal_packages_apart(api: ApiClient, services: Services) -> None:
    bob = api.another(services, "bob@example.com")
    bob.add_app()
    urls = {client.release(bundle()).get_json()["package"]["blobUrl"] for client in (api, bob)}
    assert len(urls) == 2, "an address must not tell that somebody else has the same package"


def test_a_release_refused_for_its_contents_costs_no_label(
    api: ApiClient, redis: StoreClient
) -> None:
    api.release(bundle("1"))
    api.release(bundle("1"), expect=409)
    assert api.release(bundle("2")).get_json()["package"]["label"] == "v2"


def test_the_file_part_may_be_of_any_name_and_kind(api: ApiClient) -> None:
    content = bundle()
    body = part("package", content, '../../x\\y.zip";').replace(
        b"application/octet-stream", b"text/html; charset=utf-16"
    )
    response = post(api, body + part("packageInfo", info()) + b"--b--\r\n")
    assert response.status_code == 201
    assert fetch(api, response.get_json()["package"]["blobUrl"]) == content
