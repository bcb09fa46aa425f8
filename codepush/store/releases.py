"""Histories of deployments: read whole, changed in one step."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import orjson

from codepush.domain.errors import CodePushError, ConflictError, NotFoundError
from codepush.domain.events import Event, encode_event
from codepush.domain.ids import AppId, BlobKey, DeploymentId, PackageHash
from codepush.domain.models import FULL_ROLLOUT, Download, History, Release, ReleaseMethod
from codepush.domain.releasing import Change
from codepush.store import keys
from codepush.store.bell import Bell
from codepush.store.changes import Changes
from codepush.store.connection import StoreClient
from codepush.store.damage import number_in, read, text_in
from codepush.store.scripts import Scripts

_ONCE_S = 86_400
"""How long a repeated request is answered as the first one was."""

_TRIES = 300
"""Each failed try means that somebody else's change succeeded meanwhile."""

_LONGEST_STEP = 1 << 24
"""A version is higher than the one before by up to this, at random.

A master that fails over may lose a commit that was answered. If the next one had the number of the
lost one, whoever read the lost one could not tell them apart. Scripts count exactly up to 2^53,
which is enough for a thousand million commits.
"""


@dataclass(frozen=True, slots=True)
class Once:
    """A request that must be carried out once, however often it is sent.

    Attributes:
        request: Digest of the caller and of the key they chose.
        asked: Digest of what they asked for.
    """

    request: str
    asked: str


@dataclass(frozen=True, slots=True)
class Texts:
    """All kept releases of a deployment as they are stored, as of one version of it.

    Attributes:
        last_number: The highest label number ever given, also to releases since cleared.
        by_number: What ``decode_release`` reads, by the number of the release, in no order.
    """

    version: int
    last_number: int
    by_number: dict[int, str]


class ReleaseStore:
    """Releases by deployment."""

    def __init__(self, client: StoreClient, scripts: Scripts, changes: Changes, bell: Bell):
        """Use ``client`` for reads and ``scripts`` for commits; ring ``bell`` after each."""
        self._client = client
        self._scripts = scripts
        self._changes = changes
        self._bell = bell

    def history(self, app_id: AppId, deployment_id: DeploymentId) -> History:
        """Return all releases of a deployment, as of one moment.

        Raises:
            NotFoundError: The deployment is gone.
        """
        texts = self.texts(app_id, deployment_id)
        key, held = keys.releases(app_id, deployment_id), texts.by_number
        shared: dict[str, str] = {}
        # Each text goes as it is read: of 500 releases, both together would be 2 MB.
        releases = tuple(
            read(key, decode_release, number, held.pop(number), shared) for number in sorted(held)
        )
        return History(texts.version, texts.last_number, releases)

    def texts(self, app_id: AppId, deployment_id: DeploymentId) -> Texts:
        """Return all releases of a deployment as they are stored, as of one moment.

        Raises:
            NotFoundError: The deployment is gone.
        """
        key, releases = keys.deployment(app_id, deployment_id), keys.releases(app_id, deployment_id)
        pipe = self._client.pipeline(transaction=True)
        pipe.hmget(key, ["version", "label_seq"])
        pipe.hgetall(releases)
        (version, last_number), held = pipe.execute()
        if version is None:
            raise _gone()
        by_number = {read(releases, int, number): text for number, text in held.items()}
        return Texts(read(key, int, version), read(key, int, last_number), by_number)

    def versions(
        self, addresses: list[tuple[AppId, DeploymentId]], client: StoreClient
    ) -> list[tuple[str, int] | None]:
        """Return key and version of each deployment, None where it is gone; asked by ``client``."""
        pipe = client.pipeline(transaction=False)
        for address in addresses:
            pipe.hmget(keys.deployment(*address), ["key", "version"])
        return [
            None if key is None or version is None else (key, int(version))
            for key, version in pipe.execute()
        ]

    def change(
        self,
        app_id: AppId,
        deployment_id: DeploymentId,
        decide: Callable[[History], Change],
        *,
        tell: Callable[[Change], Event] | None,
        once: Once | None = None,
    ) -> Change:
        """Read a history, decide on a change and commit it in one atomic step.

        If another change comes in between, all is done again on the new history; so a rule that
        ``decide`` checked holds at the moment of the write, and no write is lost. If the answer to
        the commit is lost, a second try finds the release by its random id and adds nothing.

        Args:
            app_id: Owner of the deployment.
            deployment_id: Whose history.
            decide: Returns the change; raises to refuse. May run many times, and must give an
                added release the same id each time.
            tell: Returns the event that is logged with the change; None where it is nobody's act.
            once: Makes a request that was carried out before answer as it did then.

        Returns:
            The change that was committed, now or by the first request of its kind.

        Raises:
            NotFoundError: The deployment is gone.
            ConflictError: Others kept changing it for a long time, or ``once`` names an earlier
                request that asked for something else.
        """
        attempt: Change | None = None
        for _ in range(_TRIES):
            earlier = self._earlier(app_id, once, attempt)
            if earlier:
                return earlier
            history = self.history(app_id, deployment_id)
            if attempt and attempt.added:
                for release in history.releases:
                    if release.id == attempt.added.id:
                        return replace(attempt, added=release)
            try:
                attempt = decide(history)
            except CodePushError:  # maybe since the first request of its kind came in between
                earlier = self._earlier(app_id, once, attempt)
                if earlier is None:
                    raise
                return earlier
            if attempt.is_empty:
                return attempt
            event = tell(attempt) if tell else None
            if self._commit(app_id, deployment_id, history, attempt, event, once):
                if event:
                    self._bell.ring(event.organization_id)
                return attempt
        raise ConflictError("Others keep changing this deployment. Please try again in a while.")

    def _earlier(self, app_id: AppId, once: Once | None, attempt: Change | None) -> Change | None:
        """Return what the first request of its kind did; ``attempt`` was made by this one."""
        held = self._client.get(keys.once(app_id, once.request)) if once else None
        if once is None or held is None:
            return None
        record = orjson.loads(held)
        if record["asked"] != once.asked:
            raise ConflictError(
                "This Idempotency-Key came with another request in the last 24 hours. Use a new key"
                " for each new request.",
                parameter="Idempotency-Key",
                reason="Used before",
            )
        release = decode_release(record["number"], record["release"])
        is_own = bool(attempt and attempt.added and attempt.added.id == release.id)
        return Change(added=release, is_repeat=not is_own)

    def _commit(
        self,
        app_id: AppId,
        deployment_id: DeploymentId,
        history: History,
        change: Change,
        event: Event | None,
        once: Once | None,
    ) -> bool:
        added = (change.added,) if change.added else ()
        written = [*change.updated, *added]
        after = {r.number for r in (*history.releases, *added)} - set(change.dropped)
        answer = ""
        if once and change.added:
            record = {"asked": once.asked, "number": change.added.number}
            record["release"] = encode_release(change.added)
            answer = orjson.dumps(record).decode()
        touched = [
            keys.deployment(app_id, deployment_id),
            keys.releases(app_id, deployment_id),
            keys.app_log(app_id),
            keys.once(app_id, once.request if once else ""),
            keys.app(app_id),
        ]
        if change.cleared:
            touched += keys.metrics(app_id, deployment_id)
        reply = self._scripts.run(
            "commit_releases",
            touched,
            [
                history.version,
                1 + secrets.randbelow(_LONGEST_STEP),
                max(history.last_number, *(r.number for r in added), 0),
                max(after, default=""),
                encode_event(event) if event else "",
                event.organization_id if event else "",
                answer,
                _ONCE_S,
                len(written),
                *(text for r in written for text in (r.number, encode_release(r))),
                *change.dropped,
            ],
        )
        if reply == 0:
            raise _gone()
        # Also where it was refused, with a version that nothing has: it may have been carried out
        # before, and the answer lost.
        self._changes.tell(app_id, deployment_id, int(reply))
        return bool(reply != -1)


