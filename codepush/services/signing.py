"""Whether a package is signed as its app wants it."""

from codepush.archive.signatures import (
    DEVICES_LOOK_IN,
    NOT_SIGNED,
    read_public_key,
    verify_signature,
)
from codepush.domain.errors import InvalidParameterError
from codepush.domain.models import App, Signing
from codepush.services.packages import Package

_REACT_NATIVE = "react-native"


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


def check_signature(package: Package, app: App) -> tuple[str, ...]:
    """Return warnings about a package's signature.

    Raises:
        InvalidParameterError: The app requires a signature, and this is not a true one.
    """
    signing = app.signing
    if not signing.public_key:
        return ()
    platform = (app.platform or "").casefold()
    try:
        path = verify_signature(
            package.inspection, signing.public_key, anywhere=platform != _REACT_NATIVE
        )
    except InvalidParameterError as exc:
        if signing.is_required:
            raise
        # Apps that were built before the key was registered take packages without a signature.
        return () if exc.details.get("reason") == NOT_SIGNED else (str(exc),)
    if platform or path == DEVICES_LOOK_IN:
        return ()
    warning = (
        f"The signature is in {path}. If this is a React Native app, its devices would not find it"
        f" there: they look in {DEVICES_LOOK_IN} only."
    )
    return (warning,)
