"""Takes uploads: into a file without a name, however large, and never into memory."""

import contextlib
import io
import tempfile
import time
from collections.abc import Iterable
from typing import IO, TYPE_CHECKING, Any, BinaryIO, cast

from flask import Request, request
from gunicorn.http.errors import ParseException  # type: ignore[import-untyped] # no stubs
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge

from codepush.domain.errors import InvalidParameterError, QuotaExceededError, StorageError
from codepush.web.admission import BodyWanted, admission
from codepush.web.auth import principal
from codepush.web.context import settings
from codepush.web.errors import package_too_large
from codepush.web.quotas import REFUSED, quota_headers

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_OVERHEAD_BYTES = 1_000_000
"""What a form may hold beside the package."""

_CHUNK_BYTES = 64 * 1024
_DRAIN_S = 30.0
_RETRY_AFTER_S = 10


class SpoolingRequest(Request):
    """Keeps uploaded files on the data disk: /tmp may be memory."""

    max_form_parts = 20

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._spooled: list[IO[bytes]] = []

    @property
    def args(self) -> MultiDict[str, str]:
        """The query's parameters; a query of bytes that are no UTF-8 is the client's mistake."""
        try:
            return super().args
        except UnicodeDecodeError as exc:
            raise BadRequest from exc

    def close(self) -> None:
        """Give up the uploaded files, also those of a form that turned out to be malformed."""
        super().close()
        for file in self._spooled:
            file.close()

    def _get_file_stream(
        self,
        total_content_length: int | None,  # noqa: ARG002
        content_type: str | None,  # noqa: ARG002
        filename: str | None = None,  # noqa: ARG002
        content_length: int | None = None,  # noqa: ARG002
    ) -> IO[bytes]:
        # It has no name, so nothing is left of it when the process is killed.
        folder = settings().spool_dir
        folder.mkdir(parents=True, exist_ok=True)  # somebody may have tidied up
        file = tempfile.TemporaryFile("wb+", dir=folder)  # noqa: SIM115
        self._spooled.append(file)
        return file


def read_package() -> BinaryIO:
    """Receive the form of a release and return its file part ``package``.

    Raises:
        InvalidParameterError: There is no such part, or the form is cut off.
        PackageTooLargeError: It is over the limit.
        QuotaExceededError: This user, or everybody, sends too many at once.
    """
    limit = settings().max_package_bytes
    most = request.max_content_length = limit + _OVERHEAD_BYTES
    if request.mimetype != "multipart/form-data":
        raise InvalidParameterError(
            "A deployment package must include a file. Send it as multipart/form-data, in the part"
            " 'package'.",
            parameter="package",
            reason="Missing",
        )
    if (request.content_length or 0) > most:
        raise package_too_large(limit)
    _ask_for_body(most)
    try:
        part = request.files.get("package")
    except OSError as exc:  # of the spool: a connection that breaks is told otherwise
        raise StorageError(
            "The upload could not be kept, because the server's disk refused:"
            f" {exc.strerror or 'unknown error'}. Please tell the operator of the server."
        ) from exc
    except RequestEntityTooLarge as exc:
        if 0 < (request.content_length or 0) <= most:  # it is not the package
            raise InvalidParameterError(
                "The form of the upload has too many parts, or a field that is too large. Send the"
                " package in the part 'package' and its properties in the field 'packageInfo'.",
                parameter="body",
                reason="Too large",
            ) from exc
        raise package_too_large(limit) from exc
    except (ValueError, BadRequest) as exc:
        raise InvalidParameterError(
            "The upload was cut off or is not valid multipart/form-data. Please send it again.",
            parameter="package",
            reason="Malformed",
        ) from exc
    if part is None:
        raise InvalidParameterError(
            "A deployment package must include a file.", parameter="package", reason="Missing"
        )
    size = part.stream.seek(0, io.SEEK_END)
    part.stream.seek(0)
    if size > limit:
        raise package_too_large(limit)
    return cast(BinaryIO, part.stream)


def _ask_for_body(most_bytes: int) -> None:
    """Have the server receive the body first, if it waits for that word."""
    asked = admission()
    if asked is None or asked.is_granted:
        return
    if not asked.take_room(principal().user.id):
        REFUSED.add(1, "uploads")
        raise QuotaExceededError(
            "There are too many uploads at once. Please try again in"
            f" {_RETRY_AFTER_S} s, when some of them have ended.",
            retry_after_s=_RETRY_AFTER_S,
        )
    asked.most_bytes = most_bytes
    asked.headers = quota_headers()
    asked.is_granted = True
    raise BodyWanted


class DrainUnread:
    """WSGI middleware that reads what a view left of a body, within a bound, before answering.

    A client that still sends when the server closes sees a reset connection instead of the answer,
    so a 413 or 401 would never reach it.
    """

    def __init__(self, app: "WSGIApplication", max_bytes: int):
        """Wrap ``app``; give up after ``max_bytes``."""
        self._app = app
        self._max_bytes = max_bytes

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Serve one request."""
        body = _CountedBody(environ["wsgi.input"])
        environ["wsgi.input"] = body
        answer = self._app(environ, start_response)
        if not (environ.get("HTTP_EXPECT") and body.taken == 0):
            with contextlib.suppress(OSError, BadRequest):
                self._drain(environ, body)
        return answer

    def _drain(self, environ: "WSGIEnvironment", body: "_CountedBody") -> None:
        length = environ.get("CONTENT_LENGTH") or ""
        if length.isdigit():
            left = int(length) - body.taken
        elif environ.get("wsgi.input_terminated") and "HTTP_TRANSFER_ENCODING" in environ:
            left = self._max_bytes
        else:
            return
        left = min(left, self._max_bytes)
        give_up = time.monotonic() + _DRAIN_S
        while left > 0 and time.monotonic() < give_up:
            chunk = body.read(min(left, _CHUNK_BYTES))
            if not chunk:
                return
            left -= len(chunk)


class _CountedBody(io.RawIOBase):
    """A request body that knows how much of it was read."""

    def __init__(self, body: Any):
        self._body = body
        self.taken = 0

    def read(self, size: int = -1) -> bytes:
        try:
            chunk: bytes = self._body.read(size) if size >= 0 else self._body.read()
        except ParseException as exc:  # chunks that are none
            raise BadRequest from exc
        self.taken += len(chunk)
        return chunk

    def readline(self, size: int | None = -1) -> bytes:
        try:
            line: bytes = self._body.readline(-1 if size is None else size)
        except ParseException as exc:
            raise BadRequest from exc
        self.taken += len(line)
        return line

    def readinto(self, buffer: Any) -> int:
        chunk = self.read(len(buffer))
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def readable(self) -> bool:
        return True
