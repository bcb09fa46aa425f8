"""Whether a package is signed as its app wants it."""

from codepush.archive.signatures import NOT_SIGNED, read_public_key, verify_signature
from codepush.domain.errors import InvalidParameterError
from codepush.domain.models import Signing
from codepush.services.packages import Package


def changed_signing(signing: Signing, public_key: str | None, is_required: bool | None) -> Signing:
    """Return how an app's packages are signed from now on; None leaves a part as it is.

    Raises:
        InvalidParameterError: The key is none, or signatures are required without one.
    """
    key = signing.public_key if public_key is None else public_key
    required = signing.is_required if is_required is None else is_required
    if public_key:
        key = read_public_key(public_key)
    if required and not key:
        raise InvalidParameterError(
            "Signatures can be required only where a public key to verify them with is registered."
            " Send publicKey too, or requireSignatures as false.",
            parameter="requireSignatures",
            reason="No public key",
        )
    return Signing(key, required)


def check_signature(package: Package, signing: Signing) -> tuple[str, ...]:
    """Return warnings about a package's signature.

    Raises:
        InvalidParameterError: A signature is required, and this is not a true one.
    """
    if not signing.public_key:
        return ()
    try:
        verify_signature(package.inspection, signing.public_key)
    except InvalidParameterError as exc:
        if signing.is_required:
            raise
        # Apps that were built before the key was registered take packages without a signature.
        return () if exc.details.get("reason") == NOT_SIGNED else (str(exc),)
    return ()
