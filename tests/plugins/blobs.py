"""What the tests of storages in a cloud share: downloads, and what an upload costs."""

import hashlib
import os
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Mapping
from http.client import HTTPResponse
from pathlib import Path
from urllib.error import HTTPError

import pytest

ROOT = Path(__file__).parents[2]

_SIXTY_MB = """
import hashlib, io, pathlib, re, resource, sys
from codepush.plugins import open_storage
from tests.storage_contract import KEY, OneMegabyteAtMost
size = 60_000_000
storage = open_storage(sys.argv[1], {"AZURE_STORAGE_KEY": sys.stdin.read()})
storage.put(KEY, io.BytesIO(b"warm up"), size=7, content_type="a/b")
status = pathlib.Path("/proc/self/status")
def peak():
    if status.exists():  # Linux, where ru_maxrss begins with what the parent process has
        return int(re.search(r"VmHWM:\\s*(\\d+)", status.read_text())[1]) / 1e3
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
before = peak()
storage.put(KEY, OneMegabyteAtMost(size), size=size, content_type="application/zip")
after_put = peak()
digest = hashlib.sha256()
with storage.open(KEY) as file:
    while chunk := file.read(1_000_000):
        digest.update(chunk)
print(after_put - before, peak() - before, digest.hexdigest())
"""


def fetch(
    url: str, method: str = "GET", context: ssl.SSLContext | None = None, **headers: str
) -> HTTPResponse:
    """Download as a device does: plain HTTP, and no knowledge of Azure."""
    request = urllib.request.Request(url, headers=headers, method=method)
    answer: HTTPResponse = urllib.request.urlopen(request, timeout=10, context=context)
    return answer


def whole(answer: HTTPResponse) -> bytes:
    with answer:
        return answer.read()


def refusal(url: str, method: str = "GET", **headers: str) -> int:
    with pytest.raises(HTTPError) as caught:
        fetch(url, method, **headers)
    caught.value.close()
    return caught.value.code


def memory_of_sixty_megabytes(
    url: str, key: str = "", environment: Mapping[str, str] | None = None
) -> tuple[float, float]:
    """Put and read 60 MB in a process of its own; return the MB of memory for one and for both."""
    done = subprocess.run(
        [sys.executable, "-c", _SIXTY_MB, url],
        input=key,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | (environment or {}),
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    put_mb, both_mb, digest = done.stdout.split()
    assert digest == hashlib.sha256(bytes(60_000_000)).hexdigest()
    print(f"60 MB took {put_mb} MB of memory to put, {both_mb} MB to put and read")
    return float(put_mb), float(both_mb)
