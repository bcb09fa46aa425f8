"""What the first start of a server makes: its administrator."""

from codepush.domain.errors import CodePushError
from codepush.domain.events import NOBODY
from codepush.domain.ids import new_id
from codepush.services.accounts import NewUser
from codepush.services.container import Services

ORGANIZATION = "main"
"""Where the first administrator's apps belong; colleagues join it by name."""


def first_administrator(services: Services, email: str) -> NewUser | None:
    """Return the administrator with a token to show, until ``note_welcome`` says it was shown.

    A start may be killed between making the administrator and printing the token, which is kept
    nowhere; the next start then makes them another one. Two servers that start at once on one store
    make one administrator: the e-mail address is claimed.

    Returns:
        None where somebody was welcomed before, or another start is making the administrator.
    """
    if services.stores.users.was_welcomed():
        return None
    found = services.stores.users.find(email)
    try:
        if found is None:
            return services.accounts.create_user(
                email, name="Administrator", organization=ORGANIZATION, is_administrator=True
            )
        home = services.stores.organizations.get(found.organization_id)
        if home is None or not found.is_administrator:
            return None
        token, _ = services.tokens.issue(
            found, home.id, name=f"First access key {new_id()}", created_by="codepush", by=NOBODY
        )
        return NewUser(found, home, token)
    except CodePushError:
        return None


def note_welcome(services: Services) -> None:
    """Note that the administrator's token was shown."""
    services.stores.users.note_welcome()