def encode_release(release: Release) -> str:
    """Return a release as stored, without its number."""
    return orjson.dumps(
        {
            "id": release.id,
            "app_version": release.app_version,
            "package_hash": release.package_hash,
            "blob_key": release.blob_key,
            "size": release.size,
            "uploaded_at_ms": release.uploaded_at_ms,
            "released_by": release.released_by,
            "method": release.method.value,
            "description": release.description,
            "is_disabled": release.is_disabled,
            "is_mandatory": release.is_mandatory,
            "rollout": release.rollout,
            "original_label": release.original_label,
            "original_deployment": release.original_deployment,
            "served": encode_download(release.served),
            "diffs": {base: encode_download(diff) for base, diff in release.diffs.items()},
            "bytecode_version": release.bytecode_version,
        }
    ).decode()


def decode_release(number: int, text: str, shared: dict[str, str] | None = None) -> Release:
    """Return the release stored under ``number``.

    Args:
        number: Of its label.
        text: As stored.
        shared: Where releases are kept, those that were read with the same one hold equal texts
            once. Not ``sys.intern``, whose table grows by megabytes where texts come and go.
    """
    record = orjson.loads(text)
    once = {} if shared is None else shared

    def same(said: str) -> str:
        return once.setdefault(said, said)

    return Release(
        id=record["id"],
        number=number,
        app_version=same(record["app_version"]),
        package_hash=PackageHash(same(text_in(record["package_hash"]))),
        blob_key=BlobKey(text_in(record["blob_key"])),
        size=number_in(record["size"]),
        uploaded_at_ms=record["uploaded_at_ms"],
        released_by=same(record["released_by"]),
        method=ReleaseMethod(record["method"]),
        description=same(record["description"]),
        is_disabled=record["is_disabled"],
        is_mandatory=record["is_mandatory"],
        rollout=record.get("rollout", FULL_ROLLOUT),
        original_label=record["original_label"],
        original_deployment=record["original_deployment"],
        served=decode_download(record.get("served")),
        diffs={
            PackageHash(same(base)): decode_download(diff)
            for base, diff in record.get("diffs", {}).items()
        },
        bytecode_version=record.get("bytecode_version"),
    )


def encode_download(download: Download | None) -> list[str | int] | None:
    """Return a download as plain JSON."""
    return None if download is None else [download.blob_key, download.size]


def decode_download(record: list[Any] | None) -> Download | None:
    """Return the download in plain JSON."""
    if record is None:
        return None
    return Download(BlobKey(text_in(record[0])), number_in(record[1]))


def _gone() -> NotFoundError:
    return NotFoundError("The deployment does not exist any more.")
