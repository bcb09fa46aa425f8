"""``codepush storage copy``, between real backends, whole and interrupted."""

import hashlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
from click.testing import CliRunner

from codepush.cli import codepush
from codepush.domain.errors import StorageError
from codepush.domain.ids import BlobKey
from codepush.domain.storage import BlobStorage, content_sha256
from codepush.plugins import open_storage
from codepush.services.storage_copy import StorageCopy
from codepush.settings import SettingsError
from plugins.storage_local import LocalStorage
from tests.plugins.azurite import ACCOUNT_KEY, KEY_SETTING, Azurite
from tests.plugins.blobs import fetch
from tests.storage_contract import blob_key, put, read

COPY = (
    # A shell that runs the tests in the background has children ignore Ctrl-C.
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
    "from codepush.cli import main; main()"
)


def add(storage: BlobStorage, content: bytes, app: str = "app") -> BlobKey:
    key = blob_key(content, app)
    put(storage, content, key)
    return key


def contents(storage: BlobStorage) -> dict[BlobKey, bytes]:
    return {blob.key: read(storage, blob.key) for blob in storage.list_blobs()}


def local_url(folder: Path) -> str:
    return f"local://{quote(str(folder))}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "old blobs"


@pytest.fixture
def local(folder: Path) -> LocalStorage:
    return LocalStorage(folder)


@pytest.fixture
def azure_url(azurite: Azurite) -> str:
    return azurite.url()


@pytest.fixture
def azure(azure_url: str) -> BlobStorage:
    return open_storage(azure_url, KEY_SETTING)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    """A shell with the account key and no other settings."""
    monkeypatch.setenv("AZURE_STORAGE_KEY", ACCOUNT_KEY)
    return CliRunner()


def test_everything_is_copied_and_a_second_time_nothing(
    run: CliRunner, local: LocalStorage, folder: Path, azure: BlobStorage, azure_url: str
) -> None:
    for number in range(20):
        add(local, b"%d" % number * 1_000, f"app-{number % 3}")
    add(local, b"of another app", "other")
    add(local, bytes(9_000_000))
    done = run.invoke(codepush, ["storage", "copy", local_url(folder), azure_url])
    assert done.exit_code == 0, done.output
    assert done.stdout == "22 packages copied (9.0 MB), 0 already there.\n"
    assert "Copying 22 packages, 9.0 MB" in done.stderr
    assert contents(azure) == contents(local)
    done = run.invoke(codepush, ["storage", "copy", local_url(folder), azure_url])
    assert done.exit_code == 0
    assert done.stdout == "0 packages copied (0.0 MB), 22 already there.\n"


def test_what_is_no_package_is_not_copied(
    run: CliRunner, local: LocalStorage, folder: Path, tmp_path: Path
) -> None:
    """As where ``/blobs`` was forgotten, and FROM holds the server's secrets, too."""
    add(local, b"content")
    for name in ("secret-key", "store/appendonly.aof"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"secret")
    new = tmp_path / "new"
    done = run.invoke(codepush, ["storage", "copy", local_url(folder), local_url(new)])
    assert done.stdout == "1 package copied (0.0 MB), 0 already there.\n"
    assert contents(LocalStorage(new)) == contents(local)
    assert not (new / "secret-key").exists()
    assert not (new / "store").exists()
    done = run.invoke(codepush, ["storage", "copy", local_url(folder.parent), local_url(new)])
    assert isinstance(done.exception, SettingsError)


@pytest.mark.parametrize("jobs", ["1", "16"])
def test_blobs_go_back_and_from_azure_to_azure(
    run: CliRunner, tmp_path: Path, azurite: Azurite, jobs: str
) -> None:
    first, second = azurite.url(), azurite.url()
    source = open_storage(first, KEY_SETTING)
    for number in range(30):
        add(source, random.randbytes(number * 1_000))
    for pair in ((first, second), (second, local_url(tmp_path / "back"))):
        done = run.invoke(codepush, ["storage", "copy", "--jobs", jobs, *pair])
        assert done.exit_code == 0, done.output
    assert contents(LocalStorage(tmp_path / "back")) == contents(source)


