"""HTTPS without a proxy: real clients, real certificates, and what is refused."""

import http.client
import os
import signal
import ssl
from pathlib import Path

import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from codepush.edge.tls import CertificateError, server_context
from codepush.server.start import check_tls
from codepush.settings import load_settings
from tests.api_client import bundle
from tests.certificates import Certificates
from tests.server.processes import Processes, wait_for
from tests.server.real import RealServer

SHOWN = {"WEB_CONCURRENCY": "1", "LOG_LEVEL": "info"}


def settings_of(made: Certificates) -> dict[str, str]:
    return {"TLS_CERTIFICATE": str(made.certificate), "TLS_KEY": str(made.key)}


def shown(port: int) -> str:
    """Return the certificate that the server shows."""
    return ssl.get_server_certificate(("127.0.0.1", port), timeout=10)


def test_devices_and_managers_speak_https_with_the_server_itself(
    processes: Processes, tmp_path: Path
) -> None:
    made = Certificates.make(tmp_path)
    server = RealServer(processes, authority=made.authority, **settings_of(made), **SHOWN)
    login = f'code-push login --accessKey "$(cat {server.token_file})" https://127.0.0.1:'
    wait_for(lambda: login in "".join(server.output), "what to do next")
    with requests.Session() as session:
        session.trust_env = False  # REQUESTS_CA_BUNDLE would go before
        session.verify = str(made.authority)
        session.headers["Authorization"] = f"Bearer {server.token}"
        session.post(f"{server.url}/api/v1/apps", json={"name": "App"}).raise_for_status()
        at = f"{server.url}/api/v1/apps/App/deployments/Staging"
        session.post(
            f"{at}/release",
            files={"package": ("p.zip", bundle("1"))},
            data={"packageInfo": '{"appVersion": "1.0.0"}'},
        ).raise_for_status()
        key = session.get(at).json()["deployment"]["key"]
        path = f"/v0.1/public/codepush/update_check?deployment_key={key}&app_version=1.0.0"
        # Twice: past Flask and by it, addresses begin with what the client spoke.
        for query in ("", "&client_unique_id=d"):
            info = session.get(f"{server.url}{path}{query}").json()["update_info"]
            assert info["download_url"].startswith(f"{server.url}/")
            assert len(session.get(info["download_url"]).content) == info["package_size"]
        report = {
            "deployment_key": key,
            "label": "v1",
            "app_version": "1.0.0",
            "status": "DeploymentSucceeded",
            "client_unique_id": "d",
        }
        told = session.post(f"{server.url}/v0.1/public/codepush/report_status/deploy", json=report)
        assert told.status_code == 200
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(f"{server.url}/health", timeout=5)
    server.stop()


def test_old_protocols_and_plain_http_are_refused(processes: Processes, tmp_path: Path) -> None:
    made = Certificates.make(tmp_path)
    server = RealServer(processes, authority=made.authority, **settings_of(made), **SHOWN)

    def spoken(least: ssl.TLSVersion, most: ssl.TLSVersion) -> str:
        context = ssl.create_default_context(cafile=str(made.authority))
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version, context.maximum_version = least, most
        connection = http.client.HTTPSConnection("127.0.0.1", processes.port, context=context)
        try:
            connection.connect()
            return connection.sock.version() or ""
        finally:
            connection.close()

    version = ssl.TLSVersion
    assert spoken(version.TLSv1_2, version.TLSv1_2) == "TLSv1.2"
    assert spoken(version.TLSv1_2, version.MAXIMUM_SUPPORTED) == "TLSv1.3"
    with pytest.warns(DeprecationWarning, match="TLSv1"), pytest.raises(ssl.SSLError):
        spoken(version.TLSv1, version.TLSv1_1)
    with pytest.raises((requests.ConnectionError, OSError)):
        requests.get(f"http://127.0.0.1:{processes.port}/health", timeout=5)
    assert server.get("/health").text == "Healthy"
    server.stop()


