"""Invitations: how people come into organizations."""

from datetime import timedelta

from codepush.domain.errors import ConflictError, ForbiddenError, NotFoundError
from codepush.domain.events import Action, Actor
from codepush.domain.ids import Token, UserId, hash_token, new_id, new_secret
from codepush.domain.models import Invitation, Organization, Principal
from codepush.domain.names import check_email
from codepush.domain.permissions import MANAGERS, Role
from codepush.services.access import require_account
from codepush.services.clock import Clock
from codepush.services.organizations import Organizations
from codepush.services.telling import Teller
from codepush.store.stores import Stores

INVITATION_LIFETIME = timedelta(days=7)


class Invitations:
    """Made by owners and admins of an organization, and used once, by whoever has the secret."""

    def __init__(self, stores: Stores, organizations: Organizations, teller: Teller, clock: Clock):
        """Use ``stores``; find organizations through ``organizations``."""
        self._stores = stores
        self._organizations = organizations
        self._tell = teller
        self._clock = clock

    def invite(
        self, principal: Principal, reference: str, email: str, role: Role
    ) -> tuple[Token, Invitation]:
        """Make an invitation; its secret exists only in what this returns.

        Raises:
            NotFoundError: There is no such organization for this caller.
            ForbiddenError: The caller may not invite, or not to that role.
            InvalidParameterError: The e-mail address is none.
            ConflictError: The user is a member already.
        """
        organization, own_role = self._organizations.get(principal, reference, manage=True)
        check_email(email)
        if role is Role.OWNER and own_role is not Role.OWNER:
            raise ForbiddenError("Only an owner of the organization makes or unmakes owners.")
        known = self._stores.users.find(email)
        if known and self._stores.organizations.role(organization.id, known.id):
            raise ConflictError("The given account is already a member of the organization.")
        now = self._clock()
        secret = Token(new_secret())
        invitation = Invitation(
            id=new_id(),
            organization_id=organization.id,
            email=email,
            role=role,
            invited_by=principal.user.email,
            created_at_ms=now,
            expires_at_ms=now + INVITATION_LIFETIME // timedelta(milliseconds=1),
        )
        event = self._tell.about_organization(
            principal, Action.MEMBER_INVITED, organization.id, target=email, role=role.value
        )
        self._stores.organizations.add_invitation(invitation, hash_token(secret), now, event=event)
        return secret, invitation

    def list_open(self, principal: Principal, reference: str) -> list[Invitation]:
        """Return the open invitations of an organization.

        Raises:
            NotFoundError: There is no such organization for this caller.
            ForbiddenError: The caller may not invite.
        """
        organization, _ = self._organizations.get(principal, reference, manage=True)
        open_until = self._clock()
        found = self._stores.organizations.invitations(organization.id)
        return [each for each in found if each.expires_at_ms > open_until and self._stands(each)]

    def take_back(self, principal: Principal, reference: str, invitation_id: str) -> None:
        """Make an invitation worthless.

        Raises:
            NotFoundError: There is no such organization for this caller, or no such invitation.
            ForbiddenError: The caller may not invite.
        """
        organization, _ = self._organizations.get(principal, reference, manage=True)
        event = self._tell.about_organization(
            principal, Action.INVITATION_REVOKED, organization.id, target=invitation_id
        )
        if not self._stores.organizations.revoke_invitation(
            organization.id, invitation_id, event=event
        ):
            raise NotFoundError("There is no such invitation; it may have been used.")

    def find(self, secret: str) -> Invitation:
        """Return the invitation with a secret, if it is still open.

        Raises:
            NotFoundError: It is not.
        """
        found = self._stores.organizations.find_invitation(hash_token(secret))
        if found is None or found.expires_at_ms <= self._clock() or not self._stands(found):
            raise NotFoundError(
                "The invitation is unknown, used or expired. Ask for a new one.",
                parameter="invitation",
                reason="Unknown",
            )
        return found

    def _stands(self, invitation: Invitation) -> bool:
        """Return whether the one who invited may still do so."""
        user = self._stores.users.find(invitation.invited_by)
        role = (
            self._stores.organizations.role(invitation.organization_id, user.id) if user else None
        )
        return role is Role.OWNER or (role in MANAGERS and invitation.role is not Role.OWNER)

    def join(self, principal: Principal, secret: str) -> tuple[Organization, Role]:
        """Join an organization by an invitation, which is used up by it.

        Raises:
            NotFoundError: The invitation is unknown, used or expired.
            ConflictError: The principal is a member already.
        """
        require_account(principal)
        return self.enter(principal.user.id, principal.actor, secret)

    def enter(self, user_id: UserId, actor: Actor, secret: str) -> tuple[Organization, Role]:
        """Let a user join by an invitation, which is used up by it; one to come, too.

        Raises:
            NotFoundError: The invitation is unknown, used or expired.
            ConflictError: The user is a member already.
        """
        invitation = self.find(secret)
        organization = self._stores.organizations.get(invitation.organization_id)
        if organization is None:
            raise NotFoundError("The organization of the invitation does not exist any more.")
        event = self._tell.about_organization(
            actor,
            Action.MEMBER_ADDED,
            organization.id,
            target=actor.email,
            role=invitation.role.value,
            invitedBy=invitation.invited_by,
        )
        self._stores.organizations.use_invitation(invitation, user_id, event=event)
        return organization, invitation.role
