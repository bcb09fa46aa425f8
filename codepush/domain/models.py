"""The things the server keeps, as immutable values."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from codepush.domain.events import Actor
from codepush.domain.ids import (
    AppId,
    BlobKey,
    DeploymentId,
    DeploymentKey,
    OrganizationId,
    PackageHash,
    TokenId,
    UserId,
)
from codepush.domain.permissions import ALL_SCOPES, Permission, Role, Scope

FULL_ROLLOUT = 100


class ReleaseMethod(StrEnum):
    """How a release came to its deployment; spelled as clients know it."""

    UPLOAD = "Upload"
    PROMOTE = "Promote"
    ROLLBACK = "Rollback"


@dataclass(frozen=True, slots=True)
class User:
    """A person with an account.

    Attributes:
        organization_id: Their own organization: where apps transferred to them go.
        password_hash: argon2 hash, or "" where the account has no password.
    """

    id: UserId
    email: str
    name: str
    organization_id: OrganizationId
    created_at_ms: int
    is_administrator: bool = False
    password_hash: str = ""


@dataclass(frozen=True, slots=True)
class Organization:
    """A tenant: what owns apps.

    Attributes:
        name: Unique on the server without regard to case; a personal one has its user's
            e-mail address for a name.
        version: How many times it was renamed.
        quota_per_hour: Requests an hour for each user whose token carries it; 0 for no limit, None
            for the server's usual one.
    """

    id: OrganizationId
    name: str
    is_personal: bool
    created_at_ms: int
    version: int = 0
    quota_per_hour: int | None = None


@dataclass(frozen=True, slots=True)
class Invitation:
    """An offer to join an organization, open to whoever holds its secret, once.

    Attributes:
        email: Whom it was made for; a hint for people, since the secret decides.
        invited_by: E-mail address.
    """

    id: str
    organization_id: OrganizationId
    email: str
    role: Role
    invited_by: str
    created_at_ms: int
    expires_at_ms: int


@dataclass(frozen=True, slots=True)
class AccessToken:
    """What is known of a token. Its secret exists only as a SHA-256, elsewhere.

    Attributes:
        name: Unique among its user's tokens; ``friendlyName`` on the wire.
        created_by: Host name or address of the machine that asked for it.
        is_session: Whether it came from a login with a password.
        scopes: What it may be used for.
        app_id: The only app that exists for it, or None for all.
    """

    id: TokenId
    name: str
    user_id: UserId
    organization_id: OrganizationId
    created_by: str
    created_at_ms: int
    expires_at_ms: int
    is_session: bool = False
    scopes: frozenset[Scope] = ALL_SCOPES
    app_id: AppId | None = None


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is asking: a user, in the organization that their token carries.

    Attributes:
        role: Theirs in that organization, or None where they left it.
        address: Where the request came from.
        quota_per_hour: The organization's, if it has one of its own; 0 for no limit.
    """

    user: User
    organization_id: OrganizationId
    role: Role | None
    token: AccessToken
    address: str = ""
    quota_per_hour: int | None = None

    @property
    def actor(self) -> Actor:
        """The principal as events name it."""
        return Actor(self.user.id, self.user.email, self.token.id, self.token.name, self.address)


@dataclass(frozen=True, slots=True)
class Signing:
    """How an app's packages are signed.

    Attributes:
        public_key: That devices verify with: RSA, in PEM form; "" where none is registered.
        is_required: Whether only packages with a true signature may be released.
    """

    public_key: str = ""
    is_required: bool = False


@dataclass(frozen=True, slots=True)
class App:
    """An app of one organization.

    Attributes:
        os: Operating system, e.g. ``ios``; ``platform`` of the seed API. None where unknown.
        platform: Framework, e.g. ``react-native``; ``platform`` of the classic dialect.
        version: How many times its record changed, as when it is renamed or moved.
        collaborators: Permission of each collaborating user, its owner among them.
        deployments: Ids by name.
    """

    id: AppId
    organization_id: OrganizationId
    name: str
    os: str | None
    platform: str | None
    created_at_ms: int
    version: int = 0
    collaborators: Mapping[UserId, Permission] = field(default_factory=dict)
    deployments: Mapping[str, DeploymentId] = field(default_factory=dict)
    signing: Signing = Signing()

    @property
    def owner_id(self) -> UserId | None:
        """The collaborator with Owner permission."""
        for user_id, permission in self.collaborators.items():
            if permission is Permission.OWNER:
                return user_id
        return None


