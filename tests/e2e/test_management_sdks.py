"""The management SDKs that speak the classic dialect: 2.0.7 and 3.1.5."""

import hashlib
import html
import re
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.clients import Manager, Person, Server, hash_folder, unzip, write_bundle
from tests.server.processes import wait_for

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.parametrize("sdk", ["code-push-2", "code-push-3"]),
]

_UNICODE = "Äpp 🚀 50% & more+"
_OTHER_BINARY = (
    "Cannot perform rollback to a different app version. Please perform a new release with the"
    " desired replacement package."
)
_NAME_TAKEN = (
    'Cannot transfer ownership. An app with name "App" already exists for the given collaborator.'
)


def test_apps_and_deployments(sdk: str, server: Server) -> None:
    person = server.create_user()
    manager = person.manager(sdk)
    assert manager("isAuthenticated") is True
    assert Manager(sdk, server.url, "nobody-has-this-key")("isAuthenticated") is False
    status, sentence = Manager(sdk, server.url, "nobody-has-this-key").fails(
        "isAuthenticated", True
    )
    assert (status, sentence[:56]) == (
        401,
        "The session or access key being used is invalid, please ",
    )
    account = manager("getAccountInfo")
    assert (account["email"], account["name"]) == (person.email, person.email.split("@")[0])

    keys = manager.add_app(_UNICODE)
    assert list(keys) == ["Production", "Staging"]
    manager("addApp", "Bare", "iOS", "Cordova", True)
    apps = {app["name"]: app for app in manager("getApps")}
    assert (apps[_UNICODE]["deployments"], apps["Bare"]["deployments"]) == (list(keys), [])
    assert manager("getApp", _UNICODE) == apps[_UNICODE]
    assert manager("getDeployments", "Bare") == []
    assert manager.fails("addApp", "Bare", "iOS", "Cordova") == (
        409,
        "An app named 'Bare' already exists.",
    )

    made = manager("addDeployment", _UNICODE, "Über & 2")
    manager("renameDeployment", _UNICODE, "Über & 2", "Canary 🐤")
    assert manager("getDeployment", _UNICODE, "Canary 🐤")["key"] == made["key"]
    assert manager.fails("getDeployment", _UNICODE, "Über & 2") == (
        404,
        'Deployment "Über & 2" does not exist.',
    )
    manager("removeDeployment", _UNICODE, "Canary 🐤")
    manager("renameApp", _UNICODE, "Plain")
    assert {each["name"]: each["key"] for each in manager("getDeployments", "Plain")} == keys
    manager("removeApp", "Plain")
    assert manager.fails("getApp", "Plain") == (404, 'App "Plain" does not exist.')


def test_releases(sdk: str, server: Server, tmp_path: Path) -> None:
    person = server.create_user()
    manager = person.manager(sdk)
    manager.add_app()

    v1 = manager.release(write_bundle(tmp_path / "1", "one"), description="Eins 🎉", rollout=None)
    assert (v1["label"], v1["rollout"], v1["releaseMethod"]) == ("v1", 100, "Upload")
    assert _hash(v1, tmp_path / "v1") == v1["packageHash"]
    v2 = manager.release(write_bundle(tmp_path / "2", "two"), isMandatory=True, rollout=25)
    assert (v2["label"], v2["isMandatory"], v2["rollout"]) == ("v2", True, 25)
    assert manager.fails(
        "release", "App", "Staging", str(tmp_path / "1" / "CodePush"), "1.0.0", {}
    ) == (
        409,
        "Please update the previous release to 100% rollout before releasing a new package.",
    )

    manager("patchRelease", "App", "Staging", "v2", {"rollout": 100, "appVersion": "1.0.x"})
    manager("patchRelease", "App", "Staging", None, {"description": "Zwei"})
    # Nothing changes, and 204 says so.
    manager("patchRelease", "App", "Staging", "v2", {"description": "Zwei"})
    manager("promote", "App", "Staging", "Production", {"description": "", "rollout": 50})

    def served(deployment: str, label: str) -> tuple[str, int]:
        package = manager.history(deployment)[label]
        return package["blobUrl"], package["size"]

    # In between, a worker may have made it smaller, once.
    wait_for(
        lambda: served("Production", "v1") == served("Staging", "v2"),
        "both deployments serve one package",
    )
    promoted = manager("getDeployment", "App", "Production")["package"]
    assert promoted | {"uploadTime": 0, "blobUrl": "", "size": 0} == {
        "label": "v1",
        "appVersion": "1.0.x",
        "description": "Zwei",
        "isDisabled": False,
        "isMandatory": True,
        "rollout": 50,
        "packageHash": v2["packageHash"],
        "blobUrl": "",
        "size": 0,
        "releaseMethod": "Promote",
        "uploadTime": 0,
        "releasedBy": person.email,
        "originalLabel": "v2",
        "originalDeployment": "Staging",
    }

    assert manager.fails("rollback", "App", "Staging") == (409, _OTHER_BINARY)
    manager("patchRelease", "App", "Staging", "v2", {"appVersion": "1.0.0"})
    manager("rollback", "App", "Staging")
    manager("rollback", "App", "Staging", "v2")
    history = manager("getDeploymentHistory", "App", "Staging")
    assert [(r["label"], r["packageHash"]) for r in history] == [
        ("v1", v1["packageHash"]),
        ("v2", v2["packageHash"]),
        ("v3", v1["packageHash"]),
        ("v4", v2["packageHash"]),
    ]
    assert manager("getDeploymentMetrics", "App", "Staging") == {}
    manager("clearDeploymentHistory", "App", "Staging")
    assert manager("getDeploymentHistory", "App", "Staging") == []


