"""HTTPS without a proxy: what the web server shows to clients, and the least they must speak."""

import ssl
from datetime import UTC, datetime
from pathlib import Path

_CHAIN = "the certificate and its chain"
_KEY = "its private key"


class CertificateError(Exception):
    """The certificate or its key cannot be used; the message names the setting and says why."""


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Return what connections of clients begin with: TLS 1.2 or newer, HTTP/1.1.

    Args:
        certificate: PEM file of the certificate and, after it, those that lead to its authority.
        key: PEM file of its private key, which has no password.

    Raises:
        CertificateError: One of them cannot be read, or they do not belong together.
    """
    _check_readable("TLS_CERTIFICATE", certificate, _CHAIN)
    _check_readable("TLS_KEY", key, _KEY)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except ssl.SSLError as exc:
        if exc.reason == "KEY_VALUES_MISMATCH":
            raise CertificateError(
                f"The key in TLS_KEY ({key}) is not that of the certificate in TLS_CERTIFICATE"
                f" ({certificate}); name the two files that were issued together."
            ) from exc
        raise CertificateError(
            _fault(certificate, key)
            or f"TLS_CERTIFICATE ({certificate}) and TLS_KEY ({key}) cannot be used"
            f" ({exc.reason or exc}); they must be PEM files, with {_CHAIN} and with {_KEY}."
        ) from exc
    return context


def days_left(certificate: Path) -> float:
    """Return for how many days a certificate is still valid; negative when it has ended.

    Args:
        certificate: A file that ``server_context`` takes.

    Raises:
        CertificateError: It cannot be read.
    """
    from cryptography import x509  # here, because few have a certificate

    try:
        end = x509.load_pem_x509_certificates(certificate.read_bytes())[0].not_valid_after_utc
    except (OSError, ValueError) as exc:
        raise CertificateError(f"TLS_CERTIFICATE ({certificate}) cannot be read: {exc}.") from exc
    return (end - datetime.now(UTC)).total_seconds() / 86_400


def _check_readable(name: str, path: Path, what: str) -> None:
    try:
        with path.open("rb"):
            pass
    except OSError as exc:
        raise CertificateError(
            f"{name} ({path}) cannot be read: {exc.strerror}. Name a PEM file with {what}, which"
            " the server's user may read."
        ) from exc


def _fault(certificate: Path, key: Path) -> str:
    """Return which of two files is not what it must be; "" where OpenSSL alone knows."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        x509.load_pem_x509_certificates(certificate.read_bytes())
    except ValueError:
        return (
            f"TLS_CERTIFICATE ({certificate}) cannot be used: it must be a PEM file with {_CHAIN}."
        )
    try:
        load_pem_private_key(key.read_bytes(), None)
    except (TypeError, ValueError, UnsupportedAlgorithm):  # the first for one with a password
        return f"TLS_KEY ({key}) cannot be used: it must be a PEM file with {_KEY}."
    return ""


def _no_password() -> str:
    """Instead of OpenSSL's question at the terminal."""
    raise CertificateError(
        "The key in TLS_KEY has a password, which nobody types when a server starts; write it"
        " without one (openssl pkey -in KEY -out NEW), and let only the server's user read it."
    )
