"""Apps, their collaborators and the names of their deployments."""

from collections.abc import Iterable, Mapping

from codepush.domain.errors import ConflictError, NotFoundError
from codepush.domain.events import Event, encode_event
from codepush.domain.ids import AppId, DeploymentId, OrganizationId, UserId
from codepush.domain.models import App, Deployment, Signing
from codepush.domain.names import fold
from codepush.domain.permissions import Permission
from codepush.store import keys
from codepush.store.bell import Bell
from codepush.store.changes import Changes
from codepush.store.claims import Claim, Claims, owner_in, too_late
from codepush.store.connection import StoreClient
from codepush.store.damage import read
from codepush.store.scripts import Scripts

_BATCH = 250
"""Apps read in one round trip."""


class AppStore:
    """Apps by id, and by name in their organization."""

    def __init__(
        self, client: StoreClient, scripts: Scripts, claims: Claims, changes: Changes, bell: Bell
    ):
        """Use ``client`` for plain commands, ``scripts`` and ``claims`` for the rest."""
        self._client = client
        self._scripts = scripts
        self._claims = claims
        self._changes = changes
        self._bell = bell

    def claim_name(self, organization_id: OrganizationId, name: str, app_id: AppId) -> Claim | None:
        """Hold a name in an organization for an app; None where it is taken."""

        def bears(holder: str) -> bool:
            held = self.get(AppId(holder))
            return held is not None and _bears(held, organization_id, fold(name))

        return self._claims.take(keys.app_names(organization_id), fold(name), app_id, bears=bears)

    def name_claim(self, app: App) -> str:
        """Return the claim on the name that an app bears, to be given back once it does not."""
        return self._claims.held(keys.app_names(app.organization_id), fold(app.name), app.id)

    def give_back_name(self, app: App, claim: str) -> None:
        """Free the name that ``app`` bore when ``claim`` was read."""
        self._claims.give_back(keys.app_names(app.organization_id), fold(app.name), claim)

    def create(
        self, app: App, deployments: Iterable[Deployment], deadline_ms: int, *, event: Event
    ) -> None:
        """Commit an app with its first collaborators and deployments.

        Args:
            app: The record; its name is claimed.
            deployments: Its first deployments; their keys are claimed.
            deadline_ms: Server time after which the oldest of those claims is too old.
            event: Logged with it.

        Raises:
            StoreUnavailableError: It is too late.
        """
        record = {
            "organization_id": app.organization_id,
            "name": app.name,
            "os": app.os or "",
            "platform": app.platform or "",
            "created_at_ms": str(app.created_at_ms),
        }
        holders = {str(user): str(int(held)) for user, held in app.collaborators.items()}
        touched = [keys.app(app.id), keys.collaborators(app.id), keys.app_log(app.id)]
        args = [deadline_ms, *_counted(record), "HSET", *_counted(holders)]
        args += ["XADD", 3, "*", "e", encode_event(event)]
        named = list(deployments)
        if named:
            touched.append(keys.deployments(app.id))
            args += ["HSET", *_counted({each.name: each.id for each in named})]
        for each in named:
            touched.append(keys.deployment(app.id, each.id))
            args += ["HSET", *_counted(deployment_record(each))]
        if self._scripts.run("create_record", touched, args) != 1:
            raise too_late("app")
        self._bell.ring(app.organization_id)

    def get(self, app_id: AppId) -> App | None:
        """Return an app."""
        return self.get_many([app_id]).get(app_id)

    def get_many(self, app_ids: Iterable[AppId]) -> dict[AppId, App]:
        """Return those of the apps that exist."""
        wanted = list(dict.fromkeys(app_ids))
        found: dict[AppId, App] = {}
        for start in range(0, len(wanted), _BATCH):
            batch = wanted[start : start + _BATCH]
            pipe = self._client.pipeline(transaction=False)
            for app_id in batch:
                pipe.hgetall(keys.app(app_id))
                pipe.hgetall(keys.collaborators(app_id))
                pipe.hgetall(keys.deployments(app_id))
            replies = iter(pipe.execute())
            for app_id, record, holders, deployments in zip(
                batch, replies, replies, replies, strict=True
            ):
                if record:
                    found[app_id] = read(
                        keys.app(app_id), decode_app, app_id, record, holders, deployments
                    )
        return found

    def find(self, organization_id: OrganizationId, name: str) -> App | None:
        """Return the app of this name in an organization, whatever its case."""
        folded = fold(name)
        holder = self._claims.holder(keys.app_names(organization_id), folded)
        app = self.get(AppId(holder)) if holder else None
        return app if app and _bears(app, organization_id, folded) else None

    def list_of(self, organization_id: OrganizationId) -> list[App]:
        """Return all apps of an organization."""
        apps = self.get_many(self.ids_of(organization_id))
        return [app for app in apps.values() if app.organization_id == organization_id]

    def ids_of(self, organization_id: OrganizationId) -> list[AppId]:
        """Return the ids of all apps of an organization, and of some that are not, or not yet."""
        held = self._client.hgetall(keys.app_names(organization_id))
        return [AppId(owner_in(claim)) for claim in held.values()]

    def is_lost(self, app_id: AppId) -> bool:
        """Return whether an app that is not there left deployments: who deletes one takes all."""
        return bool(self._client.hgetall(keys.deployments(app_id)))

    def update(
        self,
        app: App,
        *,
        name: str | None = None,
        organization_id: OrganizationId | None = None,
        signing: Signing | None = None,
        collaborators: Mapping[UserId, Permission | None] | None = None,
        deadline_ms: int = 0,
        events: Iterable[Event],
    ) -> None:
        """Change an app's record and its collaborators in one step.

        Args:
            app: As read.
            name: New name; claimed.
            organization_id: New organization.
            signing: How its packages are signed from now on.
            collaborators: Permissions to give, or None to take one away.
            deadline_ms: Server time after which the claim is too old; 0 where there is none.
            events: Logged with it.

        Raises:
            NotFoundError: The app is gone, or belongs to another organization by now.
            ConflictError: It was renamed or moved since, or one of those permissions is another.
            StoreUnavailableError: It is too late.
        """
        record = {"name": name, "organization_id": organization_id}
        changed = {key: str(value) for key, value in record.items() if value is not None}
        if signing is not None:
            changed["public_key"] = signing.public_key
            changed["requires_signatures"] = "1" if signing.is_required else "0"
        holders = [
            text
            for user_id, held in (collaborators or {}).items()
            for text in (str(user_id), _number(app.collaborators.get(user_id)), _number(held))
        ]
        texts = [encode_event(event) for event in events]
        logged: list[str | int] = [len(texts), *texts]
        reply = self._scripts.run(
            "update_app",
            [keys.app(app.id), keys.collaborators(app.id), keys.app_log(app.id)],
            [deadline_ms, app.organization_id, app.version, *logged, *_counted(changed), *holders],
        )
        if reply == 0:
            raise gone(app.name)
        if reply == -2:
            raise ConflictError(
                "Somebody else changed this app at the same time. Please look at it and try again."
            )
        if reply == -1:
            raise too_late("new name")
        self._bell.ring(app.organization_id)

    def add_collaborator(
        self, app: App, user_id: UserId, permission: Permission, *, event: Event
    ) -> None:
        """Give a user a permission on an app.

        Raises:
            ConflictError: The user has one already.
            NotFoundError: The app is gone.
        """
        reply = self._scripts.run(
            "add_collaborator",
            [keys.app(app.id), keys.collaborators(app.id), keys.app_log(app.id)],
            [user_id, int(permission), encode_event(event), event.organization_id],
        )
        if reply == 0:
            raise gone(app.name)
        if reply == -1:
            raise ConflictError("The given account is already a collaborator for this app.")
        self._bell.ring(app.organization_id)

    def delete(self, app: App, *, event: Event) -> bool:
        """Remove an app and all its deployments; False where they changed since ``app`` was read.

        Raises:
            NotFoundError: The app is gone.
        """
        ids: list[DeploymentId] = list(app.deployments.values())
        touched = [keys.app_log(app.id), keys.app(app.id), keys.collaborators(app.id)]
        touched += [keys.deployments(app.id), keys.packages(app.id), keys.binaries(app.id)]
        for deployment_id in ids:
            touched += keys.whole_deployment(app.id, deployment_id)
        reply = self._scripts.run(
            "delete_app", touched, [encode_event(event), event.organization_id, *ids]
        )
        if reply == 0:
            raise gone(app.name)
        if reply == 1:
            for deployment_id in ids:
                self._changes.tell(app.id, deployment_id, 0)
        self._bell.ring(app.organization_id)
        return bool(reply == 1)


