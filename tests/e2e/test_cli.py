"""code-push-cli 2.1.9, the last to speak the classic dialect: what it does and what it prints."""

import base64
import html
import json
import os
import re
import shlex
import shutil
import subprocess
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.e2e.clients import Cli, Server, hash_folder, unzip, write_bundle

pytestmark = pytest.mark.e2e

_INVALID_KEY = (
    'The session or access key being used is invalid, please run "code-push login" again.'
)
_UNICODE_APP = "Mein schönes Äpp 🚀 50% & more"


def test_the_three_commands_that_a_first_start_prints_release_an_update(
    fresh_server: Server, tmp_path: Path
) -> None:
    banner = fresh_server.start()
    cli = Cli(tmp_path / "home")
    write_bundle(tmp_path, "first")
    shutil.copytree(tmp_path / "CodePush", cli.home / "path/to/bundle-folder")

    kept = fresh_server.folder.resolve() / "var" / "admin-token"
    token = kept.read_text("ascii").strip()
    assert kept.stat().st_mode & 0o777 == 0o600
    assert token not in banner, "which is no terminal"
    login, add, release = re.findall(r"^  code-push (.+)$", banner, re.MULTILINE)
    assert f'"$(cat {kept})"' in login
    login = login.replace(f'"$(cat {kept})"', token)
    assert "Successfully logged-in" in cli(*shlex.split(login))
    assert "Successfully added" in cli(*shlex.split(add))
    assert "Successfully released" in cli(*shlex.split(release))
    fresh_server.stop()

    # A second start keeps all that, and makes no other token.
    kept.unlink()
    assert "first start" not in fresh_server.start()
    assert not kept.exists()
    (update,) = cli.json("deployment", "history", "MyApp", "Staging")
    with urllib.request.urlopen(update["blobUrl"], timeout=10) as answer:
        assert len(answer.read()) == update["size"]
    fresh_server.stop()


def test_a_person_logs_in_makes_apps_renames_and_removes_them(
    server: Server, tmp_path: Path
) -> None:
    person = server.create_user()
    cli = Cli(tmp_path)

    assert cli.fails("login", "--accessKey", "nobody-has-this-key", server.url) == (
        "Invalid access key."
    )
    assert "Successfully logged-in" in cli("login", "--accessKey", person.token, server.url + "/")
    assert cli("whoami").strip() == person.email
    assert cli.table("app", "ls") == []

    added = cli("app", "add", "MyApp", "android", "react-native")
    assert 'Successfully added the "MyApp" app' in added
    keys = {
        row["Name"]: row["Deployment Key"] for row in cli.table("deployment", "ls", "MyApp", "-k")
    }
    assert list(keys) == ["Production", "Staging"]
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{22,}", key) and key in added for key in keys.values())
    assert len(set(keys.values())) == 2
    assert cli.fails("app", "add", "MyApp", "ios", "cordova") == (
        "An app named 'MyApp' already exists."
    )

    assert _UNICODE_APP in cli("app", "add", _UNICODE_APP, "ios", "cordova")
    assert cli.table("app", "ls") == [
        {"Name": _UNICODE_APP, "Deployments": "Production, Staging"},
        {"Name": "MyApp", "Deployments": "Production, Staging"},
    ]
    listed = {app["name"]: app for app in cli.json("app", "ls")}
    assert listed["MyApp"] == {
        "name": "MyApp",
        "os": "Android",
        "platform": "React-Native",
        "deployments": ["Production", "Staging"],
        "collaborators": {person.email: {"permission": "Owner", "isCurrentAccount": True}},
    }

    assert cli.fails("app", "rename", "MyApp", _UNICODE_APP) == (
        f"An app named '{_UNICODE_APP}' already exists."
    )
    assert "Successfully renamed" in cli("app", "rename", _UNICODE_APP, "Ünother app")
    assert [row["Name"] for row in cli.table("app", "ls")] == ["MyApp", "Ünother app"]
    assert "App removal cancelled." in cli("app", "rm", "MyApp", given="n\n")
    assert "Successfully removed" in cli("app", "rm", "MyApp")
    assert cli.fails("app", "rm", "MyApp") == 'App "MyApp" does not exist.'
    assert [row["Name"] for row in cli.table("app", "ls")] == ["Ünother app"]

    assert "Successfully logged-out." in cli("logout")
    assert "You are not currently logged in." in cli.fails("whoami")


