"""``codepush storage``: where packages are kept, for operators."""

import os
import sys
from collections.abc import Sequence
from threading import Lock

import click

from codepush.commands.session import open_services
from codepush.plugins import open_storage
from codepush.services.storage_copy import Outcome, StorageCopy
from codepush.settings import SettingsError, load_settings

_SHOWN = 20
_INTERRUPTED = 130
"""What shells report for a command that Ctrl-C ended."""


@click.group()
def storage() -> None:
    """Look after the packages on disk or in the cloud."""


@storage.command("copy")
@click.argument("source_url", metavar="FROM")
@click.argument("target_url", metavar="TO")
@click.option(
    "--jobs",
    type=click.IntRange(1, 32),
    default=4,
    show_default=True,
    help="Packages to copy at once.",
)
def copy_packages(source_url: str, target_url: str, jobs: int) -> None:
    """Copy all packages from the storage FROM to the storage TO.

    Both are URLs as in STORAGE_URL. Packages that TO has already are left alone, so an interrupted
    copy goes on where it was when it is run again. Every package is checked against its SHA-256 on
    the way.

    Exit codes: 0, everything is at TO; 1, some packages are damaged or did not arrive; 2, a storage
    failed, a URL is wrong or FROM has no packages; 130, interrupted.
    """
    secrets = load_settings().storage_secrets
    source = open_storage(source_url, secrets, name="FROM")
    target = open_storage(target_url, secrets, name="TO")
    copy = StorageCopy(source, target)
    try:
        plan = copy.plan()
        if not plan.missing and not plan.present:
            raise SettingsError(
                "FROM has no packages, so nothing was copied; check that it names the storage that"
                " the server uses, with the whole folder."
            )
        lock = Lock()
        label = f"Copying {_packages(len(plan.missing))}, {plan.size / 1_000_000:.1f} MB"
        with click.progressbar(length=plan.size, label=label, file=sys.stderr) as progress:

            def on_bytes(count: int) -> None:
                with lock:
                    progress.update(count)

            outcome = copy.run(plan, on_bytes, jobs=jobs)
        absent = copy.absent(plan, outcome)
    except KeyboardInterrupt:
        click.echo("\nInterrupted. Run the same command again to go on.", err=True)
        sys.stderr.flush()
        # Not sys.exit: after a second Ctrl-C, that would wait for requests under way.
        os._exit(_INTERRUPTED)
    click.echo(_summary(outcome, plan.present))
    _list("is damaged in FROM and was not copied", outcome.damaged)
    _list("did not arrive at TO; run the command again", absent)
    if outcome.damaged or absent:
        sys.exit(1)


@storage.command("gc")
def collect() -> None:
    """Delete packages that no release needs any more.

    A package goes when it was without use for BLOB_GRACE_DAYS, counted from the first time that
    this command, or the worker every night, saw it so. Two servers must not share one storage: each
    would delete the other's packages.
    """
    with open_services() as services:
        outcome = services.collection.run()
    told = f"{_packages(outcome.deleted)} deleted ({outcome.size / 1_000_000:.1f} MB)"
    click.echo(f"{told}, {outcome.waiting} without use wait for their grace period.")


def _summary(outcome: Outcome, present: int) -> str:
    told = f"{_packages(outcome.copied)} copied ({outcome.size / 1_000_000:.1f} MB)"
    told += f", {present} already there"
    if outcome.gone:
        told += f", {len(outcome.gone)} deleted meanwhile"
    return f"{told}."


def _list(what: str, keys: Sequence[str]) -> None:
    for key in keys[:_SHOWN]:
        click.echo(f"The package {key} {what}.", err=True)
    if len(keys) > _SHOWN:
        click.echo(f"And {len(keys) - _SHOWN} more.", err=True)


def _packages(count: int) -> str:
    return f"{count} package" if count == 1 else f"{count} packages"
