"""Packages in Azure Blob Storage, downloaded from there or through a CDN.

A blob is staged in blocks and committed at the end, so that a reader sees the whole of it or
nothing. Blocks that were never committed are invisible, and Azure drops them after a week.
"""

import base64
import contextlib
import hashlib
import io
import logging
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, BinaryIO, TypeVar

from azure.core import MatchConditions
from azure.core.credentials import TokenCredential
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.storage.blob import (
    BlobBlock,
    BlobClient,
    BlobProperties,
    BlobServiceClient,
    ContentSettings,
    ExponentialRetry,
)

from codepush.domain.errors import NotFoundError, StorageError
from codepush.domain.ids import BlobKey
from codepush.domain.storage import StoredBlob, is_blob_key
from plugins.azure_sas import AccountSigner, IdentitySigner, Signer
from plugins.azure_url import Place, read_url
from plugins.streams import RangedReader, check_key, check_size, read_block

_BLOCK_BYTES = 4 * 1024 * 1024
_CACHE_CONTROL = "public, max-age=31536000, immutable"
_CONNECT_TIMEOUT_S = 10
_READ_TIMEOUT_S = 30
_QUICK: Mapping[str, Any] = {"retry_total": 0, "connection_timeout": 3, "read_timeout": 5}
"""For what somebody waits for and asks again anyway."""
_PROBE = ".check"
_READ_TRIES = 10
"""How often a range is asked for while the blob is touched again and again."""

_Result = TypeVar("_Result")

# At "info", the SDK writes several lines for each request.
logging.getLogger("azure").setLevel(logging.WARNING)


class AzureStorage:
    """Keeps blobs in one container of a storage account."""

    scheme = "azure"

    def __init__(self, place: Place, credential: str | TokenCredential):
        """Use ``place``, which need not exist yet; nothing is sent.

        Args:
            place: Where the blobs are.
            credential: The account key, in base64, or what gets tokens for an identity.
        """
        self._place = place
        service = BlobServiceClient(
            place.endpoint,
            credential={"account_name": place.account, "account_key": credential}
            if isinstance(credential, str)
            else credential,
            retry_policy=ExponentialRetry(  # after about 2, 4 and 8 s
                initial_backoff=0,
                increment_base=2,
                retry_total=place.retries,
                random_jitter_range=1,
            ),
            connection_timeout=_CONNECT_TIMEOUT_S,
            read_timeout=_READ_TIMEOUT_S,
        )
        self._container = service.get_container_client(place.container)
        self._signer: Signer = (
            AccountSigner(credential)
            if isinstance(credential, str)
            else IdentitySigner(service, _QUICK)
        )

    @classmethod
    def from_url(cls, url: str, secrets: Mapping[str, str]) -> "AzureStorage":
        """Return the storage of ``azure://ACCOUNT/CONTAINER``.

        Parameters: ``endpoint``, ``cdn``, ``sas_minutes``, ``retries``, ``key_file``. Secrets are
        never in the URL: they come from ``key_file``, else from the settings in ``secrets``, and
        without any the identity of the machine is used.

        Raises:
            ValueError: The URL or a secret cannot be used. The message repeats neither.
        """
        place, key = read_url(url, secrets)
        if key:
            return cls(place, key)
        if not place.endpoint.startswith("https:"):
            raise ValueError("an identity needs an https endpoint; without TLS, use an account key")
        # Here, because importing it takes half a second and a key makes it unnecessary.
        from azure.identity import DefaultAzureCredential

        return cls(place, DefaultAzureCredential())

    def put(self, key: BlobKey, source: BinaryIO, *, size: int, content_type: str) -> None:
        """Store a blob, unless one of this key and size is there: then touch that."""
        blob = self._blob(key)
        if self.size(key) == size and self.touch(key):
            return
        settings = ContentSettings(content_type=content_type, cache_control=_CACHE_CONTROL)
        block = read_block(source, _BLOCK_BYTES)
        if len(block) < _BLOCK_BYTES:
            check_size(len(block), size, complete=True)
            self._write(lambda: blob.upload_blob(block, overwrite=True, content_settings=settings))
            return
        staged: list[BlobBlock] = []
        sent = 0
        while block:
            check_size(sent := sent + len(block), size)
            staged.append(self._stage(blob, len(staged), block))
            block = read_block(source, _BLOCK_BYTES)
        check_size(sent, size, complete=True)
        self._write(lambda: blob.commit_block_list(staged, content_settings=settings))

    def open(self, key: BlobKey) -> BinaryIO:
        """Open a blob; parts of it are fetched as they are read."""
        blob = self._blob(key)
        with _failures("read", may_be_absent=True):
            properties = blob.get_blob_properties()
        return io.BufferedReader(_BlobReader(blob, properties), _BLOCK_BYTES)

    def size(self, key: BlobKey) -> int | None:
        """Return a blob's size in bytes."""
        blob = self._blob(key)
        try:
            with _failures("read", may_be_absent=True):
                return blob.get_blob_properties().size
        except NotFoundError:
            return None

    def touch(self, key: BlobKey) -> bool:
        """Set a blob's time of modification to now, by setting its empty metadata again."""
        blob = self._blob(key)
        try:
            with _failures("kept", may_be_absent=True):
                blob.set_blob_metadata({})
        except NotFoundError:
            return False
        return True

    def list_blobs(self, prefix: str = "") -> Iterator[StoredBlob]:
        """Yield the blobs whose key begins with ``prefix``, some thousands a request."""
        # An absent container holds no blobs.
        with contextlib.suppress(NotFoundError), _failures("listed", may_be_absent=True):
            for found in self._container.list_blobs(name_starts_with=prefix or None):
                if is_blob_key(found.name):
                    modified = int(found.last_modified.timestamp() * 1_000)
                    yield StoredBlob(BlobKey(found.name), found.size, modified)

    def download_url(self, key: BlobKey, *, lifetime: timedelta) -> str:
        """Return the blob's URL at the CDN, or a signed one at Azure.

        With an identity, a signed URL lives six days at most, and once a day this sends a request.
        """
        check_key(key)
        place = self._place
        if place.cdn:
            return f"{place.cdn}/{key}"
        with _failures("signed for download"):
            signature = self._signer.sign(place, key, min(lifetime, place.sas_lifetime))
        return f"{place.endpoint}/{place.container}/{key}?{signature}"

    def delete(self, key: BlobKey, *, unmodified_since_ms: int | None = None) -> bool:
        """Remove a blob, unless it was put or touched after a time, in seconds."""
        blob = self._blob(key)
        conditions: dict[str, Any] = {}
        if unmodified_since_ms is not None:
            conditions["if_unmodified_since"] = datetime.fromtimestamp(
                unmodified_since_ms / 1_000, UTC
            )
        try:
            with _failures("deleted", may_be_absent=True):
                blob.delete_blob(delete_snapshots="include", **conditions)
        except NotFoundError:
            return True
        except StorageError as exc:
            if isinstance(exc.__cause__, ResourceModifiedError):
                return False
            raise
        return True

    def discard_leftovers(self, *, before_ms: int) -> None:
        """Do nothing: Azure itself drops blocks that were not committed within a week."""

    def check(self) -> None:
        """Stage one byte that is never committed, and get ready to sign URLs.

        That needs the permission to write, but leaves nothing to be seen, listed or versioned.
        """
        probe = self._container.get_blob_client(_PROBE)
        self._write(lambda: probe.stage_block(_block_id(0, b"?"), b"?", **_QUICK), which="Packages")
        if not self._place.cdn:
            with _failures("signed for download", which="Packages"):
                self._signer.prepare()

    def _blob(self, key: BlobKey) -> BlobClient:
        check_key(key)
        return self._container.get_blob_client(key)

    def _stage(self, blob: BlobClient, number: int, block: bytes) -> BlobBlock:
        name = _block_id(number, block)
        self._write(lambda: blob.stage_block(name, block))
        return BlobBlock(name)

    def _write(self, write: Callable[[], _Result], which: str = "The package") -> _Result:
        """Write; and if there is no container, make it and write again."""
        try:
            with _failures("stored", which=which):
                return write()
        except StorageError as exc:
            if getattr(exc.__cause__, "error_code", "") != "ContainerNotFound":
                raise
        with _failures("stored", which=which):
            with contextlib.suppress(ResourceExistsError):
                self._container.create_container(**_QUICK)
            return write()