def test_a_person_logs_in_by_browser_and_logging_out_ends_the_session(
    server: Server, tmp_path: Path
) -> None:
    person = server.create_user()
    password = "a long pass phrase, with spaces & ümlauts"
    server.command(
        "user", "set-password", "--email", person.email, "--password-stdin", given=password + "\n"
    )
    cli = Cli(tmp_path)
    opened = cli.fake_browser()

    assert cli.fails("login", server.url) == "Invalid token."
    address = opened.read_text("utf-8")
    assert address.startswith(f"{server.url}/auth/login?hostname=")
    page = _submit_login(address, person.email, password)
    key = re.search(r'<code id="access-key">([^<]+)</code>', page)
    assert key, page
    assert "Successfully logged-in" in cli("login", server.url, given=f"{key[1]}\n")
    assert cli("whoami").strip() == person.email
    # A session is no access key.
    assert [row["Name"] for row in cli.table("access-key", "ls")] == ["First access key"]

    assert "Successfully logged-out." in cli("logout")
    assert cli.fails("login", "--accessKey", key[1], server.url) == "Invalid access key."


def test_releases_are_made_with_every_option_and_listed(server: Server, tmp_path: Path) -> None:
    person = server.create_user()
    cli = person.cli(tmp_path / "home")
    cli("app", "add", _UNICODE_APP, "android", "react-native")
    v1, v2, v3 = (write_bundle(tmp_path / text, text) for text in ("one", "two", "three"))
    release = ("release", _UNICODE_APP)

    assert cli(*release, str(v1), "1.0.0").strip() == (
        f'Successfully released an update containing the "{v1}" directory to the "Staging"'
        f' deployment of the "{_UNICODE_APP}" app.'
    )
    cli(*release, str(v2), "1.0", "--mandatory", "--description", "Zwei\\nLines, «&» <b> 🎉")
    cli(*release, str(v3), ">=1.2.0 <2", "--disabled", "--rollout", "25%")

    identical = (
        "The uploaded package was not released because it is identical to the contents of the"
        " specified deployment's current release."
    )
    assert cli.fails(*release, str(v2), "1.0.0") == identical
    assert f"[Warning] {identical}" in cli(*release, str(v2), "1.0.0", "--noDuplicateReleaseError")

    script = tmp_path / "main.jsbundle"
    script.write_text("single()", "utf-8")
    assert f'"{script}" file' in cli(*release, str(script), "*", "--rollout", "40")
    assert cli.fails(*release, str(v1), "3.0.0") == (
        "Please update the previous release to 100% rollout before releasing a new package."
    )

    history = cli.json("deployment", "history", _UNICODE_APP, "Staging")
    assert [
        (r["label"], r["appVersion"], r["isMandatory"], r["isDisabled"], r["rollout"])
        for r in history
    ] == [
        ("v1", "1.0.0", False, False, 100),
        ("v2", "1.0", True, False, 100),
        # A newer release ends the rollout of those before it.
        ("v3", ">=1.2.0 <2", False, True, 100),
        ("v4", "*", False, False, 40),
    ]
    assert [r["description"] for r in history] == ["", "Zwei\nLines, «&» <b> 🎉", "", ""]
    assert {(r["releasedBy"], r["releaseMethod"]) for r in history} == {(person.email, "Upload")}

    unpacked = [
        unzip(_fetch(r["blobUrl"], tmp_path / r["label"]), tmp_path / "un" / r["label"])
        for r in history
    ]
    assert [r["packageHash"] for r in history] == [hash_folder(each) for each in unpacked]
    assert (unpacked[3] / "main.jsbundle").read_text("utf-8") == "single()"
    for root, folder in zip((v1, v2, v3), unpacked, strict=False):
        assert _contents(folder / "CodePush") == _contents(root)

    rows = cli.table("deployment", "history", _UNICODE_APP, "Staging", "--displayAuthor")
    assert rows[1] == {
        "Label": "v2",
        "Release Time": "a few seconds ago",
        "App Version": "1.0",
        "Mandatory": "Yes",
        "Released By": "You",
        "Description": "Zwei\nLines, «&» <b> 🎉",
        "Install Metrics": "No installs recorded",
    }
    assert rows[2]["Install Metrics"] == "No installs recorded\nDisabled: Yes"
    assert rows[3]["Install Metrics"] == "No installs recorded\nRollout: 40%"


