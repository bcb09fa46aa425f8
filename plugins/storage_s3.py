"""Packages in Amazon S3, or in what speaks its protocol, downloaded from there or through a CDN.

A large blob is uploaded in parts and completed at the end, so that a reader sees the whole of it or
nothing. What was decided is in docs/adr/0022-s3-storage.md.
"""

import base64
import contextlib
import hashlib
import io
import logging
import time
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, BinaryIO

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,  # noqa: A004 - botocore's
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
)

from codepush.domain.errors import NotFoundError, StorageError
from codepush.domain.ids import BlobKey
from codepush.domain.storage import StoredBlob, is_blob_key
from plugins.s3_notices import Notices
from plugins.s3_url import Bucket, read_url
from plugins.streams import RangedReader, check_key, check_size, read_block

_PART_BYTES = 8 * 1024 * 1024
"""S3 takes parts from 5 MB on, and 10,000 of them."""
_BLOCK_BYTES = 4 * 1024 * 1024
_CACHE_CONTROL = "public, max-age=31536000, immutable"
_CONNECT_TIMEOUT_S = 10
_READ_TIMEOUT_S = 30
_QUICK_CONNECT_S = 3
_QUICK_READ_S = 5
_CONNECTIONS = 40
_PROBE = ".check"
_READ_TRIES = 10
"""How often a range is asked for while the blob is touched again and again."""

# At "info", the SDK writes lines about where it found credentials.
logging.getLogger("botocore").setLevel(logging.WARNING)
logging.getLogger("boto3").setLevel(logging.WARNING)


