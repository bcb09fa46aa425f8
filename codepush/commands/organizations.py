"""``codepush organization``: what operators set for tenants."""

import json

import click

from codepush.commands.session import open_services
from codepush.settings import MAX_QUOTA


@click.group()
def organization() -> None:
    """List organizations and set their quotas."""


@organization.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
def list_organizations(*, as_json: bool) -> None:
    """List all organizations with their members and quotas."""
    with open_services() as services:
        found = services.organizations.list_all()
    rows = [
        {
            "id": each.id,
            "name": each.name,
            "personal": each.is_personal,
            "members": members,
            "quotaPerHour": each.quota_per_hour,
        }
        for each, members in found
    ]
    if as_json:
        click.echo(json.dumps(rows, ensure_ascii=False))
        return
    for row in rows:
        cells = [row["name"], f"{row['members']} members", _quota(row["quotaPerHour"])]
        cells += ["personal"] if row["personal"] else []
        click.echo("\t".join(str(cell) for cell in cells))


@organization.command("set-quota")
@click.option(
    "--organization",
    "reference",
    required=True,
    help="Name or id; of a personal one, its user's e-mail address.",
)
@click.option(
    "--per-hour",
    type=click.IntRange(0, MAX_QUOTA),
    help="Requests an hour for each user whose token carries it; 0 for any number.",
)
@click.option("--default", "usual", is_flag=True, help="Go back to QUOTA_USER_PER_HOUR.")
def set_quota(reference: str, per_hour: int | None, *, usual: bool) -> None:
    """Give an organization's users a quota of their own, on all workers at once."""
    if usual == (per_hour is not None):
        raise click.UsageError("Say either --per-hour with a number, or --default.")
    with open_services() as services:
        changed = services.organizations.set_quota(reference, per_hour)
    click.echo(f"The quota of {changed.name} is {_quota(changed.quota_per_hour)}.", err=True)


def _quota(per_hour: object) -> str:
    if per_hour is None:
        return "the usual one"
    return f"{per_hour} an hour" if per_hour else "any number"
