"""Serves packages under unguessable addresses, whatever storage they are in (docs/adr/0024).

Native plugins need the true Content-Length and the bytes as they are: no chunks, no compression.
What lies behind an address never changes, so it may be cached for ever.
"""

import os
from http import HTTPStatus

from flask import Blueprint, Response, request
from werkzeug.exceptions import RequestedRangeNotSatisfiable
from werkzeug.wrappers import Response as AnyResponse
from werkzeug.wsgi import wrap_file

from codepush.domain.ids import BlobKey
from codepush.web.context import services

blueprint = Blueprint("blobs", __name__)

_YEAR_S = 31_536_000


@blueprint.get("/blobs/<path:key>")
def download(key: str) -> AnyResponse:
    """Send a package, whole or in part; never more of it in memory than a chunk."""
    file = services().storage.open(BlobKey(key))
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    response = Response(
        wrap_file(request.environ, file),
        content_type="application/octet-stream",
        direct_passthrough=True,
    )
    response.content_length = size
    response.set_etag(key.rpartition("/")[2])
    response.cache_control.public = True
    response.cache_control.max_age = _YEAR_S
    response.cache_control.immutable = True
    response.headers["Access-Control-Allow-Origin"] = "*"
    environ = request.environ
    asked = request.range
    if asked is None or asked.units != "bytes" or len(asked.ranges) != 1:
        # None, one that is malformed, or one that may be ignored: RFC 9110, 14.2.
        environ = {name: value for name, value in environ.items() if name != "HTTP_RANGE"}
    try:
        answer = response.make_conditional(environ, accept_ranges=True, complete_length=size)
    except RequestedRangeNotSatisfiable:
        file.close()  # this response, which would have done so, is not sent
        raise
    if answer.status_code == HTTPStatus.PRECONDITION_FAILED:
        file.close()
        return Response(status=answer.status_code)
    return answer
