"""What becomes of a member's things when they leave an organization."""

from collections.abc import Mapping

from codepush.domain.errors import ConflictError
from codepush.domain.events import Action
from codepush.domain.ids import OrganizationId, UserId, new_id
from codepush.domain.models import Organization, Principal, User
from codepush.domain.permissions import Permission, Role
from codepush.services.clock import Clock
from codepush.services.telling import Teller
from codepush.services.tokens import Tokens
from codepush.store.claims import NO_DEADLINE_MS
from codepush.store.stores import Stores

_TRIES = 10


class Departures:
    """Takes members out of organizations, with what they had there."""

    def __init__(self, stores: Stores, tokens: Tokens, teller: Teller, clock: Clock):
        """Use ``stores``; revoke tokens through ``tokens``."""
        self._stores = stores
        self._tokens = tokens
        self._tell = teller
        self._clock = clock

    def leave(
        self,
        principal: Principal,
        organization: Organization,
        user: User,
        *,
        roles: Mapping[UserId, Role],
    ) -> None:
        """Take a member out.

        Their apps are handed over before they are out, so that a crash in between leaves a member
        who can be taken out again, and once more after, for apps that they made meanwhile.

        Args:
            principal: Who takes them out; may be they themselves.
            organization: Which one.
            user: The member.
            roles: What the decision rests on.

        Raises:
            NotFoundError: They are no member.
            ConflictError: They are the last owner, one of ``roles`` is another by now, or others
                keep changing one of their apps.
        """
        heir = self._heir(organization.id, principal, user)
        if user.organization_id == organization.id:
            self._settle(user)
        self._hand_over(principal, organization.id, user, heir)
        event = self._tell.about_organization(
            principal, Action.MEMBER_REMOVED, organization.id, target=user.email
        )
        self._stores.organizations.change_member(
            organization.id, user.id, None, roles=roles, event=event
        )
        self._hand_over(principal, organization.id, user, heir)
        self._tokens.revoke_all(user, organization.id, principal.actor)

    def _heir(self, organization_id: OrganizationId, principal: Principal, user: User) -> User:
        if principal.user.id != user.id:
            return principal.user
        roles = self._stores.organizations.members(organization_id)
        users = self._stores.users.get_many(
            member for member, role in roles.items() if role is Role.OWNER and member != user.id
        )
        if not users:
            raise ConflictError(
                "The organization would be left without an owner. Make somebody else an owner"
                " first."
            )
        return min(users.values(), key=lambda each: each.email.casefold())

    def _settle(self, user: User) -> None:
        """Give a user a personal organization in place of the one that they leave."""
        home = Organization(
            id=OrganizationId(new_id()),
            name=user.email,
            is_personal=True,
            created_at_ms=self._clock(),
        )
        self._stores.organizations.create(home, user.id, NO_DEADLINE_MS)
        self._stores.users.settle(user.id, home.id)

    def _hand_over(
        self, principal: Principal, organization_id: OrganizationId, user: User, heir: User
    ) -> None:
        for _ in range(_TRIES):
            held = [
                app
                for app in self._stores.apps.list_of(organization_id)
                if user.id in app.collaborators
            ]
            if not held:
                return
            for app in held:
                changed: dict[UserId, Permission | None] = {user.id: None}
                told = [(Action.COLLABORATOR_REMOVED, user)]
                if app.owner_id == user.id:
                    if heir.id not in app.collaborators:
                        told.append((Action.COLLABORATOR_ADDED, heir))
                    changed[heir.id] = Permission.OWNER
                    self._stores.users.note_app(heir.id, app.id)
                events = [
                    self._tell.about_app(principal, what, app, target=whom.email)
                    for what, whom in told
                ]
                try:
                    self._stores.apps.update(app, collaborators=changed, events=events)
                except ConflictError:
                    continue
                self._stores.users.forget_app(user.id, app.id)
        raise ConflictError("Others keep changing the member's apps. Please try again in a while.")
