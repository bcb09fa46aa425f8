"""What every storage plugin must do. A plugin's tests subclass ``StorageContract`` whole."""

import hashlib
import io
import time
from collections.abc import Callable
from datetime import timedelta
from threading import Thread
from typing import BinaryIO

import pytest

from codepush.domain.errors import NotFoundError, StorageError
from codepush.domain.ids import BlobKey
from codepush.domain.storage import BlobStorage

KEY = BlobKey("an-App_id-of-22-chars-/" + "0" * 64)
LARGE = 20_000_000


def blob_key(content: bytes, app: str = "app") -> BlobKey:
    """Return the key of a blob of an app, which may be called as one likes."""
    return BlobKey(f"{app:_<22}/{hashlib.sha256(content).hexdigest()}")


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


class KillsOnTheWay(OneMegabyteAtMost):
    """Ends what stores the blob when half of it was asked for."""

    def __init__(self, size: int, kill: Callable[[], None]) -> None:
        super().__init__(size)
        self._half = size // 2
        self._kill = kill

    def read(self, size: int = -1) -> bytes:
        if self.left < self._half:
            self._kill()
        return super().read(size)


def put(storage: BlobStorage, content: bytes, key: BlobKey = KEY) -> None:
    storage.put(key, io.BytesIO(content), size=len(content), content_type="application/zip")


def modified_at_ms(storage: BlobStorage) -> int:
    (blob,) = storage.list_blobs()
    return blob.modified_at_ms


def read(storage: BlobStorage, key: BlobKey = KEY) -> bytes:
    with storage.open(key) as file:
        return file.read()


