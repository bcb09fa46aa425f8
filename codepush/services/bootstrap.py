"""What the first start of a server makes: its administrator."""

from codepush.domain.errors import ConflictError
from codepush.services.accounts import NewUser
from codepush.services.container import Services

ORGANIZATION = "main"
"""Where the first administrator's apps belong; colleagues join it by name."""


def make_first_administrator(services: Services, email: str) -> NewUser | None:
    """Make an administrator if the server has no users yet.

    Two servers that start at once on one store make one: the e-mail address is claimed.

    Returns:
        The administrator with a token that is shown only now, or None where there are users.
    """
    if services.accounts.list_users():
        return None
    try:
        return services.accounts.create_user(
            email, name="Administrator", organization=ORGANIZATION, is_administrator=True
        )
    except ConflictError:
        return None