def test_a_single_file_is_released_as_it_is(sdk: str, server: Server, tmp_path: Path) -> None:
    """As the standalone CLI does; devices take it for the bundle itself."""
    manager = server.create_user().manager(sdk)
    manager.add_app()
    script = tmp_path / "main.jsbundle"
    script.write_bytes(b"console.log('whole')")

    made = manager.release(script, "*")

    with urllib.request.urlopen(made["blobUrl"], timeout=30) as answer:
        assert answer.read() == script.read_bytes()
    assert made["size"] == script.stat().st_size
    assert made["packageHash"] == hashlib.sha256(script.read_bytes()).hexdigest()


def test_apps_are_shared_handed_over_and_named_by_their_owners(
    sdk: str, server: Server, tmp_path: Path
) -> None:
    organization = f"Team {sdk} {time.monotonic_ns()}"
    owner, guest = server.create_user("owner", organization), server.create_user("guest")
    theirs, mine = owner.manager(sdk), guest.manager(sdk)
    keys = theirs.add_app("App")
    mine.add_app("App")

    theirs("addCollaborator", "App", guest.email.upper())
    assert theirs("getCollaborators", "App") == {
        guest.email: {"permission": "Collaborator", "isCurrentAccount": False},
        owner.email: {"permission": "Owner", "isCurrentAccount": True},
    }
    assert [app["name"] for app in mine("getApps")] == ["App", f"{owner.email}:App"]
    for name in (f"{owner.email}:App", f"{owner.email}/App", f"{organization}/App"):
        found = {each["name"]: each["key"] for each in mine("getDeployments", name)}
        assert found == keys, name
    made = mine.release(write_bundle(tmp_path, "one"), app=f"{owner.email}/App")
    assert made["releasedBy"] == guest.email
    assert mine.fails("removeApp", f"{owner.email}:App") == (
        403,
        "This action requires Owner permissions on the app!",
    )
    assert mine.fails("getApp", "nobody@example.com:App")[0] == 404

    assert theirs.fails("transferApp", "App", guest.email) == (409, _NAME_TAKEN)
    theirs("renameApp", "App", "Gift")
    theirs("transferApp", "Gift", guest.email)
    assert mine("getCollaborators", "Gift") == {
        guest.email: {"permission": "Owner", "isCurrentAccount": True},
        owner.email: {"permission": "Collaborator", "isCurrentAccount": False},
    }
    assert [app["name"] for app in theirs("getApps")] == ["Gift"]
    mine("removeCollaborator", "Gift", owner.email)
    assert theirs("getApps") == []
    assert theirs.fails("getApp", "Gift") == (404, 'App "Gift" does not exist.')


def test_access_keys_and_sessions(sdk: str, server: Server) -> None:
    person = server.create_user()
    manager = person.manager(sdk)
    name = "Schlüssel / 1 & 50%"

    made = manager("addAccessKey", name, 3_600_000)
    assert made["expires"] - made["createdTime"] == 3_600_000
    assert made["name"] == name
    other = Manager(sdk, server.url, made["key"])
    assert other("getAccountInfo")["email"] == person.email
    assert [key["name"] for key in manager("getAccessKeys")] == ["First access key", name]
    assert manager("getAccessKey", name) == {
        part: made[part] for part in ("createdTime", "expires", "name")
    }

    changed = manager("patchAccessKey", name, "Short", 7_200_000)
    assert changed["name"] == "Short"
    assert changed["expires"] > made["expires"]
    assert other("isAuthenticated") is True
    manager("patchAccessKey", "Short", None, 0)
    status, sentence = other.fails("getApps")
    assert (status, sentence[:57]) == (
        401,
        "The session or access key being used has expired, please ",
    )
    manager("removeAccessKey", "Short")
    assert manager.fails("removeAccessKey", "Short") == (
        404,
        'The access key "Short" does not exist.',
    )

    session = Manager(sdk, server.url, _log_in_by_browser(server, person, "Ann's PC"))
    (listed,) = manager("getSessions")
    assert listed["machineName"] == "Ann's PC"
    assert [key["name"] for key in manager("getAccessKeys")] == ["First access key"]
    assert session("isAuthenticated") is True
    manager("removeSession", "Ann's PC")
    assert session("isAuthenticated") is False
    assert manager("getSessions") == []
    assert manager.fails("removeSession", "Ann's PC")[0] == 404


def _hash(package: dict[str, Any], folder: Path) -> str:
    folder.mkdir()
    with urllib.request.urlopen(package["blobUrl"], timeout=30) as answer:
        (folder / "package.zip").write_bytes(answer.read())
    return hash_folder(unzip(folder / "package.zip", folder / "unzipped"))


def _log_in_by_browser(server: Server, person: Person, machine: str) -> str:
    password = "correct horse battery staple"
    server.command(
        "user", "set-password", "--email", person.email, "--password-stdin", given=password
    )
    fields = {"hostname": machine, "email": person.email, "password": password}
    body = urllib.parse.urlencode(fields).encode()
    with urllib.request.urlopen(f"{server.url}/auth/login", data=body, timeout=30) as answer:
        key = re.search(r'<code id="access-key">([^<]+)</code>', answer.read().decode())
    assert key
    return html.unescape(key[1])
