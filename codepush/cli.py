"""The ``codepush`` command; its subcommands are in ``codepush/commands/``."""

import faulthandler
import os
import sys
import traceback

import click

from codepush.commands.audit import audit
from codepush.commands.backups import backup, migrate, restore_backup, verify
from codepush.commands.organizations import organization
from codepush.commands.repair import repair
from codepush.commands.serve import serve, worker
from codepush.commands.storage import storage
from codepush.commands.users import token, user
from codepush.domain.errors import CodePushError
from codepush.server.errors import ServerError
from codepush.settings import SettingsError
from codepush.store import written
from codepush.store.connection import STORE_ERRORS, cause, is_full
from codepush.store.damage import UnreadableError

_INTERRUPTED, _UNREAD, _MISTAKE = 130, 141, 70
"""Exit codes, as shells and sysexits.h have them."""


@click.group()
@click.version_option(package_name="codepush-server", prog_name="codepush")
def codepush() -> None:
    """Run and look after a CodePush server."""


codepush.add_command(serve)
codepush.add_command(worker)
codepush.add_command(user)
codepush.add_command(token)
codepush.add_command(organization)
codepush.add_command(storage)
codepush.add_command(repair)
codepush.add_command(audit)
codepush.add_command(backup)
codepush.add_command(restore_backup)
codepush.add_command(verify)
codepush.add_command(migrate)


def main() -> None:
    """Run the command line; what an operator can mend is one sentence on standard error."""
    faulthandler.enable()  # a crash of a server or worker tells where it was
    try:
        done = codepush(standalone_mode=False)
        sys.exit(done if isinstance(done, int) else 0)
    except click.ClickException as exc:
        exc.show()
        sys.exit(exc.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("codepush: stopped before it was done.", err=True)
        sys.exit(_INTERRUPTED)
    except (SettingsError, ServerError, CodePushError, UnreadableError) as exc:
        click.echo(f"codepush: {exc}", err=True)
        sys.exit(2)
    except STORE_ERRORS as exc:
        click.echo(f"codepush: {_of_store(exc)}", err=True)
        sys.exit(2)
    except BrokenPipeError:  # whoever reads what is printed has enough of it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(_UNREAD)
    except Exception:  # noqa: BLE001 - never 1, by which commands say that they are done
        traceback.print_exc()
        click.echo("codepush: this is a mistake in codepush itself. Please report it.", err=True)
        sys.exit(_MISTAKE)


def _of_store(exc: Exception) -> str:
    """Return what an operator is told of a store that failed in the middle of a command."""
    if is_full(exc):
        full = written.FULL_MIDWAY if written.anything() else written.FULL
        return f"{full} Give it more memory (maxmemory), or delete what nobody needs."
    return f"the store failed ({cause(exc)}); nothing more was done."