class S3Storage:
    """Keeps blobs in one bucket, which must be there."""

    scheme = "s3"

    def __init__(self, bucket: Bucket):
        """Use ``bucket``, with the credentials that boto3 finds.

        Raises:
            ValueError: The profile is not there.
        """
        self._bucket = bucket
        try:
            session = boto3.Session(
                profile_name=bucket.profile or None, region_name=bucket.region or None
            )
        except ProfileNotFound as exc:
            raise ValueError("its profile is not in the AWS configuration") from exc
        self._client = _client(session, bucket, bucket.retries)
        # For what somebody waits for and asks again anyway, and for what must not come late.
        self._quick = _client(session, bucket, 0, quick=True)
        self._notices = Notices(self._quick, bucket.name, bucket.prefix)

    @classmethod
    def from_url(cls, url: str, secrets: Mapping[str, str]) -> "S3Storage":  # noqa: ARG003
        """Return the storage of ``s3://BUCKET/PREFIX``.

        Parameters: ``region``, ``endpoint``, ``profile``, ``cdn``, ``url_minutes``, ``retries``.
        Secrets are never in the URL: boto3 finds them, in the environment, in the AWS configuration
        or with the identity of the machine.

        Raises:
            ValueError: The URL cannot be used. The message does not repeat it.
        """
        return cls(read_url(url))

    def put(self, key: BlobKey, source: BinaryIO, *, size: int, content_type: str) -> None:
        """Store a blob, unless one of this key and size is there: then touch that."""
        check_key(key)
        if self.size(key) == size and self.touch(key):
            return
        headers = {"ContentType": content_type, "CacheControl": _CACHE_CONTROL}
        part = read_block(source, _PART_BYTES)
        if len(part) < _PART_BYTES:
            check_size(len(part), size, complete=True)
            with _failures("stored"):
                self._client.put_object(**self._address(key), **headers, **_body(part))
        else:
            self._put_parts(key, part, source, size, headers)
        if not self._is_kept(key):
            raise StorageError(
                "The package could not be stored, because it was deleted meanwhile. Please try"
                " again."
            )

    def open(self, key: BlobKey) -> BinaryIO:
        """Open a blob; parts of it are fetched as they are read."""
        check_key(key)
        found = self._head(key)
        if found is None:
            raise NotFoundError("There is no such package.")
        reader = _BlobReader(self._client, self._address(key), found)
        return io.BufferedReader(reader, _BLOCK_BYTES)

    def size(self, key: BlobKey) -> int | None:
        """Return a blob's size in bytes."""
        check_key(key)
        found = self._head(key)
        return None if found is None else int(found["ContentLength"])

    def touch(self, key: BlobKey) -> bool:
        """Set a blob's time of modification to now, by copying it onto itself."""
        check_key(key)
        found = self._head(key)
        if found is None:
            return False
        try:
            with _failures("kept", may_be_absent=True):
                self._client.copy_object(
                    **self._address(key),
                    CopySource=self._address(key),
                    MetadataDirective="REPLACE",
                    ContentType=found["ContentType"],
                    CacheControl=_CACHE_CONTROL,
                    # Servers that keep blobs as files take the time from here.
                    Metadata={"mtime": str(time.time())},
                )
        except NotFoundError:
            return False
        return self._is_kept(key)

    def list_blobs(self, prefix: str = "") -> Iterator[StoredBlob]:
        """Yield the blobs whose key begins with ``prefix``, a thousand a request."""
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket.name, Prefix=self._bucket.prefix + prefix
        )
        with _failures("listed"):
            for page in pages:
                for found in page.get("Contents", ()):
                    key = found["Key"].removeprefix(self._bucket.prefix)
                    if is_blob_key(key):
                        yield StoredBlob(BlobKey(key), found["Size"], _modified_at_ms(found))

    def download_url(self, key: BlobKey, *, lifetime: timedelta) -> str:
        """Return the blob's URL at the CDN, or a signed one, for seven days at most."""
        check_key(key)
        if self._bucket.cdn:
            return f"{self._bucket.cdn}/{key}"
        lifetime = min(lifetime, self._bucket.url_lifetime)
        with _failures("signed for download"):
            url: str = self._client.generate_presigned_url(
                "get_object", Params=self._address(key), ExpiresIn=int(lifetime.total_seconds())
            )
        return url

    def delete(self, key: BlobKey, *, unmodified_since_ms: int | None = None) -> bool:
        """Remove a blob, unless it was put or touched after a time, in seconds."""
        check_key(key)
        with _failures("deleted"):
            if unmodified_since_ms is None:
                self._client.delete_object(**self._address(key))
                return True
            with self._notices.announced(key) as deadline:
                found = self._head(key)
                if found is None:
                    return True
                if _modified_at_ms(found) > unmodified_since_ms:
                    return False
                deadline.check()
                self._quick.delete_object(**self._address(key))
                return True

    def discard_leftovers(self, *, before_ms: int) -> None:
        """Do nothing: parts that were not put together are for a rule of the bucket to drop."""

    def check(self) -> None:
        """Begin an upload and drop it.

        That needs the permission to write, but leaves nothing to be seen, listed or versioned.
        """
        address = {"Bucket": self._bucket.name, "Key": f"{self._bucket.prefix}{_PROBE}"}
        with _failures("stored", which="Packages"):
            upload = self._quick.create_multipart_upload(**address)
            self._quick.abort_multipart_upload(**address, UploadId=upload["UploadId"])

    def _address(self, key: BlobKey) -> dict[str, str]:
        return {"Bucket": self._bucket.name, "Key": self._bucket.prefix + key}

    def _head(self, key: BlobKey) -> dict[str, Any] | None:
        """Return what is known of a blob, or None where it is absent."""
        try:
            with _failures("read", may_be_absent=True):
                found: dict[str, Any] = self._client.head_object(**self._address(key))
        except NotFoundError:
            return None
        return found

    def _is_kept(self, key: BlobKey) -> bool:
        """Tell whether a blob whose time was just renewed is there to stay."""
        with _failures("kept"):
            self._notices.wait(key)
        return self._head(key) is not None

    def _put_parts(
        self,
        key: BlobKey,
        part: bytes,
        source: BinaryIO,
        size: int,
        headers: Mapping[str, str],
    ) -> None:
        address = self._address(key)
        with _failures("stored"):
            upload = self._client.create_multipart_upload(**address, **headers)
        address["UploadId"] = upload["UploadId"]
        try:
            sent: list[dict[str, Any]] = []
            total = 0
            while part:
                check_size(total := total + len(part), size)
                number = len(sent) + 1
                with _failures("stored"):
                    done = self._client.upload_part(**address, PartNumber=number, **_body(part))
                sent.append({"PartNumber": number, "ETag": done["ETag"]})
                part = read_block(source, _PART_BYTES)
            check_size(total, size, complete=True)
            with _failures("stored"):
                self._client.complete_multipart_upload(**address, MultipartUpload={"Parts": sent})
        except BaseException:
            # What is left if this fails too is invisible; a rule of the bucket can drop it.
            with contextlib.suppress(BotoCoreError, ClientError):
                self._quick.abort_multipart_upload(**address)
            raise


