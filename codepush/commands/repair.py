"""``codepush repair``: makes up for jobs that were lost."""

import click

from codepush.commands.session import open_services


@click.command()
def repair() -> None:
    """Enqueue jobs for releases without a smaller package or diffs.

    The worker does so every night. Needed at once only after the queue was lost.
    """
    with open_services() as services:
        count = services.repair.run()
    click.echo(f"{count} {'job' if count == 1 else 'jobs'} enqueued.")
