"""Users, and the organizations and apps they have to do with."""

from collections.abc import Iterable

from codepush.domain.ids import AppId, OrganizationId, UserId
from codepush.domain.models import User
from codepush.store import keys, written
from codepush.store.claims import Claim, Claims, too_late
from codepush.store.connection import StoreClient
from codepush.store.damage import read
from codepush.store.scripts import Scripts

_EMAIL_FIELD = "user"


class UserStore:
    """Users by id and by e-mail address."""

    def __init__(self, client: StoreClient, scripts: Scripts, claims: Claims):
        """Use ``client`` for plain commands, ``scripts`` and ``claims`` for the rest."""
        self._client = client
        self._scripts = scripts
        self._claims = claims

    def claim_email(self, email: str, user_id: UserId) -> Claim | None:
        """Hold an e-mail address for a user to come; None where it is taken."""

        def bears(holder: str) -> bool:
            user = self.get(UserId(holder))
            return user is not None and user.email.casefold() == email.casefold()

        return self._claims.take(keys.email(email), _EMAIL_FIELD, user_id, bears=bears)

    def note(self, user_id: UserId, organization_id: OrganizationId) -> None:
        """Enter a user to come in the indices.

        To be done before anything else: it fails where what follows could not be finished.
        """
        with written.aside():
            self._client.sadd(keys.user_organizations(user_id), organization_id)
            self._client.sadd(keys.USERS, user_id)

    def create(self, user: User, claim: Claim) -> None:
        """Commit a user whose e-mail address is claimed, and who is noted.

        Raises:
            StoreUnavailableError: The claim is too old.
        """
        record = {
            "email": user.email,
            "name": user.name,
            "organization_id": user.organization_id,
            "created_at_ms": str(user.created_at_ms),
            "is_administrator": str(int(user.is_administrator)),
            "password_hash": user.password_hash,
        }
        fields = [text for pair in record.items() for text in pair]
        organizations = keys.user_organizations(user.id)
        args: list[str | int] = [claim.deadline_ms, len(fields), *fields]
        args += ["SADD", 1, user.organization_id]
        if self._scripts.run("create_record", [keys.user(user.id), organizations], args) != 1:
            raise too_late("user")

    def get(self, user_id: UserId) -> User | None:
        """Return a user."""
        return self.get_many([user_id]).get(user_id)

    def get_many(self, user_ids: Iterable[UserId]) -> dict[UserId, User]:
        """Return those of the users that exist, in one round trip."""
        wanted = list(dict.fromkeys(user_ids))
        if not wanted:
            return {}
        pipe = self._client.pipeline(transaction=False)
        for user_id in wanted:
            pipe.hgetall(keys.user(user_id))
        return {
            user_id: read(keys.user(user_id), decode_user, user_id, record)
            for user_id, record in zip(wanted, pipe.execute(), strict=True)
            if record
        }

    def find(self, email: str) -> User | None:
        """Return the user with this e-mail address, whatever its case."""
        holder = self._claims.holder(keys.email(email), _EMAIL_FIELD)
        user = self.get(UserId(holder)) if holder else None
        return user if user and user.email.casefold() == email.casefold() else None

    def was_welcomed(self) -> bool:
        """Return whether the first administrator was shown their token."""
        return self._client.get(keys.WELCOMED) is not None

    def note_welcome(self) -> None:
        """Note that they were."""
        self._client.set(keys.WELCOMED, "1")

    def list_all(self) -> list[User]:
        """Return every user, by e-mail address."""
        return sorted(self.get_many(self.ids()).values(), key=lambda user: user.email.casefold())

    def ids(self) -> list[UserId]:
        """Return the ids of all users; some may never have come to be."""
        return [UserId(text) for text in self._client.smembers(keys.USERS)]

    def update(
        self, user_id: UserId, *, name: str | None = None, password_hash: str | None = None
    ) -> None:
        """Replace a user's display name, password hash or both, or neither."""
        given = {"name": name, "password_hash": password_hash}
        fields = {field: value for field, value in given.items() if value is not None}
        if fields:
            pipeline = self._client.pipeline(transaction=True)
            for field, value in fields.items():
                pipeline.hset(keys.user(user_id), field, value)
            pipeline.execute()

    def settle(self, user_id: UserId, organization_id: OrganizationId) -> None:
        """Give a user another organization of their own."""
        pipeline = self._client.pipeline(transaction=True)
        pipeline.hset(keys.user(user_id), "organization_id", organization_id)
        pipeline.sadd(keys.user_organizations(user_id), organization_id)
        pipeline.execute()

    def note_app(self, user_id: UserId, app_id: AppId) -> None:
        """Enter an app in the index of those that the user collaborates on."""
        with written.aside():
            self._client.sadd(keys.user_apps(user_id), app_id)

    def forget_app(self, user_id: UserId, app_id: AppId) -> None:
        """Strike an app from that index."""
        self._client.srem(keys.user_apps(user_id), app_id)

    def noted_apps(self, user_id: UserId) -> list[AppId]:
        """Return the apps in that index; the apps themselves know better."""
        return [AppId(text) for text in self._client.smembers(keys.user_apps(user_id))]


def decode_user(user_id: UserId, record: dict[str, str]) -> User:
    """Return the user in a stored record."""
    return User(
        id=user_id,
        email=record["email"],
        name=record["name"],
        organization_id=OrganizationId(record["organization_id"]),
        created_at_ms=int(record["created_at_ms"]),
        is_administrator=record["is_administrator"] == "1",
        password_hash=record["password_hash"],
    )
