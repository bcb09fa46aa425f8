"""Answers devices that ask for an update."""

from collections import OrderedDict
from threading import Lock

from codepush.domain.errors import InvalidParameterError, NotFoundError
from codepush.domain.ids import AppId, DeploymentId, DeploymentKey
from codepush.domain.names import is_deployment_key
from codepush.domain.semver import InvalidVersionError, normalize_app_version, parse_version
from codepush.domain.update_check import Candidates, UpdateAnswer, UpdateRequest
from codepush.store.stores import Stores

BAD_KEY = (
    "An update check must include a valid deployment key - please check that your app has been"
    " configured correctly. To view available deployment keys, run 'code-push deployment ls"
    " <appName> -k'."
)
BAD_VERSION = (
    "An update check must include a binary version that conforms to the semver standard (e.g."
    " '1.0.0'). The binary version is normally inferred from the App Store/Play Store version"
    " configured with your app."
)
_KEPT = 2_000
"""Deployments whose prepared releases a process keeps."""


class Acquisition:
    """Update checks, from releases that are prepared once for each change."""

    def __init__(self, stores: Stores):
        """Use ``stores``."""
        self._stores = stores
        self._prepared: OrderedDict[DeploymentId, tuple[int, Candidates]] = OrderedDict()
        self._lock = Lock()

    def check(
        self,
        key: str,
        app_version: str,
        *,
        package_hash: str = "",
        label: str = "",
        is_companion: bool = False,
        client_unique_id: str = "",
    ) -> UpdateAnswer:
        """Return what a device should do.

        Args:
            key: Deployment key.
            app_version: The device's binary version, e.g. ``1.5``.
            package_hash: Hash of the package it runs, or "".
            label: Label of the package it runs, or "".
            is_companion: Whether it ignores binary versions.
            client_unique_id: Decides about rollouts; "" waits for the full one.

        Raises:
            InvalidParameterError: The key or version has no sound form.
            NotFoundError: No deployment has this key.
        """
        if not is_deployment_key(key):
            raise InvalidParameterError(BAD_KEY, parameter="deployment_key", reason="Malformed")
        try:
            version = parse_version(normalize_app_version(app_version))
        except InvalidVersionError as exc:
            raise InvalidParameterError(
                BAD_VERSION, parameter="app_version", reason="Not semver"
            ) from exc
        request = UpdateRequest(app_version, version, package_hash, label, is_companion)
        return self._candidates(DeploymentKey(key)).decide(request).answer_for(client_unique_id)

    def _candidates(self, key: DeploymentKey) -> Candidates:
        address = self._stores.deployments.address(key)
        if address is None:
            raise unknown_key()
        app_id, deployment_id = address
        current = self._stores.releases.version(app_id, deployment_id)
        if current is None or current[0] != key:
            raise unknown_key()
        with self._lock:
            held = self._prepared.get(deployment_id)
            if held and held[0] == current[1]:
                self._prepared.move_to_end(deployment_id)
                return held[1]
        return self._prepare(app_id, deployment_id)

    def _prepare(self, app_id: AppId, deployment_id: DeploymentId) -> Candidates:
        try:
            history = self._stores.releases.history(app_id, deployment_id)
        except NotFoundError as exc:
            raise unknown_key() from exc
        candidates = Candidates(history.releases)
        with self._lock:
            self._prepared[deployment_id] = (history.version, candidates)
            self._prepared.move_to_end(deployment_id)
            if len(self._prepared) > _KEPT:
                self._prepared.popitem(last=False)
        return candidates


def unknown_key() -> NotFoundError:
    """Return the error for a key that no deployment has."""
    return NotFoundError(
        "No deployment has this key. Please check that your app has been configured with a current"
        " deployment key; 'code-push deployment ls <appName> -k' shows them.",
        parameter="deployment_key",
        reason="Unknown",
    )