def test_a_reload_shows_a_renewed_certificate_and_refuses_a_broken_one(
    processes: Processes, tmp_path: Path
) -> None:
    made = Certificates.make(tmp_path)
    server = RealServer(processes, authority=made.authority, **settings_of(made), **SHOWN)
    first = shown(processes.port)
    (tmp_path / "new").mkdir()
    new = Certificates.make(tmp_path / "new")
    made.certificate.write_bytes(new.certificate.read_bytes())
    server.process.send_signal(signal.SIGUSR1)
    wait_for(lambda: "not reloaded: The key in TLS_KEY" in "".join(server.output), "a refusal")
    assert shown(processes.port) == first
    made.key.write_bytes(new.key.read_bytes())
    made.authority.write_bytes(new.authority.read_bytes())
    server.process.send_signal(signal.SIGUSR1)
    wait_for(lambda: shown(processes.port) != first, "the new certificate")
    assert server.get("/health").text == "Healthy"
    server.stop()


@pytest.fixture
def made(tmp_path: Path) -> Certificates:
    return Certificates.make(tmp_path)


def said(processes: Processes, *command: str, **settings: str) -> str:
    process = processes.python(*command, **settings)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2, errors
    assert "Traceback" not in errors
    (sentence,) = [line for line in errors.splitlines() if line.startswith("codepush: ")]
    return sentence


def test_files_that_cannot_be_used_end_the_start_with_a_sentence(
    processes: Processes, made: Certificates
) -> None:
    good = settings_of(made)
    serve = ("-P", "-m", "codepush", "serve")
    told = said(processes, *serve, **{**good, "TLS_KEY": "/nowhere/key.pem"})
    assert "TLS_KEY (/nowhere/key.pem) cannot be read: No such file or directory." in told
    web = ("-m", "gunicorn", "-c", "config/gunicorn.conf.py", "wsgi:app")
    told = said(processes, *web, REDIS_URL="redis://127.0.0.1:1", **{**good, "TLS_KEY": "/none"})
    assert "TLS_KEY (/none) cannot be read" in told
    told = said(processes, *serve, TLS_KEY=str(made.key))
    assert "TLS_CERTIFICATE is not set, but its counterpart is" in told


def test_each_fault_of_a_certificate_is_told(made: Certificates, tmp_path: Path) -> None:
    def fault(certificate: Path, key: Path) -> str:
        with pytest.raises(CertificateError) as caught:
            server_context(certificate, key)
        return str(caught.value)

    assert "not that of the certificate" in fault(made.authority, made.key)
    chain = "cannot be used: it must be a PEM file with the certificate and its chain."
    private = "cannot be used: it must be a PEM file with its private key."
    assert fault(made.key, made.key) == f"TLS_CERTIFICATE ({made.key}) {chain}"
    assert fault(made.certificate, made.certificate) == f"TLS_KEY ({made.certificate}) {private}"
    for content in (b"", b"garbage", b"\xff", made.key.read_bytes()[:90]):
        odd = tmp_path / "odd"
        odd.write_bytes(content)
        assert fault(odd, made.key) == f"TLS_CERTIFICATE ({odd}) {chain}"
        assert fault(made.certificate, odd) == f"TLS_KEY ({odd}) {private}"
        assert fault(odd, odd).startswith("TLS_CERTIFICATE (")
    half = made.certificate.read_bytes()[:90]
    odd.write_bytes(made.certificate.read_bytes() + half)
    assert "cannot be used (BAD_END_LINE); they must be PEM files" in fault(odd, made.key)
    assert "cannot be read: Is a directory" in fault(tmp_path, made.key)
    secret = tmp_path / "secret.pem"
    secret.write_bytes(
        ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"word"),
        )
    )
    assert "has a password" in fault(made.certificate, secret)
    if os.getuid() != 0:  # whom no mode keeps out
        made.key.chmod(0)
        assert "cannot be read: Permission denied" in fault(made.certificate, made.key)
    assert fault(tmp_path / "none", made.key).startswith("TLS_CERTIFICATE (")


@pytest.mark.parametrize(
    ("days", "words"), [(3.7, "ends in 4 days"), (-1, "has ended: clients refuse it"), (60, "")]
)
def test_a_certificate_that_ends_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, days: float, words: str
) -> None:
    made = Certificates.make(tmp_path, days=days)
    check_tls(load_settings(settings_of(made)))
    warned = [record.getMessage() for record in caplog.records]
    assert bool(warned) == bool(words)
    assert all(words in each and "reload the server" in each for each in warned)
