"""Files that uploads are received into."""

import errno
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from codepush.edge.spool import MOST, MOST_OF_ONE, Spool, Upload


def disk_of(free_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = SimpleNamespace(f_bavail=free_bytes, f_frsize=1)
    monkeypatch.setattr(os, "fstatvfs", lambda _: disk)


def test_what_was_written_is_read_once(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    assert spool.take_room("a")
    upload = Upload(spool, "a")
    upload.add(b"hello ", is_last=False)
    upload.add(b"world", is_last=True)
    assert list((tmp_path / "spool").iterdir()) == [], "nothing is left of it after a kill"
    assert upload.read(8) == b"hello wo"
    assert upload.readall() == b"rld"
    assert upload.read() == b""
    upload.close()


def test_so_many_at_once_and_of_one(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    taken = []
    for sender in ("a", "b", "c", "d", "e"):
        taken += [sender] * sum(spool.take_room(sender) for _ in range(MOST_OF_ONE + 1))
    assert len(taken) == MOST
    assert taken.count("a") == MOST_OF_ONE
    for sender in taken:
        Upload(spool, sender).close()
    assert spool.take_room("e")


def test_half_of_the_free_disk_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path)
    disk_of(1_000, monkeypatch)
    first, second = Upload(spool, None), Upload(spool, None)
    first.add(b"-" * 900, is_last=True)
    disk_of(100, monkeypatch)
    second.add(b"-", is_last=True)
    with pytest.raises(OSError, match="No space left") as caught:
        second.read()
    assert caught.value.errno == errno.ENOSPC
    assert len(first.readall()) == 900
    third = Upload(spool, None)
    third.add(b"-" * 90, is_last=True)
    assert len(third.readall()) == 90
    for each in (first, second, third):
        each.close()


def test_a_folder_that_cannot_be_is_told_when_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    upload = Upload(Spool(tmp_path / "file" / "spool"), None)
    upload.add(b"-", is_last=False)
    upload.add(b"-", is_last=True)
    with pytest.raises(NotADirectoryError):
        upload.read()
    upload.close()
