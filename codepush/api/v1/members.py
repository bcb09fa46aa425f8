"""Members of an organization, and invitations to become one."""

from typing import Any

from codepush.api.v1.blueprint import SeedBlueprint
from codepush.api.v1.schemas.organizations import (
    AcceptSchema,
    InvitationListSchema,
    InviteSchema,
    MemberAnswerSchema,
    MemberListSchema,
    MemberPatchSchema,
    NewInvitationSchema,
    OrganizationAnswerSchema,
)
from codepush.web.auth import principal
from codepush.web.context import services
from codepush.web.paging import Page

blueprint = SeedBlueprint("members", "Who belongs to an organization, and who may come to.")
_MEMBERS = "/organizations/<organization>/members"
_INVITATIONS = "/organizations/<organization>/invitations"


@blueprint.serves("GET", _MEMBERS, MemberListSchema, is_paged=True)
def list_members(page: Page, organization: str) -> dict[str, Any]:
    """List an organization's members."""
    found = services().organizations.members(principal(), organization)
    return page.cut("members", found, lambda held: (held[0].email.casefold(),))


@blueprint.serves(
    "PATCH", f"{_MEMBERS}/<email>", MemberAnswerSchema, body=MemberPatchSchema, errors=(409,)
)
def update_member(body: dict[str, Any], organization: str, email: str) -> dict[str, Any]:
    """Give a member another role. Needs the role Owner or Admin.

    Only an Owner makes or unmakes Owners, and the last Owner stays.
    """
    changed = services().organizations.change_member(principal(), organization, email, body["role"])
    return {"member": changed}


@blueprint.deletes(f"{_MEMBERS}/<email>", errors=(409,))
def remove_member(organization: str, email: str) -> dict[str, Any]:
    """Take a member out of an organization.

    Needs the role Owner or Admin; but everyone may leave. The last Owner stays.
    """
    services().organizations.remove_member(principal(), organization, email)
    return {"deleted": True}


@blueprint.serves("GET", _INVITATIONS, InvitationListSchema, is_paged=True)
def list_invitations(page: Page, organization: str) -> dict[str, Any]:
    """List an organization's open invitations. Needs the role Owner or Admin."""
    found = services().invitations.list_open(principal(), organization)
    return page.cut("invitations", found, lambda each: (each.created_at_ms, each.id))


@blueprint.serves(
    "POST",
    _INVITATIONS,
    NewInvitationSchema,
    status=201,
    body=InviteSchema,
    errors=(409,),
    links={
        "takeBack": (
            "deleteInvitation",
            {
                "organization": "$request.path.organization",
                "invitationId": "$response.body#/invitation/id",
            },
        )
    },
)
def create_invitation(body: dict[str, Any], organization: str) -> dict[str, Any]:
    """Invite somebody to an organization. Needs the role Owner or Admin.

    Nothing is sent: hand them the `token`, with which they join within 7 days, once.
    """
    token, invitation = services().invitations.invite(
        principal(), organization, body["email"], body["role"]
    )
    return {"invitation": invitation, "token": token}


@blueprint.deletes(f"{_INVITATIONS}/<invitationId>")
def delete_invitation(organization: str, invitation_id: str) -> dict[str, Any]:
    """Take an invitation back. Needs the role Owner or Admin."""
    services().invitations.take_back(principal(), organization, invitation_id)
    return {"deleted": True}


@blueprint.serves(
    "POST", "/invitations/accept", OrganizationAnswerSchema, body=AcceptSchema, errors=(404, 409)
)
def accept_invitation(body: dict[str, Any]) -> dict[str, Any]:
    """Join an organization by an invitation, which is used up."""
    return {"organization": services().invitations.join(principal(), body["token"])}
