"""Deployments of an app, and the keys by which devices address them."""

from codepush.domain.errors import ConflictError, NotFoundError
from codepush.domain.events import Event, encode_event
from codepush.domain.ids import AppId, DeploymentId, DeploymentKey
from codepush.domain.models import App, Deployment
from codepush.store import keys
from codepush.store.apps import deployment_record, gone
from codepush.store.changes import Changes
from codepush.store.claims import Claim, Claims, too_late
from codepush.store.connection import StoreClient
from codepush.store.damage import read
from codepush.store.releases import decode_release
from codepush.store.scripts import Scripts

_KEY_FIELD = "deployment"


class DeploymentStore:
    """Deployments by id, and by key."""

    def __init__(self, client: StoreClient, scripts: Scripts, claims: Claims, changes: Changes):
        """Use ``client`` for plain commands, ``scripts`` and ``claims`` for the rest."""
        self._client = client
        self._scripts = scripts
        self._claims = claims
        self._changes = changes

    def claim_key(
        self, key: DeploymentKey, app_id: AppId, deployment_id: DeploymentId
    ) -> Claim | None:
        """Hold a deployment key for a deployment to come; None where it is taken."""

        def bears(holder: str) -> bool:
            return self.key_of(*split_address(holder)) == key

        owner = f"{app_id}/{deployment_id}"
        return self._claims.take(keys.deployment_key(key), _KEY_FIELD, owner, bears=bears)

    def give_back_key(self, key: DeploymentKey, app_id: AppId, deployment_id: DeploymentId) -> None:
        """Free the key of a deployment that is gone."""
        claimed = keys.deployment_key(key)
        claim = self._claims.held(claimed, _KEY_FIELD, f"{app_id}/{deployment_id}")
        self._claims.give_back(claimed, _KEY_FIELD, claim)

    def address(self, key: DeploymentKey) -> tuple[AppId, DeploymentId] | None:
        """Return where a key leads. The deployment there need not exist any more."""
        holder = self._claims.holder(keys.deployment_key(key), _KEY_FIELD)
        return split_address(holder) if holder else None

    def create(self, app: App, deployment: Deployment, claim: Claim, *, event: Event) -> None:
        """Commit a deployment whose key is claimed.

        Raises:
            ConflictError: The app has a deployment of that name.
            NotFoundError: The app is gone.
            StoreUnavailableError: The claim is too old.
        """
        record = deployment_record(deployment)
        reply = self._scripts.run(
            "create_deployment",
            [
                keys.app(app.id),
                keys.deployments(app.id),
                keys.deployment(app.id, deployment.id),
                keys.app_log(app.id),
            ],
            [
                claim.deadline_ms,
                deployment.name,
                deployment.id,
                encode_event(event),
                event.organization_id,
                *(text for pair in record.items() for text in pair),
            ],
        )
        if reply == 0:
            raise gone(app.name)
        if reply == -1:
            raise name_taken(deployment.name)
        if reply == -2:
            raise too_late("deployment")
        self._changes.tell(app.id, deployment.id, 1)

    def list_of(self, app: App) -> list[Deployment]:
        """Return an app's deployments with their newest releases, by name."""
        found: list[Deployment] = []
        ids = list(app.deployments.values())
        pipe = self._client.pipeline(transaction=False)
        for deployment_id in ids:
            pipe.hgetall(keys.deployment(app.id, deployment_id))
        records = pipe.execute() if ids else []
        for deployment_id, record in zip(ids, records, strict=True):
            # Its newest release is a second trip, since the record names it.
            pipe.hget(keys.releases(app.id, deployment_id), record.get("latest") or "0")
        newest = pipe.execute() if ids else []
        for deployment_id, record, release in zip(ids, records, newest, strict=True):
            if record:
                found.append(_read(app.id, deployment_id, record, release))
        return sorted(found, key=lambda deployment: deployment.name)

    def get(self, app: App, name: str) -> Deployment:
        """Return one deployment with its newest release.

        Raises:
            NotFoundError: The app has none of that name.
        """
        deployment_id = app.deployments.get(name)
        if deployment_id is not None:
            record = self._client.hgetall(keys.deployment(app.id, deployment_id))
            if record:
                release = self._client.hget(
                    keys.releases(app.id, deployment_id), record.get("latest") or "0"
                )
                return _read(app.id, deployment_id, record, release)
        raise absent(name)

    def rename(self, app: App, deployment: Deployment, name: str, *, event: Event) -> None:
        """Give a deployment another name.

        Raises:
            ConflictError: The app has a deployment of that name.
            NotFoundError: It is gone.
        """
        reply = self._scripts.run(
            "rename_deployment",
            [
                keys.deployments(app.id),
                keys.deployment(app.id, deployment.id),
                keys.app_log(app.id),
                keys.app(app.id),
            ],
            [deployment.id, deployment.name, name, encode_event(event), event.organization_id],
        )
        if reply == 0:
            raise absent(deployment.name)
        if reply == -1:
            raise name_taken(name)

    def delete(self, app: App, deployment: Deployment, *, event: Event) -> None:
        """Remove a deployment and all below it; its key is dead when this returns.

        Raises:
            NotFoundError: It is gone.
        """
        reply = self._scripts.run(
            "delete_deployment",
            [
                keys.app_log(app.id),
                keys.deployments(app.id),
                keys.app(app.id),
                *keys.whole_deployment(app.id, deployment.id),
            ],
            [deployment.id, deployment.name, encode_event(event), event.organization_id],
        )
        if reply == 0:
            raise absent(deployment.name)
        self._changes.tell(app.id, deployment.id, 0)

    def key_of(self, app_id: AppId, deployment_id: DeploymentId) -> DeploymentKey | None:
        """Return the key that a deployment bears, or None where it is gone."""
        key = self._client.hget(keys.deployment(app_id, deployment_id), "key")
        return DeploymentKey(key) if key is not None else None


def absent(name: str) -> NotFoundError:
    """Return the error for a deployment that is not there."""
    return NotFoundError(f'Deployment "{name}" does not exist.')


def name_taken(name: str) -> ConflictError:
    """Return the error for a second deployment of one name."""
    return ConflictError(
        f"A deployment named '{name}' already exists.", parameter="name", reason="Taken"
    )


def split_address(holder: str) -> tuple[AppId, DeploymentId]:
    """Return app and deployment of the holder of a key's claim."""
    app_id, _, deployment_id = holder.partition("/")
    return AppId(app_id), DeploymentId(deployment_id)


def _read(
    app_id: AppId, deployment_id: DeploymentId, record: dict[str, str], release: str | None
) -> Deployment:
    key = keys.deployment(app_id, deployment_id)
    return read(key, decode_deployment, app_id, deployment_id, record, release)


def decode_deployment(
    app_id: AppId, deployment_id: DeploymentId, record: dict[str, str], release: str | None
) -> Deployment:
    """Return the deployment in a stored record, with its newest release as stored."""
    return Deployment(
        id=deployment_id,
        app_id=app_id,
        name=record["name"],
        key=DeploymentKey(record["key"]),
        created_at_ms=int(record["created_at_ms"]),
        version=int(record["version"]),
        latest=decode_release(int(record["latest"]), release) if release else None,
    )
