"""What ``codepush serve`` says when it is ready; at a first start, who may use it and how."""

import logging
import os
import shlex
import sys
import tempfile
from pathlib import Path

import click

from codepush.server.errors import ServerError
from codepush.services.accounts import NewUser
from codepush.settings import Settings

log = logging.getLogger("codepush.server")

FILE = "admin-token"
"""In ``DATA_DIR``: the first administrator's token, where nobody looks on as it is made."""

_FIRST_STEPS = """
This is its first start, so it made an administrator. {where}:

  {email}  {shown}

Next, with the code-push command line (npm install -g code-push-cli@2.1.9):

  code-push login --accessKey {typed} {url}
  code-push app add MyApp android react-native
  code-push release MyApp ./path/to/bundle-folder 1.0.0
"""


def welcome(settings: Settings, administrator: NewUser | None) -> None:
    """Say where the server is; and at a first start, what to do next.

    The token is shown on a terminal only. What is written anywhere else is kept, and read by many:
    a journal, or a collector of logs.

    Raises:
        ServerError: The token cannot be written to its file.
    """
    click.echo(f"CodePush server is ready at {settings.local_url}")
    if administrator:
        _introduce(settings, administrator)
    click.echo("Press Ctrl-C to stop it.")


def _introduce(settings: Settings, made: NewUser) -> None:
    email, url = made.user.email, settings.local_url
    shown = typed = str(made.token)
    if sys.stdout.isatty():
        where = "Their access token is shown only now"
    else:
        shown = str(_keep(settings.data_dir.resolve(), made.token))
        typed = f'"$(cat {shlex.quote(shown)})"'
        where = "Their access token is in a file for you only; delete it when you have used it"
        if settings.log_format == "json":
            log.warning(
                "first start: the access token of the administrator %s is in the file %s, which"
                " only this user may read; delete it when you have used it",
                email,
                shown,
            )
            return
    click.echo(_FIRST_STEPS.format(where=where, email=email, shown=shown, typed=typed, url=url))


def _keep(data_dir: Path, token: str) -> Path:
    """Write a token to its file, whole or not at all; return the path."""
    path = data_dir / FILE
    try:
        descriptor, name = tempfile.mkstemp(dir=data_dir, prefix=f"{FILE}.")  # with mode 0600
        with open(descriptor, "w", encoding="ascii") as file:  # noqa: PTH123 - a descriptor
            file.write(f"{token}\n")
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except OSError as exc:
        raise ServerError(
            f"The first administrator's access token cannot be written to {path} ({exc.strerror})."
            " Mend that, and start again: another one is made."
        ) from exc
    return path
