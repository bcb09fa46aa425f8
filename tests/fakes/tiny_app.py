"""The smallest application a supervisor can run: health, and a slow request."""

import os
import time
from collections.abc import Callable, Iterable


def app(environ: dict[str, object], start_response: Callable[..., object]) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    if path == "/slow":
        time.sleep(1.5)
    known = {"/health": "ok", "/slow": "done", "/scheme": str(environ["wsgi.url_scheme"])}
    known["/master"] = str(os.getppid())
    known["/env"] = "\n".join(os.environ.get(name, "") for name in ("REDIS_URL", "DATA_DIR"))
    body = known.get(str(path), "?").encode()
    headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))]
    start_response("200 OK" if path in known else "404 Not Found", headers)
    return [body]
