import io
import os
import stat
from pathlib import Path

import pytest

from codepush.domain.errors import StorageError
from codepush.plugins import open_storage
from codepush.settings import SettingsError
from plugins.storage_local import LocalStorage
from tests.storage_contract import KEY, StorageContract, put


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path / "blobs")


class TestContract(StorageContract):
    """The whole contract, on local disk."""

    clock_step_s = 0.05


def test_nothing_temporary_is_left_after_success_or_failure(
    storage: LocalStorage, tmp_path: Path
) -> None:
    put(storage, b"content")
    with pytest.raises(StorageError):
        storage.put(KEY, io.BytesIO(b"half"), size=8, content_type="application/zip")
    storage.check()
    assert list((tmp_path / "blobs" / ".incoming").iterdir()) == []


def test_blob_and_folders_are_flushed_before_put_returns(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[bool] = []
    fsync = os.fsync

    def spy(descriptor: int) -> None:
        flushed.append(stat.S_ISDIR(os.fstat(descriptor).st_mode))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", spy)
    put(storage, b"content")
    assert flushed[0] is False, "the content comes first"
    assert flushed[1:] == [True, True], "then the app's folder and the root"


def test_a_disk_that_refuses_is_a_storage_error_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "blobs").write_text("a file where the folder should be")
    storage = LocalStorage(tmp_path / "blobs")
    with pytest.raises(StorageError, match="disk refused"):
        put(storage, b"content")
    with pytest.raises(StorageError, match="disk refused"):
        storage.check()
    with pytest.raises(StorageError, match="disk refused"):
        list(storage.list_blobs())


def test_the_url_picks_the_plugin_by_its_scheme(tmp_path: Path) -> None:
    storage = open_storage(f"local://{tmp_path}/with%20space%3F%23")
    put(storage, b"content")
    assert (tmp_path / "with space?#").is_dir()


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("local://relative/path", "absolute folder"),
        ("local:///", "absolute folder"),
        ("local:", "absolute folder"),
        ("local:///folder?secret=1", "it has no parameters; in the name of a folder, . is written"),
        ("local:///folder#1", "it has no parameters"),
        ("ftp://secret@host/x", "no installed storage plugin knows; installed are: azure, local"),
    ],
)
def test_a_wrong_url_is_refused_with_a_sentence(url: str, sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence) as caught:
        open_storage(url)
    assert "secret" not in str(caught.value)
