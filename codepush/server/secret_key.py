"""The key that encrypts secrets, where the operator has not set SECRET_KEY: made once, and kept."""

import os
import secrets
import tempfile
from pathlib import Path

from codepush.server.errors import ServerError
from codepush.settings import MIN_SECRET_KEY, Settings

FILE = "secret-key"
_BYTES = 48


def own_secret_key(data_dir: Path) -> str:
    """Return the key in a data folder, which is made if it is not there.

    Whoever makes it writes it whole to the disk before it gets its name, so that a crash leaves no
    half of one, and nobody encrypts under a key that is lost.

    Raises:
        ServerError: It cannot be read or written, or is no key.
    """
    path = data_dir / FILE
    try:
        if not path.exists():
            _make(path)
        key = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise ServerError(f"The key in {path} cannot be read or made: {exc}.") from exc
    if len(key) < MIN_SECRET_KEY or "," in key:
        raise ServerError(
            f"{path} does not hold a key. Bring it back from a backup; if there is none, remove it,"
            " and rotate the secrets of all webhooks."
        )
    return key


def keys_at_hand(settings: Settings) -> tuple[str, ...]:
    """Return the keys that a server with these settings has, newest first; makes none.

    Raises:
        ServerError: The key in the data folder cannot be read.
    """
    if settings.secret_keys or not settings.embedded_store:
        return settings.secret_keys
    is_made = (settings.data_dir / FILE).exists()
    return (own_secret_key(settings.data_dir),) if is_made else ()


def _make(path: Path) -> None:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f"{FILE}.")  # with mode 0600
    try:
        with open(descriptor, "w", encoding="ascii") as file:  # noqa: PTH123 - a descriptor
            file.write(f"{secrets.token_urlsafe(_BYTES)}\n")
            file.flush()
            os.fsync(file.fileno())
        # Unlike a rename, it fails where somebody else was first.
        os.link(name, path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except FileExistsError:
        pass
    finally:
        Path(name).unlink()
