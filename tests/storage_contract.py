"""What every storage plugin must do. A plugin's tests subclass ``StorageContract`` whole."""

import hashlib
import io
from datetime import timedelta
from threading import Thread
from typing import BinaryIO

import pytest

from codepush.domain.errors import NotFoundError, StorageError
from codepush.domain.ids import BlobKey
from codepush.domain.storage import BlobStorage

KEY = BlobKey("an-App_id.1/" + "0" * 64)
LARGE = 20_000_000


class OneMegabyteAtMost(io.RawIOBase):
    """A source of zeros that fails if more than a megabyte is asked for at once."""

    def __init__(self, size: int) -> None:
        self.left = size

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        assert 0 <= size <= 4 * 1024 * 1024, "the source was read whole"
        size = min(size, self.left)
        self.left -= size
        return bytes(size)


def put(storage: BlobStorage, content: bytes, key: BlobKey = KEY) -> None:
    storage.put(key, io.BytesIO(content), size=len(content), content_type="application/zip")


def read(storage: BlobStorage, key: BlobKey = KEY) -> bytes:
    with storage.open(key) as file:
        return file.read()


class StorageContract:
    """Subclasses give a fixture ``storage``: an empty one."""

    def test_what_was_put_can_be_read(self, storage: BlobStorage) -> None:
        put(storage, b"content")
        assert read(storage) == b"content"
        assert storage.size(KEY) == 7

    def test_an_empty_blob_is_a_blob(self, storage: BlobStorage) -> None:
        put(storage, b"")
        assert read(storage) == b""
        assert storage.size(KEY) == 0

    def test_an_absent_blob_is_not_found_and_has_no_size(self, storage: BlobStorage) -> None:
        with pytest.raises(NotFoundError):
            storage.open(KEY)
        assert storage.size(KEY) is None

    def test_putting_again_is_harmless(self, storage: BlobStorage) -> None:
        put(storage, b"content")
        put(storage, b"content")
        assert read(storage) == b"content"

    def test_keys_do_not_share_content(self, storage: BlobStorage) -> None:
        put(storage, b"one", BlobKey("app/one"))
        put(storage, b"two", BlobKey("app/two"))
        assert read(storage, BlobKey("app/one")) == b"one"
        assert read(storage, BlobKey("app/two")) == b"two"

    def test_deleting_removes_and_deleting_again_succeeds(self, storage: BlobStorage) -> None:
        put(storage, b"content")
        storage.delete(KEY)
        storage.delete(KEY)
        assert storage.size(KEY) is None
        with pytest.raises(NotFoundError):
            storage.open(KEY)

    def test_a_large_blob_is_streamed(self, storage: BlobStorage) -> None:
        source: BinaryIO = OneMegabyteAtMost(LARGE)  # type: ignore[assignment] # reads alike
        storage.put(KEY, source, size=LARGE, content_type="application/zip")
        assert storage.size(KEY) == LARGE
        digest = hashlib.sha256()
        with storage.open(KEY) as file:
            while chunk := file.read(1_000_000):
                assert len(chunk) <= 1_000_000
                digest.update(chunk)
        assert digest.hexdigest() == hashlib.sha256(bytes(LARGE)).hexdigest()

    def test_a_source_that_ends_early_leaves_nothing(self, storage: BlobStorage) -> None:
        with pytest.raises(StorageError):
            storage.put(KEY, io.BytesIO(b"half"), size=8, content_type="application/zip")
        assert storage.size(KEY) is None

    def test_a_source_that_fails_leaves_nothing(self, storage: BlobStorage) -> None:
        class Broken(io.RawIOBase):
            def readable(self) -> bool:
                return True

            def read(self, size: int = -1) -> bytes:
                raise ConnectionError("the client went away")

        with pytest.raises((ConnectionError, StorageError)):
            storage.put(KEY, Broken(), size=8, content_type="application/zip")  # type: ignore[arg-type]
        assert storage.size(KEY) is None

    def test_readers_see_the_whole_blob_or_none_while_it_is_put(self, storage: BlobStorage) -> None:
        content = bytes(range(256)) * 20_000
        seen: list[bytes] = []
        done = False

        def look() -> None:
            while not done:
                try:
                    seen.append(read(storage))
                except NotFoundError:
                    continue

        reader = Thread(target=look)
        reader.start()
        for _ in range(5):
            put(storage, content)
        done = True
        reader.join()
        assert all(each == content for each in seen)
        assert read(storage) == content

    def test_a_blob_is_seekable_where_ranges_are_served_from_it(self, storage: BlobStorage) -> None:
        put(storage, b"0123456789")
        with storage.open(KEY) as file:
            if file.seekable():
                file.seek(5)
                assert file.read() == b"56789"

    def test_the_download_url_names_the_key(self, storage: BlobStorage) -> None:
        put(storage, b"content")
        url = storage.download_url(KEY, lifetime=timedelta(hours=1))
        assert url.startswith(("/", "http://", "https://"))
        assert "0" * 64 in url

    @pytest.mark.parametrize(
        "key",
        ["", "..", "../x", "a/../../x", "/etc/passwd", "a//b", "a\0b", "a/./b", ".hidden", "a\\b"],
    )
    def test_a_key_that_leads_elsewhere_is_not_found(self, storage: BlobStorage, key: str) -> None:
        with pytest.raises(NotFoundError):
            storage.open(BlobKey(key))
        with pytest.raises(NotFoundError):
            put(storage, b"content", BlobKey(key))

    def test_a_working_storage_passes_its_check_and_stays_empty(self, storage: BlobStorage) -> None:
        storage.check()
        assert storage.size(KEY) is None