def test_a_zip_arrives_as_a_zip_and_anything_else_as_bytes(
    run: CliRunner, local: LocalStorage, folder: Path, azurite: Azurite
) -> None:
    target = azurite.storage("copied-types")
    archive, other = add(local, b"PK\x03\x04..."), add(local, b"console.log(1)")
    run.invoke(codepush, ["storage", "copy", local_url(folder), azurite.url("copied-types")])
    for key, kind in ((archive, "application/zip"), (other, "application/octet-stream")):
        with fetch(target.download_url(key, lifetime=timedelta(hours=1))) as answer:
            assert answer.headers["Content-Type"] == kind
            assert "immutable" in answer.headers["Cache-Control"]


def test_a_blob_of_another_size_at_the_target_is_replaced(
    run: CliRunner, local: LocalStorage, folder: Path, azure: BlobStorage, azure_url: str
) -> None:
    key = add(local, b"whole content")
    put(azure, b"half", key)
    done = run.invoke(codepush, ["storage", "copy", local_url(folder), azure_url])
    assert done.stdout.startswith("1 package copied")
    assert read(azure, key) == b"whole content"


def test_a_damaged_blob_is_named_and_not_copied_but_all_others_are(
    run: CliRunner, local: LocalStorage, folder: Path, azure: BlobStorage, azure_url: str
) -> None:
    sound = [add(local, b"%d" % number) for number in range(5)]
    small, large = add(local, b"content"), add(local, bytes(9_000_000))
    (folder / small).write_bytes(b"contenT")
    with (folder / large).open("r+b") as file:
        file.seek(8_999_999)
        file.write(b"x")
    done = run.invoke(codepush, ["storage", "copy", local_url(folder), azure_url])
    assert done.exit_code == 1
    assert "5 packages copied" in done.stdout
    for key in (small, large):
        assert f"The package {key} is damaged in FROM and was not copied." in done.stderr
        assert azure.size(key) is None
    assert set(contents(azure)) == set(sound)


def test_many_damaged_blobs_are_not_all_named(
    run: CliRunner, local: LocalStorage, folder: Path, tmp_path: Path
) -> None:
    for number in range(25):
        (folder / add(local, b"%d" % number)).write_bytes(b"x" * len(str(number)))
    arguments = [local_url(folder), local_url(tmp_path / "new")]
    done = run.invoke(codepush, ["storage", "copy", *arguments])
    assert done.exit_code == 1
    assert done.stderr.count("is damaged in FROM") == 20
    assert "And 5 more." in done.stderr


def test_a_blob_that_is_deleted_meanwhile_is_no_failure(
    local: LocalStorage, azure: BlobStorage
) -> None:
    kept, deleted = add(local, b"kept"), add(local, b"deleted")
    copy = StorageCopy(local, azure)
    plan = copy.plan()
    local.delete(deleted)
    outcome = copy.run(plan, lambda _: None, jobs=2)
    assert outcome.gone == [deleted]
    assert copy.absent(plan, outcome) == []
    assert set(contents(azure)) == {kept}


def test_a_blob_that_is_lost_at_the_target_is_found_missing(
    local: LocalStorage, azure: BlobStorage
) -> None:
    key = add(local, b"content")
    copy = StorageCopy(local, azure)
    plan = copy.plan()
    outcome = copy.run(plan, lambda _: None, jobs=1)
    assert copy.absent(plan, outcome) == []
    azure.delete(key)
    assert copy.absent(plan, outcome) == [key]


def test_a_blob_shorter_than_listed_is_damaged(local: LocalStorage, azure: BlobStorage) -> None:
    key = add(local, bytes(100_000))
    copy = StorageCopy(local, azure)
    plan = copy.plan()
    put(local, bytes(99_999), key)
    outcome = copy.run(plan, lambda _: None, jobs=1)
    assert outcome.damaged == [key]
    assert contents(azure) == {}


