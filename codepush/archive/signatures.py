"""Signed packages: the CLI writes a JWT over the package hash to ``CodePush/.codepushrelease``.

A device with a public key takes no package without a true signature over its contents. Where the
server knows the key too, it refuses at upload what every device would refuse later.
"""

import json
import re

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from codepush.archive.contents import head_of
from codepush.archive.models import Inspection, PackedFile
from codepush.domain.errors import InvalidParameterError
from codepush.domain.package_hash import SIGNATURE_NAME

ALGORITHM = "RS256"
"""The only one that clients verify; another in the header must never choose how to verify."""

NOT_SIGNED = "Not signed"
"""The reason of a refusal where there is no signature at all."""

MIN_KEY_BITS, MAX_KEY_BITS = 2_048, 8_192
MAX_KEY_BYTES = 8_192
MAX_SIGNATURE_BYTES = 16_384
DEVICES_LOOK_IN = f"CodePush/{SIGNATURE_NAME}"
"""Where React Native's devices look; others know other folders."""

_JWT = re.compile(rb"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")
_REGISTRY = jws.JWSRegistry(algorithms=[ALGORITHM], strict_check_header=False)
_REGISTRY.max_header_length = MAX_SIGNATURE_BYTES
_REGISTRY.max_signature_length = MAX_KEY_BITS // 4


def read_public_key(pem: str, parameter: str = "publicKey") -> str:
    """Return an RSA public key in the one form in which it is kept (PEM, SubjectPublicKeyInfo).

    Raises:
        InvalidParameterError: It is something else, or too short for RS256.
    """
    key = _load_key(pem, parameter)
    made = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return made.decode()


def verify_signature(package: Inspection, public_key: str, *, anywhere: bool = True) -> str:
    """Return the path of the signature, if a package is signed with the private half of a key.

    Args:
        package: From the gate.
        public_key: From ``read_public_key``.
        anywhere: Whether the signature may lie in the root or in any folder there; otherwise it
            must be ``DEVICES_LOOK_IN``.

    Raises:
        InvalidParameterError: The signature is absent, malformed, false or for other contents.
    """
    file = _signature_file(package, anywhere=anywhere)
    token = head_of(package, file, MAX_SIGNATURE_BYTES)
    where = f"The signature in {file.path}"
    if file.size > MAX_SIGNATURE_BYTES or not _JWT.fullmatch(token):
        raise _refused(
            f"{where} is not a JWT. Let the CLI sign the package: release with --privateKeyPath.",
            "Malformed signature",
        )
    try:
        signed = jws.extract_compact(token, registry=_REGISTRY)
        algorithm = signed.headers().get("alg")
        payload = json.loads(signed.payload)
    except (JoseError, ValueError, RecursionError) as exc:
        raise _refused(
            f"{where} is not a JWT. Let the CLI sign the package: release with --privateKeyPath.",
            "Malformed signature",
        ) from exc
    if algorithm != ALGORITHM:
        raise _refused(
            f"{where} is made with the algorithm {str(algorithm)[:20]!r}; devices verify"
            f" {ALGORITHM} only.",
            "Wrong algorithm",
        )
    key = RSAKey.import_key(_load_key(public_key, "publicKey"))
    try:
        is_true = jws.validate_compact(signed, key, registry=_REGISTRY)
    except JoseError as exc:
        raise _refused(f"{where} cannot be verified: {exc}.", "Malformed signature") from exc
    if not is_true:
        raise _refused(
            f"{where} is not made with the private key that belongs to the app's registered"
            " public key. Sign the package with that one, or register the other.",
            "False signature",
        )
    content = payload.get("contentHash") if isinstance(payload, dict) else None
    if not isinstance(content, str):
        raise _refused(f"{where} has no contentHash.", "Malformed signature")
    if content != package.hash:
        raise _refused(
            f"{where} is for other contents: it is over the package hash {content[:64]!r}, but"
            f" this package's is {package.hash}. Sign it again after the last change.",
            "Signature of other contents",
        )
    return file.path


def _signature_file(package: Inspection, *, anywhere: bool) -> PackedFile:
    found = {
        file.path: file
        for file in package.files
        if file.path.rpartition("/")[2] == SIGNATURE_NAME and file.path.count("/") <= 1
    }
    if not found:
        raise _refused(
            "The package is not signed, and the app takes signed packages only. Release it with"
            f" --privateKeyPath, which adds {DEVICES_LOOK_IN}.",
            NOT_SIGNED,
        )
    if DEVICES_LOOK_IN in found:
        return found[DEVICES_LOOK_IN]
    if not anywhere:
        raise _refused(
            f"The package has a signature in {min(found)}, but React Native's devices look in"
            f" {DEVICES_LOOK_IN} only. Release the folder CodePush itself, as the CLI's"
            " release-react does.",
            NOT_SIGNED,
        )
    if len(found) > 1:
        raise _refused(
            f"The package has {len(found)} signatures, and none in {DEVICES_LOOK_IN}.",
            NOT_SIGNED,
        )
    return next(iter(found.values()))


def _load_key(pem: str, parameter: str) -> RSAPublicKey:
    if "PRIVATE KEY" in pem:
        raise InvalidParameterError(
            "This is a private key. Keep it to yourself, and give the public key that belongs to"
            " it: openssl rsa -pubout.",
            parameter=parameter,
            reason="Private key",
        )
    try:
        if len(pem) > MAX_KEY_BYTES:
            raise ValueError("too long")
        key = load_pem_public_key(pem.strip().encode())
    except (ValueError, UnsupportedAlgorithm) as exc:
        raise InvalidParameterError(
            "The public key is not in PEM form; it should begin with -----BEGIN PUBLIC KEY-----.",
            parameter=parameter,
            reason="Malformed",
        ) from exc
    if not isinstance(key, RSAPublicKey) or not MIN_KEY_BITS <= key.key_size <= MAX_KEY_BITS:
        raise InvalidParameterError(
            f"The public key must be an RSA key of {MIN_KEY_BITS} to {MAX_KEY_BITS} bits.",
            parameter=parameter,
            reason="Wrong kind of key",
        )
    return key


def _refused(message: str, reason: str) -> InvalidParameterError:
    return InvalidParameterError(message, parameter="package", reason=reason)