def test_a_signed_release_holds_a_signature_over_the_hash_that_the_server_computes(
    server: Server, tmp_path: Path
) -> None:
    cli = server.create_user().cli(tmp_path)
    cli("app", "add", "Signed", "ios", "react-native")
    root = write_bundle(tmp_path, "signed")
    key = tmp_path / "key.pem"
    script = (
        "const pair = require('crypto').generateKeyPairSync('rsa', {modulusLength: 2048});"
        "process.stdout.write(pair.privateKey.export({type: 'pkcs8', format: 'pem'}))"
    )
    made = subprocess.run(["node", "-e", script], capture_output=True, check=True, timeout=30)
    key.write_bytes(made.stdout)

    cli("release", "Signed", str(root), "1.0.0", "--privateKeyPath", str(key))

    (update,) = cli.json("deployment", "history", "Signed", "Staging")
    unpacked = unzip(_fetch(update["blobUrl"], tmp_path / "package.zip"), tmp_path / "unpacked")
    token = (unpacked / "CodePush" / ".codepushrelease").read_text("utf-8")
    claims = token.split(".")[1]
    content = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    assert content["contentHash"] == update["packageHash"]
    assert hash_folder(unpacked) == update["packageHash"]


def test_releases_are_promoted_patched_rolled_back_and_cleared(
    server: Server, tmp_path: Path
) -> None:
    person = server.create_user()
    cli = person.cli(tmp_path / "home")
    cli("app", "add", "My App", "android", "react-native")
    first, second = (write_bundle(tmp_path / text, text) for text in ("one", "two"))
    cli("release", "My App", str(first), "1.0.0", "--description", "First")
    cli("release", "My App", str(second), "1.0.0", "-m", "--description", "Second")

    promote = ("promote", "My App", "Staging", "Production")
    assert cli(*promote, "--label", "v1").strip() == (
        'Successfully promoted "v1" of the "Staging" deployment of the "My App" app to the'
        ' "Production" deployment.'
    )
    cli(*promote, "--rollout", "20%")
    again = "Cannot promote to an unfinished rollout release unless it is already disabled."
    assert cli.fails(*promote) == again
    assert f"[Warning] {again}" in cli(*promote, "--noDuplicateReleaseError")

    patch = ("patch", "My App", "Production")
    assert cli(*patch, "--rollout", "50").strip() == (
        'Successfully updated the "latest" release of "My App" app\'s "Production" deployment.'
    )
    assert cli.fails(*patch, "-r", "50") == (
        'Rollout value must be greater than "50", the existing value.'
    )
    cli(*patch, "-r", "100", "--mandatory", "false", "--des", "Für alle")
    assert cli.fails(*patch, "-r", "100") == (
        "Cannot update rollout value for a completed rollout release."
    )
    cli(*patch, "--label", "v1", "--disabled")
    assert cli.fails(*promote) == (
        "The uploaded package was not promoted because it is identical to the contents of the"
        " targeted deployment's current release."
    )

    rows = cli.table("deployment", "history", "My App", "Production")
    assert [(row["Label"], row["Mandatory"], row["Description"]) for row in rows] == [
        ("v1", "No", "First"),
        ("v2", "No", "Für alle"),
    ]
    assert rows[0]["Release Time"] == 'a few seconds ago\n(Promoted v1 from "Staging")'
    assert rows[0]["Install Metrics"] == "No installs recorded\nDisabled: Yes"
    assert rows[1]["Release Time"] == 'a few seconds ago\n(Promoted v2 from "Staging")'

    cli(*patch, "--label", "v1", "--disabled", "false")
    rollback = ("rollback", "My App", "Production")
    assert "Rollback cancelled." in cli(*rollback, given="n\n")
    assert "Successfully performed a rollback" in cli(*rollback)
    cli(*rollback, "--targetRelease", "v2")
    assert cli.fails(*rollback, "-r", "v4").endswith(
        "Cannot perform rollback because the target release (v4) is already the latest release."
    )
    history = cli.json("deployment", "history", "My App", "Production")
    assert [(r["label"], r["releaseMethod"], r.get("originalLabel")) for r in history] == [
        ("v1", "Promote", "v1"),
        ("v2", "Promote", "v2"),
        ("v3", "Rollback", "v1"),
        ("v4", "Rollback", "v2"),
    ]
    assert history[2]["packageHash"] == history[0]["packageHash"]
    rows = cli.table("deployment", "history", "My App", "Production")
    assert rows[2]["Release Time"] == "a few seconds ago\n(Rolled back v2 to v1)"
    listed = {row["Name"]: row for row in cli.table("deployment", "ls", "My App")}
    assert listed["Production"] == {
        "Name": "Production",
        "Update Metadata": (
            "Label: v4\nApp Version: 1.0.0\nMandatory: No\nRelease Time: a few seconds ago\n"
            f"Released By: {person.email}\nDescription: Für alle"
        ),
        "Install Metrics": "No installs recorded",
    }

    assert "Successfully cleared" in cli("deployment", "clear", "My App", "Production")
    assert cli.json("deployment", "history", "My App", "Production") == []
    # Labels go on counting.
    cli(*promote)
    (update,) = cli.json("deployment", "history", "My App", "Production")
    assert update["label"] == "v5"