@dataclass(frozen=True, slots=True)
class Download:
    """A blob that devices download.

    Attributes:
        size: In bytes.
    """

    blob_key: BlobKey
    size: int


@dataclass(frozen=True, slots=True)
class Release:
    """One release of a deployment.

    Attributes:
        id: Random; lets a writer that lost its answer see whether its commit happened.
        number: 7 for the label ``v7``. Never used twice in a deployment.
        app_version: Target binary range, as the releaser wrote it.
        blob_key: Of the package as it was uploaded. Names it even when ``served`` took its place
            and the blob is gone.
        size: Of the package as it was uploaded, in bytes.
        rollout: Percent of devices it is offered to, 1 to 100.
        released_by: E-mail address.
        served: The package as devices get it, once it was looked into; that is the uploaded one
            where no smaller could be made of it.
        diffs: What devices with another package get instead, by the hash of theirs; None where the
            full package serves them better.
        bytecode_version: Of the Hermes bytecode in it, where that is what it holds.
    """

    id: str
    number: int
    app_version: str
    package_hash: PackageHash
    blob_key: BlobKey
    size: int
    uploaded_at_ms: int
    released_by: str
    method: ReleaseMethod
    description: str = ""
    is_disabled: bool = False
    is_mandatory: bool = False
    rollout: int = FULL_ROLLOUT
    original_label: str | None = None
    original_deployment: str | None = None
    served: Download | None = None
    diffs: Mapping[PackageHash, Download | None] = field(default_factory=dict, hash=False)
    bytecode_version: int | None = None

    @property
    def full(self) -> Download:
        """The whole package, in the smallest form there is."""
        return self.served or Download(self.blob_key, self.size)

    @property
    def label(self) -> str:
        """The label on the wire, e.g. ``v7``."""
        return f"v{self.number}"

    @property
    def is_rolling_out(self) -> bool:
        """Whether its rollout is unfinished."""
        return self.rollout < FULL_ROLLOUT


@dataclass(frozen=True, slots=True)
class Binary:
    """The package inside an app as a store ships it. Devices may name it as what they run.

    Attributes:
        app_version: The binary's version.
        listing: Blob that lists its files.
        added_by: E-mail address.
    """

    package_hash: PackageHash
    app_version: str
    listing: BlobKey
    added_at_ms: int
    added_by: str


@dataclass(frozen=True, slots=True)
class Deployment:
    """A channel of an app, addressed by devices through its key.

    Attributes:
        version: Grows with each change, by any number; what a commit is checked against.
        latest: Its newest release, disabled or not.
    """

    id: DeploymentId
    app_id: AppId
    name: str
    key: DeploymentKey
    created_at_ms: int
    version: int = 0
    latest: Release | None = None


@dataclass(frozen=True, slots=True)
class History:
    """All kept releases of a deployment, oldest first, as of one version of it.

    Attributes:
        last_number: The highest label number ever given, also to releases since cleared.
    """

    version: int
    last_number: int
    releases: tuple[Release, ...] = ()

    @property
    def newest(self) -> Release | None:
        """The newest release, disabled or not."""
        return self.releases[-1] if self.releases else None

    def only(self, label: str | None) -> "History":
        """Return it with no other releases than the newest and the one with this label.

        That is for whoever keeps it for long: one of 500 releases takes a megabyte.
        """
        few = (r for r in self.releases if r is self.newest or r.label == label)
        return replace(self, releases=tuple(few))

    def find(self, label: str) -> Release | None:
        """Return the release with this label."""
        return next((r for r in reversed(self.releases) if r.label == label), None)


@dataclass(frozen=True, slots=True)
class Counts:
    """How devices fared with one label or binary version. None is ever negative.

    Attributes:
        active: Known devices that run it now.
    """

    active: int = 0
    downloaded: int = 0
    installed: int = 0
    failed: int = 0
