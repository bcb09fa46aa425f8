"""Apps whose packages are signed, and warnings about packages, in the answers of both dialects."""

import io
from typing import Any

import pytest

from codepush.archive.gate import inspect
from codepush.domain.errors import InvalidParameterError
from codepush.services.container import Services
from tests.api.v1.client import SeedClient
from tests.api_client import Account, ApiClient, make_zip
from tests.archive.test_lint import bytecode
from tests.archive.test_signatures import FILES, HASH, KEY, OTHER_KEY, PUBLIC_KEY, claims, token
from tests.services.line import Line

SIGNATURE = "CodePush/.codepushrelease"
STAGING = "/apps/App/deployments/Staging"
SIGNED = make_zip(FILES | {SIGNATURE: token()})
UNSIGNED = make_zip(FILES)
FALSE = make_zip(FILES | {SIGNATURE: token(key=OTHER_KEY)})
OF_OTHERS = make_zip(FILES | {SIGNATURE: token(claims("0" * 64))})


@pytest.fixture
def world(seed: SeedClient) -> SeedClient:
    seed.add_app(platform="ios")
    return seed


def sign(client: SeedClient, **fields: Any) -> Any:
    return client.patch("/apps/App", fields)["app"]


def test_an_app_has_no_key_at_first(world: SeedClient) -> None:
    app = world.get("/apps/App")["app"]
    assert (app["publicKey"], app["requireSignatures"]) == (None, False)


def test_a_key_is_registered_shown_logged_and_taken_away(world: SeedClient) -> None:
    windows_lines = PUBLIC_KEY.replace("\n", "\r\n")
    app = sign(world, publicKey=windows_lines, requireSignatures=True)
    assert (app["publicKey"], app["requireSignatures"]) == (PUBLIC_KEY, True)
    assert world.get("/apps/App")["app"] == app
    (logged, *_) = world.entries()
    assert logged["action"] == "app.signing_changed"
    assert logged["details"] == {"requireSignatures": True, "publicKey": PUBLIC_KEY}
    sign(world, publicKey=PUBLIC_KEY)
    assert len([e for e in world.entries() if e["action"] == "app.signing_changed"]) == 1
    app = sign(world, publicKey="", requireSignatures=False)
    assert (app["publicKey"], app["requireSignatures"]) == (None, False)


def test_a_name_and_a_key_change_together_or_not_at_all(world: SeedClient) -> None:
    world.add_app("Taken")
    body = {"name": "Taken", "publicKey": PUBLIC_KEY}
    world.refused(409, "PATCH", "/apps/App", body)
    assert world.get("/apps/App")["app"]["publicKey"] is None
    app = sign(world, name="New", publicKey=PUBLIC_KEY)
    assert (app["name"], app["publicKey"]) == ("New", PUBLIC_KEY)
    assert {"app.renamed", "app.signing_changed"} < {each["action"] for each in world.entries()}


@pytest.mark.parametrize(
    ("fields", "parameter", "reason"),
    [
        ({"publicKey": "ssh-rsa AAAA"}, "publicKey", "Malformed"),
        ({"publicKey": KEY.as_pem(private=True).decode()}, "publicKey", "Private key"),
        ({"requireSignatures": True}, "requireSignatures", "No public key"),
        ({"publicKey": "", "requireSignatures": True}, "requireSignatures", "No public key"),
    ],
)
def test_what_devices_could_not_verify_with_is_refused(
    world: SeedClient, fields: dict[str, Any], parameter: str, reason: str
) -> None:
    error = world.refused(400, "PATCH", "/apps/App", fields)
    assert error["details"] == {"parameter": parameter, "reason": reason}
    assert world.get("/apps/App")["app"]["publicKey"] is None


def test_the_key_may_not_go_while_signatures_are_required(world: SeedClient) -> None:
    sign(world, publicKey=PUBLIC_KEY, requireSignatures=True)
    world.refused(400, "PATCH", "/apps/App", {"publicKey": ""})
    assert world.get("/apps/App")["app"]["publicKey"] == PUBLIC_KEY


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (UNSIGNED, "Not signed"),
        (b"console.log(1)", "Not signed"),
        (FALSE, "False signature"),
        (OF_OTHERS, "Signature of other contents"),
    ],
)
def test_a_package_without_a_true_signature_is_refused_where_one_is_required(
    world: SeedClient, services: Services, content: bytes, reason: str
) -> None:
    sign(world, publicKey=PUBLIC_KEY, requireSignatures=True)
    refused: Any = world.release(content, expect=400).get_json()
    assert refused["error"]["details"] == {"parameter": "package", "reason": reason}
    assert list(services.storage.list_blobs()) == []
    assert world.releases() == []
    made: Any = world.release(SIGNED).get_json()
    assert made["release"]["packageHash"] == HASH
    assert made["warnings"] == []