def test_a_target_that_fails_stops_the_copy(
    local: LocalStorage, azurite: Azurite, tmp_path: Path
) -> None:
    for number in range(200):
        add(local, b"%d" % number)
    own = Azurite(tmp_path)
    own.start()
    target = own.storage()
    copy = StorageCopy(local, target)
    plan = copy.plan()
    seen = threading.Semaphore(0)
    threading.Thread(target=lambda: (seen.acquire(), own.kill())).start()
    began = time.monotonic()
    with pytest.raises(StorageError, match="did not answer"):
        copy.run(plan, lambda _: seen.release(), jobs=4)
    assert time.monotonic() - began < 30, "it does not try the other 199 one by one"
    own.start()
    assert copy.absent(plan, copy.run(copy.plan(), lambda _: None, jobs=4)) == []
    assert contents(target) == contents(local)
    own.stop()


@pytest.mark.parametrize(
    ("source", "target", "words"),
    [
        ("ftp://x", "local:///nonexistent/x", "FROM begins with 'ftp'"),
        ("local:///nonexistent/x", "s4://x", "TO begins with 's4'"),
        (
            "local:x",
            "local:///nonexistent/x",
            "FROM cannot be used: it must name an absolute folder",
        ),
        ("local:///nonexistent/x", "azure://a/b?key=secret", "TO cannot be used"),
        ("local:///nonexistent/x", "local:///dev/null", "disk refused"),
        ("local:///nonexistent/x", "local:///nonexistent/y", "FROM has no packages"),
        (
            "local:///nonexistent/x",
            "azure://myaccount/packages?retries=0&endpoint=http://127.0.0.1:1/myaccount",
            "did not answer",
        ),
    ],
)
def test_a_wrong_or_failing_storage_is_one_sentence_and_exit_code_2(
    source: str, target: str, words: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", COPY, "storage", "copy", source, target],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stderr.startswith("codepush: ")
    assert "Traceback" not in done.stderr
    assert "secret" not in done.stderr


def environment() -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "AZURE_STORAGE_KEY": ACCOUNT_KEY}


def test_ctrl_c_leaves_whole_blobs_and_the_next_run_goes_on(
    local: LocalStorage, folder: Path, azure: BlobStorage, azure_url: str
) -> None:
    for _ in range(24):
        add(local, random.randbytes(5_000_000))
    command = [sys.executable, "-c", COPY, "storage", "copy", local_url(folder), azure_url]
    copying = subprocess.Popen(
        [*command, "--jobs", "2"],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while len(list(azure.list_blobs())) < 3:
        assert copying.poll() is None, copying.communicate()
        time.sleep(0.01)
    copying.send_signal(signal.SIGINT)
    output, errors = copying.communicate(timeout=30)
    assert copying.returncode == 130
    assert output == ""
    assert "Run the same command again to go on." in errors
    assert "Traceback" not in errors

    arrived = contents(azure)
    assert 3 <= len(arrived) < 24
    assert all(content_sha256(key) == hashlib.sha256(arrived[key]).hexdigest() for key in arrived)

    again = subprocess.run(
        command, env=environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert again.returncode == 0, again.stderr
    left = 24 - len(arrived)
    assert again.stdout == (
        f"{left} packages copied ({left * 5}.0 MB), {len(arrived)} already there.\n"
        if left > 1
        else f"1 package copied (5.0 MB), {len(arrived)} already there.\n"
    )
    assert contents(azure) == contents(local)


def test_ctrl_c_leaves_nothing_temporary_on_a_disk(
    tmp_path: Path, local: LocalStorage, folder: Path
) -> None:
    for _ in range(12):
        add(local, random.randbytes(20_000_000))
    target = LocalStorage(tmp_path / "new")
    urls = [local_url(folder), local_url(tmp_path / "new")]
    copying = subprocess.Popen(
        [sys.executable, "-c", COPY, "storage", "copy", *urls],
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not list(target.list_blobs()):
        assert copying.poll() is None
        time.sleep(0.002)
    copying.send_signal(signal.SIGINT)
    assert copying.wait(30) == 130
    assert list((tmp_path / "new" / ".incoming").iterdir()) == []
