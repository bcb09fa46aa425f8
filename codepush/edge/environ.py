"""What PEP 3333 says of a request, and how it has files sent."""

import sys
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_FILE_BYTES = 256 * 1024


def make_environ(scope: Any, body: Any) -> "WSGIEnvironment":
    """Return what PEP 3333 says of a request."""
    host, port = scope["server"] or ("localhost", 80)
    environ: WSGIEnvironment = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(scope["raw_path"]).decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": host,
        "SERVER_PORT": str(port),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": scope["client"][0] if scope["client"] else "",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": body,
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": _File,
    }
    for raw_name, raw_value in scope["headers"]:
        if b"_" in raw_name:
            continue  # it would pass for one with hyphens, which a proxy in front has checked
        name = raw_name.decode("latin-1").upper().replace("-", "_")
        if name not in {"CONTENT_LENGTH", "CONTENT_TYPE"}:
            name = f"HTTP_{name}"
        value = raw_value.decode("latin-1")
        environ[name] = f"{environ[name]},{value}" if name in environ else value
    return environ


class _File:
    """An open file as an answer, in pieces that are worth their hop to the loop."""

    def __init__(self, file: Any, _block_bytes: int = 0):
        self._file = file

    def __iter__(self) -> "_File":
        return self

    def __next__(self) -> bytes:
        piece: bytes = self._file.read(_FILE_BYTES)
        if not piece:
            raise StopIteration
        return piece

    def seekable(self) -> bool:
        return bool(self._file.seekable())

    def seek(self, *position: int) -> Any:
        return self._file.seek(*position)

    def tell(self) -> Any:
        return self._file.tell()

    def close(self) -> None:
        self._file.close()
