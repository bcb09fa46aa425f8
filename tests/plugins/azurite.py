"""A real Azurite, Microsoft's emulator of Azure Storage, as tests start, kill and restart it."""

import base64
import json
import os
import shutil
import ssl
import subprocess
import threading
import time
import uuid
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import quote

from azure.core.credentials import AccessToken
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from codepush.domain.ids import BlobKey
from codepush.plugins import open_storage
from plugins.storage_azure import AzureStorage
from tests.needed import lacking

HERE = Path(__file__).parents[1] / "azurite"
MAIN = HERE / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
ACCOUNT = "devstoreaccount1"
# Every Azurite has this account with this key, as its documentation says.
ACCOUNT_KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)
KEY_SETTING = {"AZURE_STORAGE_KEY": ACCOUNT_KEY}
START_TIMEOUT_S = 60
_OPTIONS = ["--blobHost", "127.0.0.1", "--skipApiVersionCheck", "--disableTelemetry", "--silent"]


def require() -> None:
    """Skip where Azurite cannot run; where CI=true, a skip would hide that, so fail."""
    missing = ""
    if shutil.which("node") is None:
        missing = "Node is not installed"
    elif not MAIN.exists():
        missing = "Azurite is not installed; run `make test`, or `npm ci` in tests/azurite"
    if missing:
        lacking(missing)


def new_container() -> str:
    return f"test-{uuid.uuid4().hex[:12]}"


class Azurite:
    """One Azurite on loopback, on a port of its own that it keeps over restarts."""

    def __init__(self, folder: Path, *, in_memory: bool = False, tls: "Tls | None" = None) -> None:
        self._folder = folder
        self._tls = tls
        self._options = ["--inMemoryPersistence"] if in_memory else ["--location", str(folder)]
        if tls:
            self._options += ["--cert", str(tls.certificate), "--key", str(tls.key)]
            self._options += ["--oauth", "basic"]
        self._process: subprocess.Popen[str] | None = None
        self._port = 0

    def start(self) -> None:
        """Return when it answers."""
        self._process = subprocess.Popen(
            ["node", MAIN, "--blobPort", str(self._port), *_OPTIONS, *self._options],
            cwd=self._folder,
            env={"PATH": os.environ["PATH"], "NODE_NO_WARNINGS": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        output: list[str] = []
        ready = threading.Event()
        threading.Thread(target=self._read, args=(self._process, output, ready)).start()
        deadline = time.monotonic() + START_TIMEOUT_S
        while not ready.wait(0.1):
            assert self._process.poll() is None, output
            assert time.monotonic() < deadline, output

    def _read(
        self, process: "subprocess.Popen[str]", output: list[str], ready: threading.Event
    ) -> None:
        assert process.stdout
        with process.stdout:
            for line in process.stdout:
                output.append(line)
                if "successfully listens on" in line:
                    self._port = int(line.rpartition(":")[2])
                    ready.set()

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self._process
        self._process.kill()
        self._process.wait(10)

    def stop(self) -> None:
        if self._process and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(10)

    @property
    def endpoint(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._port}/{ACCOUNT}"

    def url(self, container: str = "", **parameters: str) -> str:
        """A STORAGE_URL for it; the key is not in it."""
        parameters = {"endpoint": self.endpoint, "retries": "0", **parameters}
        query = "&".join(f"{name}={quote(value)}" for name, value in parameters.items())
        return f"azure://{ACCOUNT}/{container or new_container()}?{query}"

    def storage(self, container: str = "", **parameters: str) -> AzureStorage:
        opened = open_storage(self.url(container, **parameters), KEY_SETTING)
        assert isinstance(opened, AzureStorage)
        return opened


def stored_keys(storage: AzureStorage) -> set[BlobKey]:
    return {blob.key for blob in storage.list_blobs()}


class Tls:
    """A certificate for 127.0.0.1 that nobody but the tests trusts."""

    def __init__(self, folder: Path) -> None:
        self.certificate = folder / "certificate.pem"
        self.key = folder / "key.pem"
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "azurite.test")])
        address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(address, critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        self.certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        self.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )

    @property
    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.certificate)


class Identity:
    """Gets tokens as a managed identity does; Azurite believes all but their signature."""

    def __init__(self, audience: str = "https://storage.azure.com") -> None:
        self._audience = audience

    def get_token(self, *_scopes: str, **_options: object) -> AccessToken:
        now = int(time.time())
        claims = {
            "aud": self._audience,
            "iss": "https://sts.windows.net/ab1f708d-50f6-404c-a006-d71b2ac7a606/",
            "iat": now - 60,
            "nbf": now - 60,
            "exp": now + 3_600,
            "oid": "11059fcc-5514-4800-b5f8-49808b9cfab6",
            "tid": "ab1f708d-50f6-404c-a006-d71b2ac7a606",
        }
        parts = [json.dumps(each).encode() for each in ({"alg": "RS256", "typ": "JWT"}, claims)]
        encoded = [base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts]
        return AccessToken(".".join([*encoded, "c2lnbmF0dXJl"]), now + 3_600)
