"""``codepush audit``: checks the audit logs, for operators."""

import sys

import click

from codepush.commands.session import open_services
from codepush.domain.errors import ConflictError, NotFoundError
from codepush.store.damage import UnreadableError


@click.group()
def audit() -> None:
    """Look after the audit logs of organizations."""


@audit.command("verify")
@click.option(
    "--organization",
    "reference",
    default="",
    help="Name or id; of a personal one, its user's e-mail address. Left out: all.",
)
def verify(reference: str) -> None:
    """Check that no entry was changed, added or taken away since it was logged.

    Prints each organization with the number and the hash of its newest entry. Keep these elsewhere:
    whoever can write to the store could make the whole chain anew, but not with that hash.
    """
    broken = 0
    with open_services() as services:
        found = [each for each, _ in services.organizations.list_all()]
        if reference:
            wanted = services.organizations.find(reference)
            found = [each for each in found if each.id == wanted.id]
            if not found:
                raise NotFoundError(f'Organization "{reference}" has no members.')
        for organization in found:
            try:
                chain = services.audit.verify(organization.id)
            except (ConflictError, UnreadableError) as exc:
                broken += 1
                click.echo(f"{organization.name}\t{exc}", err=True)
            else:
                newest = f"newest {chain.sequence} {chain.hash}" if chain.sequence else "empty"
                click.echo(f"{organization.name}\t{chain.length} entries\t{newest}")
    if broken:
        sys.exit(1)