def gone(name: str) -> NotFoundError:
    """Return the error for an app that is not there."""
    return NotFoundError(f'App "{name}" does not exist.')


def deployment_record(deployment: Deployment) -> dict[str, str]:
    """Return the fields of a new deployment's record."""
    return {
        "name": deployment.name,
        "key": deployment.key,
        "created_at_ms": str(deployment.created_at_ms),
        "version": "0",
        "label_seq": "0",
        "latest": "",
    }


def _bears(app: App, organization_id: OrganizationId, folded_name: str) -> bool:
    return app.organization_id == organization_id and fold(app.name) == folded_name


def _number(permission: Permission | None) -> str:
    return "" if permission is None else str(int(permission))


def _counted(fields: Mapping[str, str]) -> list[str | int]:
    flat = [text for pair in fields.items() for text in pair]
    return [len(flat), *flat]


def decode_app(
    app_id: AppId, record: dict[str, str], holders: dict[str, str], deployments: dict[str, str]
) -> App:
    """Return the app in its stored record and hashes."""
    return App(
        id=app_id,
        organization_id=OrganizationId(record["organization_id"]),
        name=record["name"],
        os=record["os"] or None,
        platform=record["platform"] or None,
        created_at_ms=int(record["created_at_ms"]),
        version=int(record.get("version", 0)),
        collaborators={UserId(u): Permission(int(held)) for u, held in holders.items()},
        deployments={name: DeploymentId(d) for name, d in sorted(deployments.items())},
        signing=Signing(record.get("public_key", ""), record.get("requires_signatures") == "1"),
    )
