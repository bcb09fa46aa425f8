"""The caller's account."""

from typing import Any

from codepush.api.v1.blueprint import SeedBlueprint
from codepush.api.v1.schemas.accounts import AccountAnswerSchema, AccountPatchSchema
from codepush.domain.models import User
from codepush.web.auth import principal
from codepush.web.context import services

blueprint = SeedBlueprint("account", "Your account.")


@blueprint.serves("GET", "/account", AccountAnswerSchema)
def get_account() -> dict[str, Any]:
    """Tell whose token this is."""
    return _answer(principal().user)


@blueprint.serves("PATCH", "/account", AccountAnswerSchema, body=AccountPatchSchema)
def update_account(body: dict[str, Any]) -> dict[str, Any]:
    """Change your display name or password."""
    return _answer(services().sessions.change_account(principal(), **body))


def _answer(user: User) -> dict[str, Any]:
    home = services().organizations.of(principal())
    return {
        "account": {
            "email": user.email,
            "name": user.name,
            "created_time": user.created_at_ms,
            "organization": home.name,
            "role": principal().role,
        }
    }