def test_the_classic_dialect_refuses_it_in_one_sentence(
    world: SeedClient, services: Services
) -> None:
    sign(world, publicKey=PUBLIC_KEY, requireSignatures=True)
    classic = ApiClient(world.http, Account("ann@example.com", "Acme", str(world.token)))
    answer = classic.release(UNSIGNED, expect=400)
    assert answer.content_type.startswith("text/plain")
    assert "not signed" in answer.get_data(as_text=True)


@pytest.mark.parametrize(
    ("content", "warnings"), [(SIGNED, 0), (UNSIGNED, 0), (FALSE, 1), (OF_OTHERS, 1)]
)
def test_where_signatures_are_not_required_a_false_one_is_a_warning(
    world: SeedClient, content: bytes, warnings: int
) -> None:
    sign(world, publicKey=PUBLIC_KEY)
    made: Any = world.release(content).get_json()
    assert len(made["warnings"]) == warnings


ELSEWHERE = make_zip(FILES | {"build/.codepushrelease": token()})


def test_a_signature_elsewhere_is_warned_of_where_the_framework_is_not_known(
    world: SeedClient,
) -> None:
    sign(world, publicKey=PUBLIC_KEY, requireSignatures=True)
    made: Any = world.release(ELSEWHERE).get_json()
    (warning,) = made["warnings"]
    assert "build/.codepushrelease" in warning


def test_a_signature_elsewhere_is_none_for_react_native(world: SeedClient) -> None:
    classic = ApiClient(world.http, Account("ann@example.com", "Acme", str(world.token)))
    app = {"name": "Native", "os": "iOS", "platform": "React-Native"}
    classic.call("POST", "/apps", app, expect=201)
    world.patch("/apps/Native", {"publicKey": PUBLIC_KEY, "requireSignatures": True})
    refused: Any = world.release(ELSEWHERE, app="Native", expect=400).get_json()
    assert refused["error"]["details"]["reason"] == "Not signed"
    world.release(SIGNED, app="Native")


def test_what_is_required_by_the_end_of_the_upload_counts(
    world: SeedClient, services: Services
) -> None:
    line = Line(services, services.tokens.authenticate(str(world.token)))  # before the change
    sign(world, publicKey=PUBLIC_KEY, requireSignatures=True)
    with pytest.raises(InvalidParameterError, match="not signed"):
        line.release(UNSIGNED)
    assert line.release(SIGNED).package_hash == HASH


def test_where_signatures_are_required_others_are_not_released_again(world: SeedClient) -> None:
    world.release(UNSIGNED)
    world.release(make_zip(FILES | {"CodePush/other": b"1"}))
    sign(world, publicKey=PUBLIC_KEY, requireSignatures=True)
    body = {"to": "Production"}
    for path in (f"{STAGING}/promote", f"{STAGING}/rollback"):
        error = world.refused(409, "POST", path, body if path.endswith("promote") else {})
        assert "takes signed packages only by now. The package is not signed" in error["message"]
    assert len(world.releases()) == 2


def test_where_signatures_are_required_signed_ones_are_released_again(world: SeedClient) -> None:
    world.release(SIGNED)  # before the key is known
    sign(world, publicKey=PUBLIC_KEY, requireSignatures=True)
    files = FILES | {"CodePush/other": b"1"}
    own_hash = inspect(io.BytesIO(make_zip(files))).hash
    world.release(make_zip(files | {SIGNATURE: token(claims(own_hash))}))
    world.call("POST", f"{STAGING}/promote", {"to": "Production"}, expect=201)
    world.call("POST", f"{STAGING}/rollback", {}, expect=201)
    assert world.releases()[-1]["packageHash"] == HASH


# Release lint.


def test_a_package_without_a_bundle_for_the_platform_is_warned_of(world: SeedClient) -> None:
    content = make_zip({"CodePush/index.android.bundle": b"1"})
    (warning,) = world.release(content).get_json()["warnings"]  # type: ignore[index]
    assert "no file that looks like a bundle for ios" in warning
    classic = ApiClient(world.http, Account("ann@example.com", "Acme", str(world.token)))
    answer: Any = classic.release(
        make_zip({"CodePush/index.android.bundle": b"2"}), "1.0.0"
    ).get_json()
    assert answer["warnings"] == [warning]
    quiet: Any = classic.release(make_zip({"CodePush/main.jsbundle": b"3"}), "1.0.0").get_json()
    assert "warnings" not in quiet


def test_another_version_of_hermes_than_before_is_warned_of(world: SeedClient) -> None:
    def release(version: int) -> list[str]:
        content = make_zip({"CodePush/main.jsbundle": bytecode(version)})
        warnings: list[str] = world.release(content).get_json()["warnings"]  # type: ignore[index]
        return warnings

    assert release(96) == []
    (warning,) = release(97)
    assert "version 97" in warning
    assert "version 96" in warning


def test_names_that_not_all_devices_can_keep_apart_are_warned_of(world: SeedClient) -> None:
    content = make_zip({"CodePush/main.jsbundle": b"1", "CodePush/MAIN.jsbundle": b"2"})
    (warning,) = world.release(content).get_json()["warnings"]  # type: ignore[index]
    assert "case" in warning
