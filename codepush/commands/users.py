"""``codepush user`` and ``codepush token``: accounts, for operators.

Standard output holds the answer alone, so that scripts can read it; all else goes to standard
error.
"""

import json
import sys
from datetime import UTC, datetime, timedelta

import click

from codepush.commands.session import open_services
from codepush.domain.events import NOBODY
from codepush.services.accounts import MIN_PASSWORD


@click.group()
def user() -> None:
    """Make and list the people who use this server."""


@user.command("create")
@click.option("--email", required=True, help="E-mail address; unique on the server.")
@click.option("--name", default="", help="Name to show; from the address if left out.")
@click.option(
    "--organization",
    default="",
    help="Organization to join as Developer, or to make, as its Owner. Left out: a personal one.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def create_user(email: str, name: str, organization: str, *, as_json: bool) -> None:
    """Make a user, and show their first access token: once, here."""
    with open_services(makes=True) as services:
        made = services.accounts.create_user(email, name=name, organization=organization)
    if as_json:
        answer = {
            "email": made.user.email,
            "organization": made.organization.name,
            "accessToken": made.token,
        }
        click.echo(json.dumps(answer, ensure_ascii=False))
        return
    click.echo(f"{made.user.email} is a member of the organization {made.organization.name}.")
    click.echo(f"Access token, shown only now: {made.token}")


@user.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
def list_users(*, as_json: bool) -> None:
    """List all users with their organizations."""
    with open_services() as services:
        found = services.accounts.list_users()
    rows = [
        {
            "email": each.email,
            "name": each.name,
            "organization": organization.name if organization else None,
            "administrator": each.is_administrator,
            "created": _iso(each.created_at_ms),
        }
        for each, organization in found
    ]
    if as_json:
        click.echo(json.dumps(rows, ensure_ascii=False))
        return
    for row in rows:
        cells = [row["email"], row["organization"] or "-", row["created"]]
        cells += ["administrator"] if row["administrator"] else []
        click.echo("\t".join(str(cell) for cell in cells))


@user.command("set-password")
@click.option("--email", required=True, help="Whose password.")
@click.option(
    "--password-stdin",
    "from_stdin",
    is_flag=True,
    help="Read the password from standard input instead of asking for it.",
)
def set_password(email: str, *, from_stdin: bool) -> None:
    """Give a user a password, for logging in by browser."""
    if from_stdin:
        password = sys.stdin.readline().rstrip("\n")
    else:
        password = click.prompt(
            f"Password (at least {MIN_PASSWORD} characters)",
            hide_input=True,
            confirmation_prompt=True,
            err=True,
        )
    with open_services() as services:
        services.accounts.change(services.accounts.find_user(email), NOBODY, password=password)
    click.echo(f"The password of {email} is set.", err=True)


@click.group()
def token() -> None:
    """Make access tokens for users."""


@token.command("create")
@click.option("--email", required=True, help="Whose token.")
@click.option("--name", default="", help="Name of the token; one is made up if left out.")
@click.option(
    "--ttl-days",
    type=click.IntRange(1, 36_500),
    help="Days it lives; TOKEN_TTL_DAYS if left out.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def create_token(email: str, name: str, ttl_days: int | None, *, as_json: bool) -> None:
    """Make an access token, and show it: once, here."""
    lifetime = timedelta(days=ttl_days) if ttl_days else None
    with open_services() as services:
        owner = services.accounts.find_user(email)
        secret, made = services.tokens.issue(
            owner,
            owner.organization_id,
            name=name or f"Made by the operator {datetime.now(UTC):%Y-%m-%d %H:%M:%S.%f}",
            created_by="codepush",
            lifetime=lifetime,
            by=NOBODY,
        )
    if as_json:
        answer = {
            "accessToken": secret,
            "friendlyName": made.name,
            "expires": _iso(made.expires_at_ms),
        }
        click.echo(json.dumps(answer, ensure_ascii=False))
        return
    click.echo(secret)


def _iso(time_ms: int) -> str:
    moment = datetime.fromtimestamp(time_ms / 1_000, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
