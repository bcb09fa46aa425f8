"""``codepush repair``: makes up for what was lost."""

import click

from codepush.commands.session import open_services, open_session
from codepush.services.backups.mending import mend
from codepush.services.clock import system_clock


@click.command()
def repair() -> None:
    """Enter records where indexes and names lack them, and enqueue jobs that were lost.

    Jobs are those for releases without a smaller package or diffs. The worker looks for these every
    night; all of this is needed at once only after data or the queue was lost.
    """
    with open_session() as session:
        mend(session.client, system_clock, on_mended=lambda what: click.echo(f"Mended: {what}"))
    with open_services() as services:
        count = services.repair.run()
    click.echo(f"{count} {'job' if count == 1 else 'jobs'} enqueued.")
