"""Organizations and who belongs to them."""

from collections.abc import Mapping

import orjson

from codepush.domain.errors import ConflictError, NotFoundError
from codepush.domain.events import Event, encode_event
from codepush.domain.ids import AppId, OrganizationId, TokenHash, UserId
from codepush.domain.models import Invitation, Organization
from codepush.domain.names import fold
from codepush.domain.permissions import Role
from codepush.store import keys, written
from codepush.store.claims import Claim, Claims, too_late
from codepush.store.connection import StoreClient
from codepush.store.damage import read
from codepush.store.scripts import Scripts

_NAME_FIELD = "organization"
_QUOTA = "quota_per_hour"


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

    def create(
        self,
        organization: Organization,
        owner: UserId,
        deadline_ms: int,
        *,
        event: Event | None = None,
    ) -> None:
        """Commit an organization with its first owner.

        Args:
            organization: The record.
            owner: Its owner; that user need not exist yet.
            deadline_ms: Server time after which the claim that this rests on is too old.
            event: Logged with it; None for a personal one, which comes with its user.

        Raises:
            StoreUnavailableError: It is too late.
        """
        fields = [
            *("name", organization.name),
            *("is_personal", str(int(organization.is_personal))),
            *("created_at_ms", str(organization.created_at_ms)),
        ]
        touched = [keys.organization(organization.id), keys.members(organization.id)]
        args: list[str | int] = [deadline_ms, len(fields), *fields]
        args += ["HSET", 2, owner, Role.OWNER.value]
        if event:
            touched.append(keys.organization_log(organization.id))
            args += ["XADD", 3, "*", "e", encode_event(event)]
        if self._scripts.run("create_record", touched, args) != 1:
            raise too_late("organization")

    def get(self, organization_id: OrganizationId) -> Organization | None:
        """Return an organization."""
        key = keys.organization(organization_id)
        record = self._client.hgetall(key)
        return read(key, decode_organization, organization_id, record) if record else None

    def find(self, name: str) -> Organization | None:
        """Return the organization of this name, whatever its case; never a personal one."""
        holder = self._claims.holder(keys.organization_name(fold(name)), _NAME_FIELD)
        held = self.get(OrganizationId(holder)) if holder else None
        return held if held and fold(held.name) == fold(name) else None

    def note_member(self, organization_id: OrganizationId, user_id: UserId) -> None:
        """Enter an organization in the index of those that a user joined."""
        with written.aside():
            self._client.sadd(keys.user_organizations(user_id), organization_id)

    def note_log(self, organization_id: OrganizationId, app_id: AppId) -> None:
        """Enter an app in the index of those whose logs may hold events of an organization."""
        with written.aside():
            self._scripts.run("note_log", [keys.organization_logs(organization_id)], [app_id])

    def members(self, organization_id: OrganizationId) -> dict[UserId, Role]:
        """Return the role of each member. Some may be users who never came to be."""
        key = keys.members(organization_id)
        held = self._client.hgetall(key)
        return {UserId(user_id): read(key, Role, role) for user_id, role in held.items()}

    def role(self, organization_id: OrganizationId, user_id: UserId) -> Role | None:
        """Return a user's role, or None for a user who is no member."""
        held = self._client.hget(keys.members(organization_id), user_id)
        return Role(held) if held is not None else None

    def standing(
        self, organization_id: OrganizationId, user_id: UserId
    ) -> tuple[Role | None, int | None]:
        """Return a user's role, as ``role`` does, and the organization's quota.

        One round trip: every request with a token asks.
        """
        pipeline = self._client.pipeline(transaction=False)
        pipeline.hget(keys.members(organization_id), user_id)
        pipeline.hget(keys.organization(organization_id), _QUOTA)
        role, quota = pipeline.execute()
        return Role(role) if role is not None else None, _quota(quota)

    def set_quota(
        self, organization_id: OrganizationId, per_hour: int | None, *, event: Event
    ) -> None:
        """Give an organization a quota of its own, 0 for no limit; None for the usual one."""
        pipeline = self._client.pipeline(transaction=True)
        if per_hour is None:
            pipeline.hdel(keys.organization(organization_id), _QUOTA)
        else:
            pipeline.hset(keys.organization(organization_id), _QUOTA, str(per_hour))
        pipeline.xadd(keys.organization_log(organization_id), {"e": encode_event(event)})
        pipeline.execute()

    def set_role(
        self,
        organization_id: OrganizationId,
        user_id: UserId,
        role: Role,
        *,
        event: Event | None = None,
    ) -> None:
        """Make a user a member, or give a member another role, whatever they had."""
        pipeline = self._client.pipeline(transaction=True)
        pipeline.hset(keys.members(organization_id), user_id, role.value)
        if event:
            pipeline.xadd(keys.organization_log(organization_id), {"e": encode_event(event)})
        pipeline.execute()

    def rename(
        self, organization: Organization, name: str, deadline_ms: int, *, event: Event
    ) -> None:
        """Give an organization another name, which is claimed, and give back the old one.

        Raises:
            ConflictError: It was renamed since it was read.
            StoreUnavailableError: It is too late.
        """
        old = keys.organization_name(fold(organization.name))
        claim = self._claims.held(old, _NAME_FIELD, organization.id)
        reply = self._scripts.run(
            "rename_organization",
            [keys.organization(organization.id), keys.organization_log(organization.id)],
            [deadline_ms, organization.version, name, encode_event(event)],
        )
        if reply == -2:
            raise ConflictError(
                "Somebody else renamed the organization at the same time. Please look at it and"
                " try again."
            )
        if reply == -1:
            raise too_late("new name")
        if fold(name) != fold(organization.name):
            self._claims.give_back(old, _NAME_FIELD, claim)

    def change_member(
        self,
        organization_id: OrganizationId,
        user_id: UserId,
        role: Role | None,
        *,
        roles: Mapping[UserId, Role],
        event: Event,
    ) -> None:
        """Give a member another role, or take them out where it is None.

        Args:
            organization_id: Which organization.
            user_id: The member.
            role: Their new role.
            roles: What the decision rests on: of this member and of whoever decided.
            event: Logged with it.

        Raises:
            NotFoundError: They are no member.
            ConflictError: They are the last owner, or one of ``roles`` is another by now.
        """
        held = [text for user, role in roles.items() for text in (user, role.value)]
        reply = self._scripts.run(
            "change_member",
            [keys.members(organization_id), keys.organization_log(organization_id)],
            [user_id, role.value if role else "", Role.OWNER.value, encode_event(event), *held],
        )
        if reply == -2:
            raise ConflictError(
                "Somebody else changed the members at the same time. Please look at them and try"
                " again."
            )
        if reply == 0:
            raise NotFoundError("The given e-mail address is not a member of the organization.")
        if reply == -1:
            raise ConflictError(
                "The organization would be left without an owner. Make somebody else an owner"
                " first."
            )

    def add_invitation(
        self, invitation: Invitation, token_hash: TokenHash, now_ms: int, *, event: Event
    ) -> None:
        """Keep an invitation; its index first, which expires by itself."""
        seconds = max(1, (invitation.expires_at_ms - now_ms) // 1_000)
        pointer = f"{invitation.organization_id}|{invitation.id}"
        with written.aside():
            self._client.set(keys.invitation(token_hash), pointer, ex=seconds)
        organization_id = invitation.organization_id
        pipeline = self._client.pipeline(transaction=True)
        pipeline.hset(
            keys.invitations(organization_id), invitation.id, _encode(invitation, token_hash)
        )
        pipeline.xadd(keys.organization_log(organization_id), {"e": encode_event(event)})
        pipeline.execute()

    def find_invitation(self, token_hash: TokenHash) -> Invitation | None:
        """Return the invitation with this secret, expired or not."""
        pointer = self._client.get(keys.invitation(token_hash))
        if pointer is None:
            return None
        organization, _, invitation_id = pointer.partition("|")
        organization_id = OrganizationId(organization)
        key = keys.invitations(organization_id)
        held = self._client.hget(key, invitation_id)
        return read(key, decode_invitation, organization_id, invitation_id, held) if held else None

    def invitations(self, organization_id: OrganizationId) -> list[Invitation]:
        """Return all open invitations, oldest first; expired ones too."""
        key = keys.invitations(organization_id)
        found = [
            read(key, decode_invitation, organization_id, each, text)
            for each, text in self._client.hgetall(key).items()
        ]
        return sorted(found, key=lambda each: (each.created_at_ms, each.id))

    def use_invitation(self, invitation: Invitation, user_id: UserId, *, event: Event) -> None:
        """Let a user join by an invitation, which is used up in the same step.

        Raises:
            NotFoundError: Somebody else used it.
            ConflictError: The user is a member already.
        """
        organization_id = invitation.organization_id
        self.note_member(organization_id, user_id)
        reply = self._scripts.run(
            "use_invitation",
            [
                keys.invitations(organization_id),
                keys.members(organization_id),
                keys.organization_log(organization_id),
            ],
            [invitation.id, user_id, invitation.role.value, encode_event(event)],
        )
        if reply == 0:
            raise NotFoundError("The invitation was used already. Ask for a new one.")
        if reply == -1:
            raise ConflictError("You are a member of this organization already.")

    def revoke_invitation(
        self, organization_id: OrganizationId, invitation_id: str, *, event: Event
    ) -> bool:
        """Take an invitation back; tells whether it was there."""
        reply = self._scripts.run(
            "revoke_invitation",
            [keys.invitations(organization_id), keys.organization_log(organization_id)],
            [invitation_id, encode_event(event)],
        )
        return bool(reply == 1)

    def joined(self, user_id: UserId) -> list[OrganizationId]:
        """Return the organizations in the user's index; their members know better."""
        return [OrganizationId(t) for t in self._client.smembers(keys.user_organizations(user_id))]


def decode_organization(organization_id: OrganizationId, record: Mapping[str, str]) -> Organization:
    """Return the organization in a stored record."""
    return Organization(
        id=organization_id,
        name=record["name"],
        is_personal=record["is_personal"] == "1",
        created_at_ms=int(record["created_at_ms"]),
        version=int(record.get("version", 0)),
        quota_per_hour=_quota(record.get(_QUOTA)),
    )


def _quota(text: str | None) -> int | None:
    return int(text) if text is not None else None


def _encode(invitation: Invitation, token_hash: TokenHash) -> str:
    return orjson.dumps(
        {
            "hash": token_hash,
            "email": invitation.email,
            "role": invitation.role.value,
            "invited_by": invitation.invited_by,
            "created_at_ms": invitation.created_at_ms,
            "expires_at_ms": invitation.expires_at_ms,
        }
    ).decode()


def decode_invitation(organization_id: OrganizationId, invitation_id: str, text: str) -> Invitation:
    """Return the invitation in a field of the hash of invitations."""
    record = orjson.loads(text)
    return Invitation(
        id=invitation_id,
        organization_id=organization_id,
        email=record["email"],
        role=Role(record["role"]),
        invited_by=record["invited_by"],
        created_at_ms=record["created_at_ms"],
        expires_at_ms=record["expires_at_ms"],
    )