class _BlobReader(RangedReader):
    """Reads a blob by ranges, each of a block at most."""

    def __init__(self, blob: BlobClient, properties: BlobProperties):
        super().__init__(properties.size, _BLOCK_BYTES)
        self._blob = blob
        self._etag = properties.etag

    def fetch(self, start: int, length: int) -> bytes:
        with _failures("read", may_be_absent=True):
            for _ in range(_READ_TRIES):
                try:
                    return self._download(start, length)
                except ResourceModifiedError:
                    # Touched or put again since: what a key means never changes, but its tag does.
                    properties = self._blob.get_blob_properties()
                    if properties.size != self._size:
                        raise
                    self._etag = properties.etag
        return b""

    def _download(self, start: int, length: int) -> bytes:
        return self._blob.download_blob(
            offset=start,
            length=length,
            etag=self._etag,
            match_condition=MatchConditions.IfNotModified,
        ).readall()


def _block_id(number: int, block: bytes) -> str:
    """Return a name that only this block of this content has.

    Two writers of one key stage the same blocks, so each may commit what the other staged.
    """
    return base64.b64encode(number.to_bytes(4) + hashlib.sha256(block).digest()).decode()


@contextlib.contextmanager
def _failures(
    what: str, *, which: str = "The package", may_be_absent: bool = False
) -> Iterator[None]:
    """Turn the SDK's errors into ours, without what they say: that may hold addresses."""
    try:
        yield
    except AzureError as exc:
        if may_be_absent and isinstance(exc, ResourceNotFoundError):
            raise NotFoundError("There is no such package.") from exc
        raise StorageError(f"{which} could not be {what}, because {_why(exc)}.") from exc


def _why(exc: AzureError) -> str:
    if isinstance(exc, ServiceRequestError | ServiceResponseError):
        return "Azure Blob Storage did not answer. Please try again"
    if isinstance(exc, HttpResponseError) and exc.status_code:
        code = getattr(exc, "error_code", None)
        word = str(getattr(code, "value", code))
        shown = f"{exc.status_code} {word}" if code and word.isalnum() else str(exc.status_code)
        why = f"Azure Blob Storage refused ({shown})"
    elif isinstance(exc, ClientAuthenticationError):
        why = "the server has no identity that Azure accepts"
    else:
        why = "Azure Blob Storage could not be used"
    return f"{why}. Please tell the operator of the server"
