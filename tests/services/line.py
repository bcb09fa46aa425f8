"""The releases of one deployment, as tests of services make them."""

import io
import random

from codepush.domain.ids import BlobKey
from codepush.domain.models import Principal, Release
from codepush.domain.releasing import ReleaseOverrides
from codepush.domain.update_check import UpdateAnswer
from codepush.services.acquisition import judge
from codepush.services.container import Services
from tests.api_client import make_zip
from tests.archive.native_client import Tree

PICTURE = random.Random(7).randbytes(20_000)


def tree(text: str, **more: bytes) -> Tree:
    """A package in which a bundle changes and a picture stays."""
    script = "".join(f"line {number} of {text};\n" for number in range(400))
    return {
        "CodePush/index.android.bundle": script.encode(),
        "CodePush/picture.png": PICTURE,
        **{f"CodePush/{name}": content for name, content in more.items()},
    }


class Line:
    """The releases of one deployment."""

    def __init__(self, services: Services, principal: Principal, name: str = "Staging") -> None:
        self.services = services
        self.principal = principal
        self.app, self.deployment = services.deployments.get(principal, "App", name)

    def release(self, files: Tree | bytes, version: str = "1.0.0") -> Release:
        package = files if isinstance(files, bytes) else make_zip(files)
        target = (self.app, self.deployment)
        upload, properties = io.BytesIO(package), ReleaseOverrides(app_version=version)
        return self.services.releasing.release(self.principal, target, upload, properties).release

    def prepare(self, label: str) -> Release:
        self.services.packaging.prepare(self.app.id, self.deployment.id, label)
        return self[label]

    def __getitem__(self, label: str) -> Release:
        history = self.services.stores.releases.history(self.app.id, self.deployment.id)
        found = history.find(label)
        assert found
        return found

    def check(self, package_hash: str) -> UpdateAnswer:
        """Ask for an update, as a device with a package of this hash does."""
        key, acquisition = self.deployment.key, self.services.acquisition
        asked = judge(key, "1.0.0", package_hash=package_hash)
        prepared, decision = acquisition.decide(key, asked)
        acquisition.want_diff(prepared, package_hash, decision.settled)
        return decision.settled

    def fetch(self, key: BlobKey) -> io.BytesIO:
        with self.services.storage.open(key) as file:
            return io.BytesIO(file.read())

    def prepared(self, count: int) -> None:
        """Release ``count`` packages, and prepare each, as a worker would, before the next."""
        for number in range(count):
            self.prepare(self.release(tree(str(number))).label)
