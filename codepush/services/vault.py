"""Secrets at rest: encrypted under SECRET_KEY."""

import base64

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from codepush.domain.errors import NotConfiguredError

_PURPOSE = b"codepush: secrets at rest"


class LockedError(Exception):
    """A secret cannot be read: it was encrypted under a key that is not there any more."""


class Vault:
    """Encrypts under the first key, decrypts under any."""

    def __init__(self, keys: tuple[str, ...]):
        """Derive what encrypts from ``keys``, newest first; there may be none."""
        self._fernets = [Fernet(_derive(key)) for key in keys]

    def encrypt(self, text: str) -> str:
        """Return a text in the form in which it is kept.

        Raises:
            NotConfiguredError: The operator has set no key.
        """
        if not self._fernets:
            raise NotConfiguredError(
                "This server keeps no secrets yet, so it can have no webhooks. Its operator must"
                " set SECRET_KEY to at least 32 random characters, the same for the web server and"
                " the workers."
            )
        return self._fernets[0].encrypt(text.encode()).decode()

    def decrypt(self, kept: str) -> str:
        """Return the text that was encrypted.

        Raises:
            LockedError: None of the keys fits.
        """
        try:
            return MultiFernet(self._fernets).decrypt(kept).decode() if self._fernets else _lock()
        except (InvalidToken, ValueError):  # the latter where it is no text that a vault wrote
            return _lock()

    def renewed(self, kept: str) -> str:
        """Return a kept text encrypted under the newest key, the same if it is so already.

        Raises:
            LockedError: None of the keys fits.
        """
        try:
            self._fernets[0].decrypt(kept)
        except (IndexError, InvalidToken, ValueError):
            return self.encrypt(self.decrypt(kept))
        return kept


def _lock() -> str:
    raise LockedError(
        "It was encrypted under another SECRET_KEY than the server has now. Put the old one behind"
        " the new one, or set the url again and rotate the secret."
    )


def _derive(key: str) -> bytes:
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=_PURPOSE).derive(key.encode())
    return base64.urlsafe_b64encode(derived)
