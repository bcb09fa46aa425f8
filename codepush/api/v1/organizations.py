"""Organizations, and what happened in them."""

from typing import Any

from codepush.api.v1.blueprint import SeedBlueprint
from codepush.api.v1.schemas.organizations import (
    AuditListSchema,
    OrganizationAnswerSchema,
    OrganizationCreateSchema,
    OrganizationListSchema,
    OrganizationPatchSchema,
)
from codepush.domain.names import fold
from codepush.domain.permissions import Role
from codepush.web.auth import principal
from codepush.web.context import services
from codepush.web.paging import Page, bad_cursor

blueprint = SeedBlueprint("organizations", "What apps belong to.")
_ONE = "/organizations/<organization>"
_TO_ORGANIZATION = {"organization": "$response.body#/organization/id"}


@blueprint.serves("GET", "/organizations", OrganizationListSchema, is_paged=True)
def list_organizations(page: Page) -> dict[str, Any]:
    """List the organizations that you belong to, with your role in each."""
    found = services().organizations.list_for(principal())
    return page.cut("organizations", found, lambda held: (fold(held[0].name), held[0].id))


@blueprint.serves(
    "POST",
    "/organizations",
    OrganizationAnswerSchema,
    status=201,
    body=OrganizationCreateSchema,
    errors=(409,),
    links={
        "get": ("getOrganization", _TO_ORGANIZATION),
        "listMembers": ("listMembers", _TO_ORGANIZATION),
    },
)
def create_organization(body: dict[str, Any]) -> dict[str, Any]:
    """Make an organization, with you as its Owner.

    The token that you use stays with its own organization: make one for the new one.
    """
    made = services().organizations.create(principal(), body["name"])
    return {"organization": (made, Role.OWNER)}


@blueprint.serves("GET", _ONE, OrganizationAnswerSchema)
def get_organization(organization: str) -> dict[str, Any]:
    """Get an organization that you belong to."""
    return {"organization": services().organizations.get(principal(), organization)}


@blueprint.serves(
    "PATCH", _ONE, OrganizationAnswerSchema, body=OrganizationPatchSchema, errors=(409,)
)
def update_organization(body: dict[str, Any], organization: str) -> dict[str, Any]:
    """Rename an organization. Needs the role Owner or Admin."""
    found, role = services().organizations.get(principal(), organization)
    if "name" in body:
        found = services().organizations.rename(principal(), organization, body["name"])
    return {"organization": (found, role)}


@blueprint.serves("GET", f"{_ONE}/audit", AuditListSchema, is_paged=True)
def list_audit_entries(page: Page, organization: str) -> dict[str, Any]:
    """List what happened in an organization, newest first. Needs the role Owner or Admin."""
    match page.position("entries"):
        case None:
            before = None
        case (int(before),) if before > 0:
            pass
        case _:
            raise bad_cursor()
    found = services().organizations.audit(
        principal(), organization, before=before, count=page.limit + 1
    )
    return page.answer("entries", found, lambda entry: (entry.sequence,))
