"""A real S3-compatible server, ``rclone serve s3``, as tests start, kill and restart it."""

import os
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path
from urllib.parse import quote

import boto3

from codepush.plugins import open_storage
from plugins.storage_s3 import S3Storage

BINARY = Path(sys.executable).with_name("rclone")
ACCESS_KEY = "AKIATESTTESTTESTTEST"
SECRET_KEY = "a-secret-key-of-the-tests-9e107d9d372bb682"
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": ACCESS_KEY,
    "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}
START_TIMEOUT_S = 60


class Rclone:
    """One server on loopback, on a port of its own that it keeps over restarts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = int(probe.getsockname()[1])
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Return when it answers."""
        self._process = subprocess.Popen(
            [
                *(BINARY, "serve", "s3", self.folder),
                *("--addr", f"127.0.0.1:{self._port}"),
                *("--auth-key", f"{ACCESS_KEY},{SECRET_KEY}"),
                *("--config", os.devnull, "--vfs-cache-mode", "off"),
                # How long a part may wait for those before it; a second is not enough for a
                # machine with much to do, and the answer would be 500.
                *("--vfs-write-wait", "60s"),
            ],
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self._port), 1).close()
            except OSError:
                assert self._process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.02)
            else:
                return

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self._process
        self._process.kill()
        self._process.wait(10)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def new_bucket(self) -> str:
        name = f"test-{uuid.uuid4().hex[:12]}"
        # Through the front door: the server remembers what its folder holds.
        boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            region_name="us-east-1",
        ).create_bucket(Bucket=name)
        return name

    def url(self, place: str = "", **parameters: str) -> str:
        """A STORAGE_URL for it; the keys are not in it."""
        parameters = {"endpoint": self.endpoint, "retries": "0", **parameters}
        query = "&".join(f"{name}={quote(value)}" for name, value in parameters.items())
        return f"s3://{place or self.new_bucket()}?{query}"

    def storage(self, place: str = "", **parameters: str) -> S3Storage:
        opened = open_storage(self.url(place, **parameters))
        assert isinstance(opened, S3Storage)
        return opened
