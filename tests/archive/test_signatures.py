"""Signed packages, as the CLI signs them and devices verify them."""

import base64
import io
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jws
from joserfc.jwk import OctKey, RSAKey

from codepush.archive.gate import inspect
from codepush.archive.models import Inspection
from codepush.archive.signatures import read_public_key, verify_signature
from codepush.domain.errors import InvalidParameterError
from tests.archive.zips import tree

KEY = RSAKey.generate_key(2048)
OTHER_KEY = RSAKey.generate_key(2048)
PUBLIC_KEY = read_public_key(KEY.as_pem(private=False).decode())
FILES = {"CodePush/main.jsbundle": b"console.log(1)", "CodePush/assets/a.png": bytes(99)}
HASH = inspect(io.BytesIO(tree(FILES))).hash
RS256 = {"alg": "RS256", "typ": "JWT"}


def claims(content_hash: str = HASH) -> bytes:
    return json.dumps({"claimVersion": "1.0.0", "contentHash": content_hash}).encode()


def token(payload: bytes = claims(), key: Any = KEY, header: dict[str, Any] | None = None) -> bytes:
    header = header or RS256
    registry = jws.JWSRegistry(algorithms=[header["alg"]], strict_check_header=False)
    return jws.serialize_compact(header, payload, key, registry=registry).encode()


def segment(value: Any) -> bytes:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")


def package(signature: bytes | None, path: str = "CodePush/.codepushrelease") -> Inspection:
    return inspect(io.BytesIO(tree(FILES | ({path: signature} if signature is not None else {}))))


def reason_of(signed: Inspection, key: str = PUBLIC_KEY) -> tuple[str, str]:
    with pytest.raises(InvalidParameterError) as caught:
        verify_signature(signed, key)
    assert caught.value.details["parameter"] == "package"
    return caught.value.details["reason"], caught.value.message


@pytest.mark.parametrize(
    "path", ["CodePush/.codepushrelease", ".codepushrelease", "www/.codepushrelease"]
)
def test_a_true_signature_passes(path: str) -> None:
    signed = package(token(), path)
    assert signed.hash == HASH, "which the signature is not a part of"
    verify_signature(signed, PUBLIC_KEY)


def test_a_header_with_more_in_it_passes() -> None:
    verify_signature(package(token(header=RS256 | {"kid": "1", "vendor": "x"})), PUBLIC_KEY)


def test_the_signature_that_devices_look_for_counts() -> None:
    files = FILES | {"CodePush/.codepushrelease": token(), ".codepushrelease": b"junk"}
    verify_signature(inspect(io.BytesIO(tree(files))), PUBLIC_KEY)


def test_only_one_folder_counts_where_devices_look_there_only() -> None:
    assert verify_signature(package(token()), PUBLIC_KEY, anywhere=False) == (
        "CodePush/.codepushrelease"
    )
    elsewhere = package(token(), "build/.codepushrelease")
    with pytest.raises(
        InvalidParameterError, match=r"in build/\.codepushrelease, but React"
    ) as info:
        verify_signature(elsewhere, PUBLIC_KEY, anywhere=False)
    assert info.value.details["reason"] == "Not signed"


@pytest.mark.parametrize(
    "path", [None, "CodePush/assets/.codepushrelease", "CodePush/x.codepushrelease"]
)
def test_a_package_without_a_signature_is_refused(path: str | None) -> None:
    signed = package(token(), path) if path else package(None)
    reason, sentence = reason_of(signed)
    assert reason == "Not signed"
    assert "--privateKeyPath" in sentence


def test_a_single_file_is_not_signed() -> None:
    assert reason_of(inspect(io.BytesIO(b"console.log(1)")))[0] == "Not signed"


def test_several_signatures_none_of_which_devices_look_for_are_refused() -> None:
    files = FILES | {"www/.codepushrelease": token(), ".codepushrelease": token()}
    reason, sentence = reason_of(inspect(io.BytesIO(tree(files))))
    assert reason == "Not signed"
    assert "has 2 signatures" in sentence


@pytest.mark.parametrize(
    "signature",
    [
        b"",
        b"junk",
        b"a.b",
        b"a.b.c.d",
        token() + b"\n",
        b" " + token(),
        token().replace(b".", b"=.", 1),
        b"!" + token()[1:],
        segment("text") + b"." + segment({}) + b".AAAA",
        segment([]) + b"." + segment({}) + b".AAAA",
        segment({}) + b"." + segment({}) + b".AAAA",
        b"AAAA." + segment({}) + b".AAAA",
        segment(RS256) + b".AAAA.AAAA",
        token(b"not JSON"),
        token(b"[]"),
        token(b"{}"),
        token(b'{"contentHash": 1}'),
        token(b"[" * 5_000),
        token(claims() + b" " * 20_000),
        segment(RS256 | {"crit": ["exp"], "exp": 1}) + b"." + token().split(b".", 1)[1],
        segment(RS256 | {"crit": ["b64"], "b64": False}) + b"." + token().split(b".", 1)[1],
    ],
)
def test_a_malformed_signature_is_refused(signature: bytes) -> None:
    reason, sentence = reason_of(package(signature))
    assert reason in {"Malformed signature", "False signature"}
    assert sentence.startswith("The signature in CodePush/.codepushrelease ")