class StorageContract:
    """Subclasses give a fixture ``storage``: an empty one."""

    clock_step_s = 1.1
    """After which a time of modification is another: some backends know the second only."""

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
        put(storage, b"one", blob_key(b"one"))
        put(storage, b"two", blob_key(b"two"))
        assert read(storage, blob_key(b"one")) == b"one"
        assert read(storage, blob_key(b"two")) == b"two"

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

    def test_a_blob_can_be_read_in_pieces_from_anywhere(self, storage: BlobStorage) -> None:
        content = bytes(range(256)) * 40_000  # some blocks, for backends that have them
        put(storage, content)
        with storage.open(KEY) as file:
            assert file.read(3) == content[:3]
            assert file.read(5_000_000) == content[3:5_000_003]
            if file.seekable():
                assert file.seek(-4, 2) == len(content) - 4
                assert file.read(100) == content[-4:]
                assert file.read(1) == b""
                file.seek(8_000_000)
                file.seek(10, 1)
                assert file.tell() == 8_000_010
                assert file.read(10) == content[8_000_010:8_000_020]
                file.seek(len(content) + 5)
                assert file.read(1) == b""

    def test_a_source_that_is_longer_than_said_leaves_nothing(self, storage: BlobStorage) -> None:
        for size in (7, LARGE - 1):
            with pytest.raises(StorageError):
                storage.put(KEY, io.BytesIO(bytes(LARGE)), size=size, content_type="x/y")
            assert storage.size(KEY) is None
            assert list(storage.list_blobs()) == []

    def test_a_large_source_that_fails_late_leaves_nothing(self, storage: BlobStorage) -> None:
        class Broken(OneMegabyteAtMost):
            def read(self, size: int = -1) -> bytes:
                if self.left < LARGE // 4:
                    raise ConnectionError("the client went away")
                return super().read(size)

        source: BinaryIO = Broken(LARGE)  # type: ignore[assignment] # reads alike
        with pytest.raises((ConnectionError, StorageError)):
            storage.put(KEY, source, size=LARGE, content_type="application/zip")
        assert storage.size(KEY) is None
        assert list(storage.list_blobs()) == []
        put(storage, b"content")
        assert read(storage) == b"content"

    def test_a_blob_of_another_size_is_replaced(self, storage: BlobStorage) -> None:
        put(storage, b"damaged")
        put(storage, b"whole content")
        assert read(storage) == b"whole content"

    def test_writers_of_one_blob_all_succeed(self, storage: BlobStorage) -> None:
        content = bytes(range(256)) * 40_000
        failed: list[Exception] = []

        def write() -> None:
            try:
                put(storage, content)
            except (StorageError, NotFoundError) as exc:
                failed.append(exc)

        writers = [Thread(target=write) for _ in range(4)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        assert failed == []
        assert read(storage) == content

    def test_an_empty_storage_lists_nothing(self, storage: BlobStorage) -> None:
        assert list(storage.list_blobs()) == []
        storage.check()
        assert list(storage.list_blobs()) == []

    def test_a_listing_has_every_blob_with_its_size_and_time(self, storage: BlobStorage) -> None:
        before_ms = int(time.time()) * 1_000
        expected = {}
        for number in range(12):
            key = blob_key(bytes(number), f"app-{number % 3}")
            put(storage, bytes(number), key)
            expected[key] = number
        listed = list(storage.list_blobs())
        assert len(listed) == len(expected)
        assert {blob.key: blob.size for blob in listed} == expected
        assert all(before_ms <= blob.modified_at_ms <= time.time() * 1_000 for blob in listed)

    def test_a_listing_can_be_of_a_prefix(self, storage: BlobStorage) -> None:
        one, two = sorted(blob_key(bytes(number)) for number in (1, 2))
        other = blob_key(b"", "app2")
        for key in (one, two, other):
            put(storage, b"content", key)
        app = one.partition("/")[0]
        for prefix, keys in (
            ("", {one, two, other}),
            ("app", {one, two, other}),
            (f"{app}/", {one, two}),
            (two, {two}),
            (blob_key(b"", "app3"), set()),
        ):
            assert {blob.key for blob in storage.list_blobs(prefix)} == keys

    @pytest.mark.parametrize(
        "key",
        [
            "admin-token",
            "store/appendonlydir/appendonly.aof",
            "other-app/invoice.pdf",
            "sha256/" + "0" * 64,
            KEY.replace("0", "F"),
            KEY + "0",
            f"a/{KEY}",
            f"/{KEY}",
            KEY.replace("/", "/../") + "/",
        ],
    )
    def test_what_is_no_key_is_no_blob(self, storage: BlobStorage, key: str) -> None:
        other = BlobKey(key)
        for ask in (storage.open, storage.size, storage.touch):
            with pytest.raises(NotFoundError):
                ask(other)
        with pytest.raises(NotFoundError):
            put(storage, b"content", other)

    def test_a_deleted_blob_is_not_listed(self, storage: BlobStorage) -> None:
        put(storage, b"content")
        storage.delete(KEY)
        assert list(storage.list_blobs()) == []

    def test_a_touch_renews_the_time_and_nothing_else(self, storage: BlobStorage) -> None:
        put(storage, b"content")
        url = storage.download_url(KEY, lifetime=timedelta(hours=1))
        before = modified_at_ms(storage)
        time.sleep(self.clock_step_s)
        assert storage.touch(KEY)
        assert modified_at_ms(storage) > before
        assert read(storage) == b"content"
        assert url.partition("?")[0] in storage.download_url(KEY, lifetime=timedelta(hours=1))

    def test_putting_again_renews_the_time(self, storage: BlobStorage) -> None:
        put(storage, b"content")
        before = modified_at_ms(storage)
        time.sleep(self.clock_step_s)
        put(storage, b"content")
        assert modified_at_ms(storage) > before
        assert read(storage) == b"content"

    def test_an_absent_blob_cannot_be_touched(self, storage: BlobStorage) -> None:
        assert storage.touch(KEY) is False
        assert storage.size(KEY) is None

    def test_a_blob_that_is_touched_while_it_is_read_is_read_whole(
        self, storage: BlobStorage
    ) -> None:
        content = bytes(range(256)) * 40_000
        put(storage, content)
        with storage.open(KEY) as file:
            head = file.read(10)
            time.sleep(self.clock_step_s)
            storage.touch(KEY)
            assert head + file.read() == content

    def test_a_blob_touched_since_is_kept_and_an_old_one_deleted(
        self, storage: BlobStorage
    ) -> None:
        put(storage, b"content")
        seen = modified_at_ms(storage)
        time.sleep(self.clock_step_s)
        storage.touch(KEY)
        assert storage.delete(KEY, unmodified_since_ms=seen) is False
        assert read(storage) == b"content"
        assert storage.delete(KEY, unmodified_since_ms=modified_at_ms(storage)) is True
        assert storage.size(KEY) is None
        assert storage.delete(KEY, unmodified_since_ms=seen) is True, "an absent one is success"

    def test_of_a_touch_and_a_collection_at_once_only_one_succeeds(
        self, storage: BlobStorage
    ) -> None:
        keys = [blob_key(bytes(number)) for number in range(20)]
        for key in keys:
            put(storage, b"content", key)
        seen = max(blob.modified_at_ms for blob in storage.list_blobs())
        time.sleep(self.clock_step_s)
        touched: dict[BlobKey, bool] = {}
        deleted: dict[BlobKey, bool] = {}

        def touch_all() -> None:
            for key in keys:
                touched[key] = storage.touch(key)

        toucher = Thread(target=touch_all)
        toucher.start()
        for key in reversed(keys):  # they meet on the way
            deleted[key] = storage.delete(key, unmodified_since_ms=seen)
        toucher.join()
        for key in keys:
            assert touched[key] != deleted[key]
            assert storage.size(key) == (7 if touched[key] else None)

    def test_blobs_are_no_leftovers(self, storage: BlobStorage) -> None:
        put(storage, b"content")
        storage.discard_leftovers(before_ms=modified_at_ms(storage) + 86_400_000)
        assert read(storage) == b"content"

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
        with pytest.raises(NotFoundError):
            storage.touch(BlobKey(key))
        with pytest.raises(NotFoundError):
            storage.delete(BlobKey(key))

    def test_a_working_storage_passes_its_check_and_stays_empty(self, storage: BlobStorage) -> None:
        storage.check()
        assert storage.size(KEY) is None