class _BlobReader(RangedReader):
    """Reads a blob by ranges, each of a block at most."""

    def __init__(self, client: Any, address: Mapping[str, str], found: Mapping[str, Any]):
        super().__init__(int(found["ContentLength"]), _BLOCK_BYTES)
        self._client = client
        self._address = address
        self._etag = found["ETag"]

    def fetch(self, start: int, length: int) -> bytes:
        with _failures("read", may_be_absent=True):
            for _ in range(_READ_TRIES):
                try:
                    return self._download(start, length)
                except ClientError as exc:
                    if _status(exc) != 412:
                        raise
                    # Touched or put again since: what a key means never changes, but its tag does.
                    found = self._client.head_object(**self._address)
                    if found["ContentLength"] != self._size:
                        raise
                    self._etag = found["ETag"]
        return b""

    def _download(self, start: int, length: int) -> bytes:
        answer = self._client.get_object(
            **self._address, Range=f"bytes={start}-{start + length - 1}", IfMatch=self._etag
        )
        with contextlib.closing(answer["Body"]) as body:
            content: bytes = body.read()
        return content


def _client(session: boto3.Session, bucket: Bucket, retries: int, *, quick: bool = False) -> Any:
    return session.client(
        "s3",
        endpoint_url=bucket.endpoint or None,
        region_name=bucket.region or session.region_name or "us-east-1",
        config=Config(
            signature_version="s3v4",
            # The default signs URLs of Amazon's global endpoint, which redirects to the region. A
            # dot in the name is not covered by Amazon's certificate.
            s3={"addressing_style": "path" if bucket.endpoint or "." in bucket.name else "virtual"},
            retries={"total_max_attempts": retries + 1, "mode": "standard"},
            connect_timeout=_QUICK_CONNECT_S if quick else _CONNECT_TIMEOUT_S,
            read_timeout=_QUICK_READ_S if quick else _READ_TIMEOUT_S,
            max_pool_connections=_CONNECTIONS,
            # Its new checksums are unknown to many servers; Content-MD5 is known to all.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )


def _body(content: bytes) -> dict[str, Any]:
    """Return the parameters of a body that the server checks on arrival."""
    digest = hashlib.md5(content, usedforsecurity=False).digest()
    return {"Body": content, "ContentMD5": base64.b64encode(digest).decode()}


def _modified_at_ms(found: Mapping[str, Any]) -> int:
    return int(found["LastModified"].timestamp() * 1_000)


@contextlib.contextmanager
def _failures(
    what: str, *, which: str = "The package", may_be_absent: bool = False
) -> Iterator[None]:
    """Turn the SDK's errors into ours, without what they say: that may hold addresses."""
    try:
        yield
    except (BotoCoreError, ClientError) as exc:
        if may_be_absent and _status(exc) == 404 and _code(exc) != "NoSuchBucket":
            raise NotFoundError("There is no such package.") from exc
        raise StorageError(f"{which} could not be {what}, because {_why(exc)}.") from exc


def _why(exc: BotoCoreError | ClientError) -> str:
    if isinstance(exc, ConnectionError | HTTPClientError | IncompleteReadError):
        return "the S3 storage did not answer. Please try again"
    if isinstance(exc, ClientError):
        code = _code(exc)
        words = [str(_status(exc) or ""), code if code.isalpha() else ""]
        why = f"the S3 storage refused ({' '.join(filter(None, words))})"
    elif isinstance(exc, NoCredentialsError | PartialCredentialsError):
        why = "the server has no credentials for the S3 storage"
    else:
        why = "the S3 storage could not be used"
    return f"{why}. Please tell the operator of the server"


def _status(exc: Exception) -> int:
    if not isinstance(exc, ClientError):
        return 0
    status: int = exc.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status


def _code(exc: Exception) -> str:
    if not isinstance(exc, ClientError):
        return ""
    return str(exc.response.get("Error", {}).get("Code", ""))