@pytest.mark.parametrize("algorithm", ["RS384", "RS512", "PS256"])
def test_another_algorithm_is_refused(algorithm: str) -> None:
    reason, sentence = reason_of(package(token(header={"alg": algorithm})))
    assert reason == "Wrong algorithm"
    assert algorithm in sentence


def test_no_algorithm_is_refused() -> None:
    unsigned = segment({"alg": "none"}) + b"." + token().split(b".")[1] + b"."
    assert reason_of(package(unsigned))[0] == "Wrong algorithm"


def test_the_public_key_taken_for_a_password_is_refused() -> None:
    key = OctKey.import_key(base64.urlsafe_b64encode(PUBLIC_KEY.encode()).decode())
    signed = token(
        key=OctKey.import_key({"kty": "oct", "k": key.as_dict()["k"]}), header={"alg": "HS256"}
    )
    assert reason_of(package(signed))[0] == "Wrong algorithm"


def test_a_signature_by_another_key_is_refused() -> None:
    assert reason_of(package(token(key=OTHER_KEY)))[0] == "False signature"


@pytest.mark.parametrize("at", [-20, -300])
def test_a_changed_signature_is_refused(at: int) -> None:
    signature = bytearray(token())
    signature[at] = ord("A") if signature[at] != ord("A") else ord("B")
    assert reason_of(package(bytes(signature)))[0] == "False signature"


def test_a_signature_with_other_claims_is_refused() -> None:
    head, _, tail = token().split(b".")
    assert reason_of(package(b".".join([head, segment({"contentHash": HASH}), tail])))[0] == (
        "False signature"
    )


def test_a_signature_of_other_contents_is_refused() -> None:
    reason, sentence = reason_of(package(token(claims("0" * 64))))
    assert reason == "Signature of other contents"
    assert HASH in sentence
    assert "0" * 64 in sentence


def test_a_hash_in_capitals_is_another() -> None:
    assert reason_of(package(token(claims(HASH.upper()))))[0] == "Signature of other contents"


def test_a_damaged_signature_file_cannot_come_through_the_gate_so_a_true_one_is_whole() -> None:
    assert package(token()).digests()["CodePush/.codepushrelease"]


# Public keys.


@pytest.mark.parametrize("format_", [PublicFormat.SubjectPublicKeyInfo, PublicFormat.PKCS1])
def test_a_public_key_is_kept_in_one_form(format_: PublicFormat) -> None:
    pem = KEY.public_key.public_bytes(Encoding.PEM, format_).decode()
    for text in (pem, f"\n{pem}\n", pem.replace("\n", "\r\n")):
        assert read_public_key(text) == PUBLIC_KEY
    assert PUBLIC_KEY.startswith("-----BEGIN PUBLIC KEY-----\n")


def test_a_large_key_verifies_too() -> None:
    key = RSAKey.generate_key(4096)
    pem = read_public_key(key.as_pem(private=False).decode())
    verify_signature(package(token(key=key)), pem)


def elliptic() -> str:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


SMALL_KEY = """-----BEGIN PUBLIC KEY-----
MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBALRiMLAHudeSA2aiCyGqW+lD0o3mSHZk
nQ/LuvvJ4EyxkKsKpNXIsuFNJp8bIGkCmZB6NzQCjFtGPaRj2Lu4XmECAwEAAQ==
-----END PUBLIC KEY-----
"""


@pytest.mark.parametrize(
    ("pem", "reason"),
    [
        ("", "Malformed"),
        ("junk", "Malformed"),
        ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "Malformed"),
        (PUBLIC_KEY + "A" * 10_000, "Malformed"),
        ("é\ud800", "Malformed"),
        (KEY.as_pem(private=True).decode(), "Private key"),
        (elliptic(), "Wrong kind of key"),
        (SMALL_KEY, "Wrong kind of key"),
    ],
)
def test_what_is_no_rsa_public_key_is_refused(pem: str, reason: str) -> None:
    with pytest.raises(InvalidParameterError) as caught:
        read_public_key(pem)
    assert caught.value.details == {"parameter": "publicKey", "reason": reason}