def test_deployments_are_added_renamed_and_removed(server: Server, tmp_path: Path) -> None:
    cli = server.create_user().cli(tmp_path)
    cli("app", "add", "App", "windows", "react-native")

    added = cli("deployment", "add", "App", "Tür 🚪 50%")
    assert 'Successfully added the "Tür 🚪 50%" deployment with key "' in added
    assert cli.fails("deployment", "add", "App", "Staging") == (
        "A deployment named 'Staging' already exists."
    )
    cli("deployment", "rename", "App", "Tür 🚪 50%", "Dev & Test")
    assert cli.fails("deployment", "rename", "App", "Dev & Test", "Production") == (
        "A deployment named 'Production' already exists."
    )

    rows = cli.table("deployment", "ls", "App", "--displayKeys")
    assert [row["Name"] for row in rows] == ["Dev & Test", "Production", "Staging"]
    assert f'"{rows[0]["Deployment Key"]}"' in added
    assert {(row["Update Metadata"], row["Install Metrics"]) for row in rows} == {
        ("No updates released", "No installs recorded")
    }
    listed = cli.json("deployment", "ls", "App")
    assert [(each["name"], each["key"], each["package"]) for each in listed] == [
        (row["Name"], row["Deployment Key"], None) for row in rows
    ]

    assert "Successfully removed" in cli("deployment", "rm", "App", "Dev & Test")
    assert cli.fails("deployment", "rm", "App", "Dev & Test").endswith(
        'Deployment "Dev & Test" does not exist.'
    )
    assert len(cli.table("deployment", "ls", "App")) == 2


def test_an_access_key_works_until_it_is_removed(server: Server, tmp_path: Path) -> None:
    person = server.create_user()
    cli = person.cli(tmp_path / "person")
    robot = Cli(tmp_path / "robot")

    added = cli("access-key", "add", "CI Schlüssel / 1")
    key = re.search(r'Successfully created the "CI Schlüssel / 1" access key: (\S+)\n', added)
    assert key, added
    assert cli.fails("access-key", "add", "CI Schlüssel / 1") == (
        'The access key "CI Schlüssel / 1" already exists.'
    )
    robot("login", "--accessKey", key[1], server.url)
    assert robot("whoami").strip() == person.email

    rows = cli.table("access-key", "ls")
    assert [row["Name"] for row in rows] == ["First access key", "CI Schlüssel / 1"]
    assert rows[1]["Created"] == "a few seconds ago"
    listed = cli.json("access-key", "ls")[1]
    assert listed["expires"] - listed["createdTime"] == 60 * 86_400_000
    assert key[1] not in json.dumps(listed)

    assert "Successfully removed" in cli("access-key", "rm", "CI Schlüssel / 1")
    assert cli.fails("access-key", "rm", "CI Schlüssel / 1").endswith(
        'The access key "CI Schlüssel / 1" does not exist.'
    )
    assert robot.fails("app", "ls").startswith(_INVALID_KEY)
    # The CLI forgets a key that is refused.
    assert "You are not currently logged in." in robot.fails("app", "ls")


