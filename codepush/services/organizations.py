"""Organizations: made, renamed, and who belongs to them; ``invitations.py`` lets people in."""

from dataclasses import replace

from codepush.domain.errors import ConflictError, ForbiddenError, NotFoundError
from codepush.domain.events import NOBODY, Action
from codepush.domain.ids import OrganizationId, new_id
from codepush.domain.models import Organization, Principal, User
from codepush.domain.names import check_organization_name, fold
from codepush.domain.permissions import MANAGERS, Role, Scope
from codepush.services.access import Access, no_organization, require_account
from codepush.services.audit import Audit
from codepush.services.clock import Clock
from codepush.services.departures import Departures
from codepush.services.telling import Teller
from codepush.store.audit import AuditEntry
from codepush.store.stores import Stores


class Organizations:
    """What can be done with organizations. One that the caller is no member of does not exist."""

    def __init__(
        self,
        stores: Stores,
        access: Access,
        audit: Audit,
        departures: Departures,
        teller: Teller,
        clock: Clock,
    ):
        """Use ``stores``, and log what ``teller`` says."""
        self._stores = stores
        self._access = access
        self._audit = audit
        self._departures = departures
        self._tell = teller
        self._clock = clock

    def list_for(self, principal: Principal) -> list[tuple[Organization, Role]]:
        """Return the organizations that the principal belongs to, with their role in each.

        A token that is limited to one app sees only its own organization.

        Raises:
            ForbiddenError: The token may not read.
        """
        require_account(principal, Scope.READ)
        return self._access.organizations(principal)

    def of(self, principal: Principal) -> Organization:
        """Return the organization that the principal's token carries.

        Raises:
            NotFoundError: It does not exist any more.
        """
        found = self._stores.organizations.get(principal.organization_id)
        if found is None:
            raise no_organization(principal.organization_id)
        return found

    def get(
        self, principal: Principal, reference: str, *, manage: bool = False
    ) -> tuple[Organization, Role]:
        """Return the organization that a caller means, by its name or id.

        Args:
            principal: The caller.
            reference: Name, whatever its case; id; or for a personal one its user's address.
            manage: Whether the caller wants to change it.

        Raises:
            NotFoundError: There is none, or the caller is no member of it.
            ForbiddenError: The caller may not change it.
        """
        require_account(principal, Scope.MANAGE if manage else Scope.READ)
        organization, role = self._access.organization(principal, reference)
        if manage and role not in MANAGERS:
            raise ForbiddenError(
                "This needs the role Owner or Admin in the organization. Ask one of its owners."
            )
        return organization, role

    def list_all(self) -> list[tuple[Organization, int]]:
        """Return every organization with the number of its members, by name; for operators."""
        stores = self._stores
        users = {user.id: user for user in stores.users.list_all()}
        ids = {user.organization_id for user in users.values()}
        for user_id in users:
            ids.update(stores.organizations.joined(user_id))
        found = [each for each in map(stores.organizations.get, ids) if each]
        counted = [
            (each, len(stores.organizations.members(each.id).keys() & users.keys()))
            for each in found
        ]
        return sorted(counted, key=lambda pair: (fold(pair[0].name), pair[0].id))

    def find(self, reference: str) -> Organization:
        """Return an organization, whoever its members are; for operators.

        Args:
            reference: Id; name, whatever its case; or for a personal one its user's address.

        Raises:
            NotFoundError: There is none.
        """
        organizations = self._stores.organizations
        user = self._stores.users.find(reference)
        found = (
            organizations.get(OrganizationId(reference))
            or organizations.find(reference)
            or (organizations.get(user.organization_id) if user else None)
        )
        if found is None or (user and not found.is_personal):
            raise no_organization(reference)
        return found

    def set_quota(self, reference: str, per_hour: int | None) -> Organization:
        """Say how many requests an hour each user of an organization may make; for operators.

        Args:
            reference: As for ``find``.
            per_hour: The number, 0 for any; None for the server's usual one.

        Raises:
            NotFoundError: There is no such organization.
        """
        found = self.find(reference)
        event = self._tell.about_organization(
            NOBODY, Action.ORGANIZATION_QUOTA_CHANGED, found.id, quotaPerHour=per_hour
        )
        self._stores.organizations.set_quota(found.id, per_hour, event=event)
        return replace(found, quota_per_hour=per_hour)

    def create(self, principal: Principal, name: str) -> Organization:
        """Make an organization with the principal as its owner.

        Raises:
            InvalidParameterError: The name may not be.
            ConflictError: There is one of that name.
        """
        require_account(principal)
        check_organization_name(name)
        made = Organization(
            id=OrganizationId(new_id()), name=name, is_personal=False, created_at_ms=self._clock()
        )
        claim = self._stores.organizations.claim_name(name, made.id)
        if claim is None:
            raise _name_taken(name)
        owner = principal.user.id
        event = self._tell.about_organization(
            principal, Action.ORGANIZATION_CREATED, made.id, target=name
        )
        with claim:
            self._stores.organizations.note_member(made.id, owner)
            self._stores.organizations.create(made, owner, claim.deadline_ms, event=event)
        return made

    def rename(self, principal: Principal, reference: str, name: str) -> Organization:
        """Give an organization another name.

        Raises:
            NotFoundError: There is none for this caller.
            ForbiddenError: The caller may not change it, or it is a personal one.
            InvalidParameterError: The name may not be.
            ConflictError: There is one of that name.
        """
        organization, _ = self.get(principal, reference, manage=True)
        check_organization_name(name)
        if organization.is_personal:
            raise ForbiddenError("A personal organization goes by its user's e-mail address.")
        if name != organization.name:
            claim = self._stores.organizations.claim_name(name, organization.id)
            if claim is None:
                raise _name_taken(name)
            event = self._tell.about_organization(
                principal, Action.ORGANIZATION_RENAMED, organization.id, target=name
            )
            self._stores.organizations.rename(organization, name, claim.deadline_ms, event=event)
        return replace(organization, name=name)

    def members(self, principal: Principal, reference: str) -> list[tuple[User, Role]]:
        """Return an organization's members, by e-mail address.

        Raises:
            NotFoundError: There is none for this caller.
        """
        organization, _ = self.get(principal, reference)
        roles = self._stores.organizations.members(organization.id)
        users = self._stores.users.get_many(roles)
        found = [(user, roles[user_id]) for user_id, user in users.items()]
        return sorted(found, key=lambda pair: pair[0].email.casefold())

    def change_member(
        self, principal: Principal, reference: str, email: str, role: Role
    ) -> tuple[User, Role]:
        """Give a member another role.

        Raises:
            NotFoundError: There is no such organization for this caller, or no such member.
            ForbiddenError: The caller may not do that; only owners make or unmake owners.
            ConflictError: The last owner would be gone.
        """
        organization, own_role = self.get(principal, reference, manage=True)
        user, held = self._member(organization, email)
        if Role.OWNER in {role, held} and own_role is not Role.OWNER:
            raise ForbiddenError("Only an owner of the organization makes or unmakes owners.")
        if organization.is_personal and user.organization_id == organization.id:
            raise ConflictError("Everybody is an owner of their personal organization.")
        event = self._tell.about_organization(
            principal, Action.MEMBER_CHANGED, organization.id, target=user.email, role=role.value
        )
        self._stores.organizations.change_member(
            organization.id,
            user.id,
            role,
            roles={user.id: held, principal.user.id: own_role},
            event=event,
        )
        return user, role

    def remove_member(self, principal: Principal, reference: str, email: str) -> None:
        """Take a member out; everyone may do so for themselves.

        They lose what they had by the organization: its apps, of which the caller becomes the owner
        where they were (or another owner of the organization, if they leave by themselves), and
        their tokens for it. Whose own organization it was gets a personal one.

        Raises:
            NotFoundError: There is no such organization for this caller, or no such member.
            ForbiddenError: The caller may not do that.
            ConflictError: The last owner would be gone, or it is their own organization.
        """
        is_self = fold(email) == fold(principal.user.email)
        organization, own_role = self.get(principal, reference, manage=not is_self)
        require_account(principal)
        user, held = self._member(organization, email)
        if held is Role.OWNER and own_role is not Role.OWNER:
            raise ForbiddenError("Only an owner of the organization makes or unmakes owners.")
        if organization.is_personal and user.organization_id == organization.id:
            raise ConflictError("Nobody can leave their personal organization.")
        self._departures.leave(
            principal, organization, user, roles={user.id: held, principal.user.id: own_role}
        )

    def audit(
        self, principal: Principal, reference: str, *, before: int | None, count: int
    ) -> list[AuditEntry]:
        """Return what happened in an organization, newest first.

        Raises:
            NotFoundError: There is no such organization for this caller.
            ForbiddenError: The caller is neither owner nor admin of it.
        """
        organization, _ = self.get(principal, reference, manage=True)
        return self._audit.read(organization.id, before=before, count=count)

    def _member(self, organization: Organization, email: str) -> tuple[User, Role]:
        user = self._stores.users.find(email)
        role = self._stores.organizations.role(organization.id, user.id) if user else None
        if user is None or role is None:
            raise NotFoundError("The given e-mail address is not a member of the organization.")
        return user, role


def _name_taken(name: str) -> ConflictError:
    return ConflictError(
        f"An organization named '{name}' already exists.",
        parameter="name",
        reason="Name already exists",
    )
