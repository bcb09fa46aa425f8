"""Organizations and who belongs to them."""

from codepush.domain.ids import OrganizationId, UserId
from codepush.domain.models import Organization
from codepush.domain.names import fold
from codepush.domain.permissions import Role
from codepush.store import keys
from codepush.store.claims import Claim, Claims, too_late
from codepush.store.connection import StoreClient
from codepush.store.scripts import Scripts

_NAME_FIELD = "organization"


class OrganizationStore:
    """Organizations by id and by name."""

    def __init__(self, client: StoreClient, scripts: Scripts, claims: Claims):
        """Use ``client`` for plain commands, ``scripts`` and ``claims`` for the rest."""
        self._client = client
        self._scripts = scripts
        self._claims = claims

    def claim_name(self, name: str, organization_id: OrganizationId) -> Claim | None:
        """Hold a name for an organization to come; None where it is taken."""

        def bears(holder: str) -> bool:
            held = self.get(OrganizationId(holder))
            return held is not None and fold(held.name) == fold(name)

        return self._claims.take(
            keys.organization_name(fold(name)), _NAME_FIELD, organization_id, bears=bears
        )

    def create(self, organization: Organization, owner: UserId, deadline_ms: int) -> None:
        """Commit an organization with its first owner.

        Args:
            organization: The record.
            owner: Its owner; that user need not exist yet.
            deadline_ms: Server time after which the claim that this rests on is too old.

        Raises:
            StoreUnavailableError: It is too late.
        """
        fields = [
            *("name", organization.name),
            *("is_personal", str(int(organization.is_personal))),
            *("created_at_ms", str(organization.created_at_ms)),
        ]
        reply = self._scripts.run(
            "create_record",
            [keys.organization(organization.id), keys.members(organization.id)],
            [deadline_ms, len(fields), *fields, "HSET", 2, owner, Role.OWNER.value],
        )
        if reply != 1:
            raise too_late("organization")

    def get(self, organization_id: OrganizationId) -> Organization | None:
        """Return an organization."""
        record = self._client.hgetall(keys.organization(organization_id))
        if not record:
            return None
        return Organization(
            id=organization_id,
            name=record["name"],
            is_personal=record["is_personal"] == "1",
            created_at_ms=int(record["created_at_ms"]),
        )

    def find(self, name: str) -> Organization | None:
        """Return the organization of this name, whatever its case; never a personal one."""
        holder = self._claims.holder(keys.organization_name(fold(name)), _NAME_FIELD)
        held = self.get(OrganizationId(holder)) if holder else None
        return held if held and fold(held.name) == fold(name) else None

    def members(self, organization_id: OrganizationId) -> dict[UserId, Role]:
        """Return the role of each member. Some may be users who never came to be."""
        held = self._client.hgetall(keys.members(organization_id))
        return {UserId(user_id): Role(role) for user_id, role in held.items()}

    def role(self, organization_id: OrganizationId, user_id: UserId) -> Role | None:
        """Return a user's role, or None for a user who is no member."""
        held = self._client.hget(keys.members(organization_id), user_id)
        return Role(held) if held is not None else None

    def set_role(self, organization_id: OrganizationId, user_id: UserId, role: Role) -> None:
        """Make a user a member, or give a member another role."""
        self._client.hset(keys.members(organization_id), user_id, role.value)
