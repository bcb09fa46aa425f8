"""``codepush backup``, ``restore``, ``verify`` and ``migrate``: all data at once, for operators."""

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from codepush.commands.session import open_session
from codepush.domain.storage import BlobStorage
from codepush.server.start import check_layout
from codepush.services.backups.backup import make_backup
from codepush.services.backups.format import Head
from codepush.services.backups.locked import count_locked
from codepush.services.backups.reading import BackupFile, BackupFileError
from codepush.services.backups.restore import check_target, restore, restore_blobs
from codepush.services.backups.verification import Verification
from codepush.services.clock import system_clock
from codepush.store import layout

if TYPE_CHECKING:
    from click._termui_impl import ProgressBar

_SHOWN = 50


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--blobs", is_flag=True, help="Include the packages, not only their names.")
def backup(file: Path, *, blobs: bool) -> None:
    """Write all data to FILE, which must not exist yet, while the server may work.

    FILE is private to you: it holds hashes of passwords and of tokens.

    Exit codes: 0, all is well; 1, the backup was made, but something in the data is not sound; 2,
    it was not made.
    """
    with open_session() as session, _Bar("Reading records") as one, _Bar("Packages") as two:
        made = make_backup(
            session.client,
            session.storage,
            system_clock,
            file,
            with_blobs=blobs,
            on_group=one.tell,
            on_blob=two.tell,
        )
    click.echo(
        f"{file} holds everything, and"
        f" {'' if blobs else 'the names of '}{made.blobs} package files."
    )
    click.echo(
        "Not in it: the settings of the server, and the key that encrypts webhooks, without which a"
        f" copy can call none. Keep that key apart from the backup; it is {session.key_place}."
    )
    click.echo(f"SHA-256 of its contents: {made.sha256}")
    faults = [need.what for need in made.faults]
    faults += [f"The package {key} was deleted meanwhile." for key in made.gone]
    faults += [f"The package {key} is damaged, also in the backup." for key in made.damaged]
    _complain(faults)


@click.command("restore")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--sha256", default="", help="Refuse FILE unless backup printed this for it.")
@click.option(
    "--blobs-only",
    is_flag=True,
    help="Put back packages that the storage lacks or has damaged, and touch no record.",
)
def restore_backup(file: Path, *, sha256: str, blobs_only: bool) -> None:
    """Restore FILE into an empty store, with no server running on it.

    With --blobs-only the store may be in use, and so may the server.

    The whole file is checked before anything is written. A restore that was interrupted is begun
    again by the same command; until it has finished, no server starts on the store.

    Exit codes: 0, all is there; 1, packages are missing, or webhooks cannot be called with the
    SECRET_KEY that is set here; 2, nothing was restored.
    """
    source = BackupFile(file)
    with open_session(any_layout=True, makes=not blobs_only) as session:
        with click.progressbar(length=source.size, label="Checking", file=sys.stderr) as progress:
            head = source.check(progress.update)
        if sha256 and sha256.lower() != head.sha256:
            raise BackupFileError(f"{file} is another backup: its SHA-256 is {head.sha256}.")
        if blobs_only:
            _put_back(session.storage, source, head)
            return
        check_target(session.client, head)
        with click.progressbar(length=source.size, label="Restoring", file=sys.stderr) as progress:
            done = restore(session.client, session.storage, source, head, progress.update)
        layout.migrate(session.client, lambda _version: None)
        locked = count_locked(session.client, session.vault)
    click.echo(f"{done.keys} keys restored, {done.put} package files put into the storage.")
    faults = [f"The package {key} is missing in the storage." for key in done.missing]
    if locked:
        faults.append(
            f"{locked} webhooks cannot be called: they were encrypted under another SECRET_KEY than"
            " is set here. Set it to that of the server that was backed up, which is in its setting"
            " SECRET_KEY or else in the file secret-key of its DATA_DIR, before you start this one;"
            " codepush verify tells whether it fits."
        )
    _complain(faults)


def _put_back(storage: BlobStorage, source: BackupFile, head: Head) -> None:
    if not head.includes_blobs:
        raise BackupFileError(
            "This backup has no packages in it: it was made without --blobs, or there were none."
        )
    with click.progressbar(length=source.size, label="Packages", file=sys.stderr) as progress:
        put = restore_blobs(storage, source, progress.update)
    click.echo(f"{put} package files put into the storage.")


@click.command()
def verify() -> None:
    """Look at every record, index and package, and say what is not sound; changes nothing.

    Exit codes: 0, all is sound; 1, something is not.
    """
    with open_session() as session, _Bar("Reading records") as one, _Bar("Packages") as two:
        looking = Verification(session.client, session.storage, system_clock, session.vault)
        findings = looking.run(one.tell, two.tell)
    click.echo(f"{looking.releases} releases with {looking.blobs} package files.")
    if looking.untried_diffs:
        click.echo(
            f"{looking.untried_diffs} diffs could not be tried, because nobody knows any more what"
            " was in the packages that they are put onto."
        )
    _complain([f"{each.what} {each.remedy}" for each in findings])
    click.echo("Everything is sound.")


@click.command()
def migrate() -> None:
    """Move the data up to the layout of this server; harmless where that is done.

    Stop servers of older versions first, unless the changelog says that they go on working.
    """
    with open_session(any_layout=True) as session:
        if layout.look(session.client) is layout.State.OLDER:
            layout.migrate(
                session.client, lambda version: click.echo(f"The data has layout {version} now.")
            )
        check_layout(session.client)
    click.echo(f"The data has layout {layout.VERSION}, which this server needs.")


class _Bar:
    """A progress bar that learns how long it is when it is first told."""

    def __init__(self, label: str):
        self._label = label
        self._close = ExitStack()
        self._shown: ProgressBar[int] | None = None

    def __enter__(self) -> "_Bar":
        return self

    def __exit__(self, *failure: object) -> None:
        self._close.close()

    def tell(self, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` are done."""
        if self._shown is None:
            shown = click.progressbar(length=total, label=self._label, file=sys.stderr)
            self._shown = self._close.enter_context(shown)
        self._shown.update(done - self._shown.pos)


def _complain(faults: Sequence[str]) -> None:
    """Print what is wrong and exit with 1, if anything is."""
    for fault in faults[:_SHOWN]:
        click.echo(fault, err=True)
    if len(faults) > _SHOWN:
        click.echo(f"And {len(faults) - _SHOWN} more.", err=True)
    if faults:
        sys.exit(1)