def test_an_app_is_shared_with_a_colleague(server: Server, tmp_path: Path) -> None:
    owner, guest = server.create_user("owner"), server.create_user("guest")
    cli, guest_cli = owner.cli(tmp_path / "owner"), guest.cli(tmp_path / "guest")
    cli("app", "add", "Shared", "ios", "react-native")
    root = write_bundle(tmp_path, "shared")

    assert guest_cli.fails("deployment", "ls", "Shared") == 'App "Shared" does not exist.'
    assert cli.fails("collaborator", "add", "Shared", "nobody@example.com") == (
        "The specified e-mail address doesn't represent a registered user"
    )
    assert guest.email in cli("collaborator", "add", "Shared", guest.email)
    assert cli.fails("collaborator", "add", "Shared", guest.email) == (
        "The given account is already a collaborator for this app."
    )
    assert [row["E-mail Address"] for row in cli.table("collaborator", "ls", "Shared")] == [
        guest.email,
        f"{owner.email} (Owner)",
    ]
    assert guest_cli.json("collaborator", "ls", "Shared") == {
        "collaborators": {
            guest.email: {"permission": "Collaborator", "isCurrentAccount": True},
            owner.email: {"permission": "Owner", "isCurrentAccount": False},
        }
    }

    guest_cli("release", f"{owner.email}:Shared", str(root), "1.0.0")
    guest_cli("app", "add", "Shared", "ios", "react-native")
    assert [row["Name"] for row in guest_cli.table("app", "ls")] == [
        "Shared",
        f"{owner.email}:Shared",
    ]
    theirs = guest_cli.table("deployment", "history", f"{owner.email}/Shared", "Staging", "-a")
    assert [row["Released By"] for row in theirs] == ["You"]
    mine = cli.table("deployment", "history", "Shared", "Staging", "-a")
    assert [row["Released By"] for row in mine] == [guest.email]
    assert guest_cli.fails("app", "rename", f"{owner.email}:Shared", "Stolen") == (
        "This action requires Owner permissions on the app!"
    )

    assert "Successfully removed" in cli("collaborator", "rm", "Shared", guest.email)
    assert guest_cli.fails("app", "rename", f"{owner.email}:Shared", "Stolen") == (
        f'App "{owner.email}:Shared" does not exist.'
    )


def test_whatever_goes_wrong_is_told_in_a_sentence(server: Server, tmp_path: Path) -> None:
    cli = server.create_user().cli(tmp_path)
    root = write_bundle(tmp_path, "one")
    (tmp_path / "empty").mkdir()
    cli("app", "add", "App", "ios", "cordova")
    names = (
        "The name has a character that is not allowed: leave out \\ / ? : and control characters,"
        " and do not call it . or .."
    )

    sentences = {
        "app add a/b ios cordova": names,
        "deployment add App a:b": names,
        "deployment ls Nope": 'App "Nope" does not exist.',
        "deployment history App Nope": 'Deployment "Nope" does not exist.',
        f"release Nope {root} 1.0.0": 'App "Nope" does not exist.',
        f"release App {root} 1.0.0 -d Nope": 'Deployment "Nope" does not exist.',
        f"release App {tmp_path / 'empty'} 1.0.0": (
            "The package has no files in it; release a folder that has some."
        ),
        "patch App Staging -m": "Deployment has no releases.",
        "promote App Staging Production": (
            "Cannot promote from a deployment with no enabled releases."
        ),
        "rollback App Staging": (
            "Cannot perform rollback because there are no releases on this deployment."
        ),
    }

    # Starting it takes most of the time of a command.
    with ThreadPoolExecutor() as pool:
        said = pool.map(lambda command: cli.fails(*shlex.split(command)), sentences)
        assert dict(zip(sentences, said, strict=True)) == sentences
    stranger = Cli(tmp_path / "stranger")
    assert stranger.fails("login", "--accessKey", "some-key-or-other", f"{server.url}/nope") == (
        "There is nothing at this address. Please check the server URL and the path."
    )


def _submit_login(address: str, email: str, password: str) -> str:
    """Fill in the page at ``address``, as a person does; return the page that follows."""
    with urllib.request.urlopen(address, timeout=10) as answer:
        page = answer.read().decode()
    action = re.search(r'<form method="post" action="([^"]+)"', page)
    hostname = re.search(r'name="hostname" value="([^"]*)"', page)
    assert action, page
    assert hostname, page
    assert html.unescape(hostname[1]) == os.uname().nodename
    fields = {"hostname": html.unescape(hostname[1]), "email": email, "password": password}
    body = urllib.parse.urlencode(fields).encode()
    with urllib.request.urlopen(html.unescape(action[1]), data=body, timeout=30) as answer:
        return str(answer.read().decode())


def _fetch(url: str, file: Path) -> Path:
    with urllib.request.urlopen(url, timeout=30) as answer:
        file.write_bytes(answer.read())
    return file


def _contents(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }
