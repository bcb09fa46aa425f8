"""Every key in Redis. No other module spells one.

Each has a hash tag in braces, so that what one script touches lies in one slot of a cluster.

==============================  ====  =============================================  =============
key (below ``cp:1:``)           type  contents                                       lifetime
==============================  ====  =============================================  =============
``{u:USER}:user``               hash  e-mail, name, password hash, organization      ever
``{u:USER}:organizations``      set   organizations joined (index)                   ever
``{u:USER}:apps``               set   apps collaborated on (index)                   ever
``{u:USER}:tokens``             hash  token id -> token JSON                         ever
``{u:USER}:token-names``        hash  token name -> token id                         ever
``{t:SHA256}:token``            str   ``user id|token id`` (index)                   expiry + 1 day
``{o:ORG}:organization``        hash  name, is_personal, quota_per_hour              ever
``{o:ORG}:members``             hash  user id -> role                                ever
``{o:ORG}:app-names``           hash  folded app name -> claim by an app id          ever
``{a:APP}:app``                 hash  organization, name, os, platform, signing      app
``{a:APP}:collaborators``       hash  user id -> permission                          app
``{a:APP}:deployments``         hash  deployment name -> deployment id               app
``{a:APP}:packages``            hash  blob key -> what was made of the upload; and   app
                                      ``blob key|package hash`` -> its diff from that
``{a:APP}:binaries``            hash  package hash -> binary JSON                    app
``{a:APP}:d:DEP``               hash  name, key, version, label_seq, latest          deployment
``{a:APP}:d:DEP:releases``      hash  label number -> release JSON                   until cleared
``{a:APP}:d:DEP:counts``        hash  ``place|counter`` -> number                    until cleared
``{a:APP}:d:DEP:devices``       hash  device digest -> device, as in ``report.lua``  DEVICE_DAYS
``{a:APP}:d:DEP:series``        hash  ``period|label|counter`` -> change             SERIES_DAYS
``{a:APP}:d:DEP:failures``      hash  label -> JSON of reasons of failures           until cleared
``{a:APP}:log``                 strm  events of the app, deleted or not              until folded
``{a:APP}:once:HASH``           str   first answer to an idempotent request          1 day
``{o:ORG}:log``                 strm  events of the organization itself              until folded
``{o:ORG}:logs``                zset  apps whose logs may hold its events, by time   until folded
``{o:ORG}:audit``               strm  audit chain: ``e`` event, ``h`` hash, ``t``    AUDIT_DAYS
``{o:ORG}:audit-head``          hash  both ends of the chain; cursors into the logs      ever
``{o:ORG}:invitations``         hash  invitation id -> invitation JSON               ever
``{o:ORG}:webhooks``            set   webhook ids                                    ever
``{o:ORG}:w:ID``                hash  webhook, its state, and who delivers for it    webhook
``{o:ORG}:w:ID:queue``          zset  ``place~delivery id`` by time of attempt       webhook
``{o:ORG}:w:ID:log``            zset  ``place~delivery id`` by time made             30 days
``{o:ORG}:w:ID:d:DELIVERY``     hash  delivery: notice, status, attempts             30 days
``{o:ORG}:notice:HASH``         hash  what some deliveries tell, and how many do      30 days
``{o:ORG}:webhook-queue``       zset  webhook ids by time of their next attempt      webhook
``{o:ORG}:webhook-head``        str   how far the audit chain was handed on          ever
``{i:HASH}:invitation``         str   ``organization id|invitation id`` (index)      its expiry
``{e:HASH}:email``              hash  claim by a user id                             ever
``{e:HASH}:attempts:NETWORK``   zset  login attempt by time, from a known network    15 minutes
``{e:HASH}:attempts``           zset  login attempt by time, from all others         15 minutes
``{e:HASH}:known-networks``     zset  network by time of its last login              30 days
``{q:NETWORK}:attempts``        zset  login attempt by time, whoever was meant       15 minutes
``{n:HASH}:organization-name``  hash  claim by an organization id                    ever
``{k:HASH}:deployment-key``     hash  claim by ``app id/deployment id``              deployment
``{users}:all``                 set   user ids (index)                               ever
``{users}:welcomed``            str   the first administrator saw their token        ever
``TAG:copy:BACKUP:NUMBER``      ...   a key as a backup found it                     2 minutes
``quota:LIMITER/SUBJECT/...``   str   requests of a subject in its current window    the window
``{h:NUMBER}:health``           str   written to find out whether a master takes it  1 minute
``{jobs}:unreferenced``         hash  blob key -> when it was first seen unused, ms  until collected
``{jobs}:webhooks``             zset  organizations by time to look at them (index)  ever
``{jobs}:deliver``              str   a job that delivers was enqueued               1 minute
``{jobs}:clock``                str   the latest time that workers read              ever
``{jobs}:tick:PERIOD:NUMBER``   str   housekeeping of a period was enqueued          2 periods
``{jobs}:outcomes``             hash  how jobs ended -> number                       ever
``{jobs}:counts``               hash  JSON of a counter and labels -> number         ever
``rq:...``                      ...   RQ's own: queues, jobs, workers                RQ's
``cp:{layout}``                 hash  version of the layout; digest of a backup      ever
                                      while it is restored
==============================  ====  =============================================  =============

An *index* may name things that are gone or never came to be; whoever reads one checks against
the thing itself. A *claim* is explained in ``store/claims.py``. *Attempts* are those that failed,
and those whose password is being checked right now. The *subject* of a quota is ``{u:USER}``,
``{u:USER}@ORG`` where the organization has a quota of its own, ``{q:NETWORK}`` or ``{k:HASH}``; the
rest of that key is made by the library ``limits``, from the quota's size and window.
"""

import hashlib
import re
from collections.abc import Iterable
from typing import NamedTuple

from codepush.domain.ids import (
    AppId,
    DeliveryId,
    DeploymentId,
    DeploymentKey,
    OrganizationId,
    TokenHash,
    UserId,
    WebhookId,
)

ROOT = "cp:1"
"""What every key of ours but one begins with."""

LAYOUT = "cp:{layout}"
"""Hash: ``version`` of the layout, and ``restoring`` while a backup is restored."""

_OF_USER = ("user", "organizations", "apps", "tokens", "token-names")
_OF_ORGANIZATION = (
    *("organization", "members", "app-names", "log", "logs"),
    *("audit", "audit-head", "invitations"),
    *("webhooks", "webhook-queue", "webhook-head"),
)
_OF_APP = ("app", "collaborators", "deployments", "log", "packages", "binaries")
OF_TAG = {"u": _OF_USER, "o": _OF_ORGANIZATION, "a": _OF_APP}
"""Keys that are always looked for below a tag, by what its first letter stands for.

A backup reads them with the rest of their group, also those that come to be while it looks around.
"""
_PASSING = {"jobs:tick", "jobs:deliver", "jobs:clock", "jobs:unreferenced"}
_KEY = re.compile(rf"{ROOT}:\{{([^}}]+)\}}:(.+)", re.DOTALL)

USERS = f"{ROOT}:{{users}}:all"
WELCOMED = f"{ROOT}:{{users}}:welcomed"
WEBHOOK_AGENDA = f"{ROOT}:{{jobs}}:webhooks"
DELIVER = f"{ROOT}:{{jobs}}:deliver"
CLOCK = f"{ROOT}:{{jobs}}:clock"


UNREFERENCED = f"{ROOT}:{{jobs}}:unreferenced"
"""Hash: key of a blob that nothing refers to -> when that was first seen, in ms."""


def tick(period_s: int, number: int) -> str:
    """String: set by the first worker that enqueues the housekeeping of a period."""
    return f"{ROOT}:{{jobs}}:tick:{period_s}:{number}"


def health(number: int) -> str:
    """String: one of many, of which each master of a cluster has some."""
    return f"{ROOT}:{{h:{number}}}:health"


def job_outcomes() -> str:
    """Hash: how many jobs ended in which way."""
    return f"{ROOT}:{{jobs}}:outcomes"


def job_counts() -> str:
    """Hash: what jobs counted while they ran."""
    return f"{ROOT}:{{jobs}}:counts"


def user(user_id: UserId) -> str:
    """Hash: the user's record."""
    return f"{ROOT}:{{u:{user_id}}}:user"


def user_organizations(user_id: UserId) -> str:
    """Set: ids of organizations the user joined. An index; the members hash decides."""
    return f"{ROOT}:{{u:{user_id}}}:organizations"


def user_apps(user_id: UserId) -> str:
    """Set: ids of apps the user collaborates on. An index; the collaborators hash decides."""
    return f"{ROOT}:{{u:{user_id}}}:apps"


def tokens(user_id: UserId) -> str:
    """Hash: token id -> token JSON."""
    return f"{ROOT}:{{u:{user_id}}}:tokens"


def token_names(user_id: UserId) -> str:
    """Hash: token name -> token id."""
    return f"{ROOT}:{{u:{user_id}}}:token-names"


def token(token_hash: TokenHash) -> str:
    """String: ``user id|token id``. An index; the user's tokens decide."""
    return f"{ROOT}:{{t:{token_hash}}}:token"


def organization(organization_id: OrganizationId) -> str:
    """Hash: the organization's record."""
    return f"{ROOT}:{{o:{organization_id}}}:organization"


def members(organization_id: OrganizationId) -> str:
    """Hash: user id -> role."""
    return f"{ROOT}:{{o:{organization_id}}}:members"


def app_names(organization_id: OrganizationId) -> str:
    """Hash: folded app name -> claim by an app id."""
    return f"{ROOT}:{{o:{organization_id}}}:app-names"


def app(app_id: AppId) -> str:
    """Hash: the app's record."""
    return f"{ROOT}:{{a:{app_id}}}:app"


def collaborators(app_id: AppId) -> str:
    """Hash: user id -> permission number."""
    return f"{ROOT}:{{a:{app_id}}}:collaborators"


EVERY_DEPLOYMENT = f"{ROOT}:{{a:*}}:d:*"
"""Pattern of the channels that changes of deployments are published on; see ``deployment``."""


def deployment_of(channel: str) -> DeploymentId:
    """Return whose changes a channel tells."""
    return DeploymentId(channel.rpartition(":")[2])


def deployments(app_id: AppId) -> str:
    """Hash: deployment name -> deployment id."""
    return f"{ROOT}:{{a:{app_id}}}:deployments"


def packages(app_id: AppId) -> str:
    """Hash: blob key of an upload -> what was made of it; ``blob key|package hash`` -> diff."""
    return f"{ROOT}:{{a:{app_id}}}:packages"


def binaries(app_id: AppId) -> str:
    """Hash: package hash -> binary JSON."""
    return f"{ROOT}:{{a:{app_id}}}:binaries"


def deployment(app_id: AppId, deployment_id: DeploymentId) -> str:
    """Hash: the deployment's record. The channel of this name tells each new version of it."""
    return f"{ROOT}:{{a:{app_id}}}:d:{deployment_id}"


def releases(app_id: AppId, deployment_id: DeploymentId) -> str:
    """Hash: label number -> release JSON."""
    return f"{deployment(app_id, deployment_id)}:releases"


def counts(app_id: AppId, deployment_id: DeploymentId) -> str:
    """Hash: ``place|counter`` -> number, where a place is a label or a binary version."""
    return f"{deployment(app_id, deployment_id)}:counts"


def devices(app_id: AppId, deployment_id: DeploymentId) -> str:
    """Hash: device digest -> device, as ``lua/report.lua`` says."""
    return f"{deployment(app_id, deployment_id)}:devices"


def series(app_id: AppId, deployment_id: DeploymentId) -> str:
    """Hash: ``h482113|v7|installed`` -> change of a counter in an hour since 1970; days with d."""
    return f"{deployment(app_id, deployment_id)}:series"


def failures(app_id: AppId, deployment_id: DeploymentId) -> str:
    """Hash: label -> JSON of the reasons of its failures, with their number and time."""
    return f"{deployment(app_id, deployment_id)}:failures"


def app_log(app_id: AppId) -> str:
    """Stream: events of the app."""
    return f"{ROOT}:{{a:{app_id}}}:log"


def once(app_id: AppId, request: str) -> str:
    """String: the first answer to an idempotent request, by a digest of its caller and key."""
    return f"{ROOT}:{{a:{app_id}}}:once:{request}"


def organization_log(organization_id: OrganizationId) -> str:
    """Stream: events of the organization itself."""
    return f"{ROOT}:{{o:{organization_id}}}:log"


def organization_logs(organization_id: OrganizationId) -> str:
    """Sorted set: ids of apps whose logs may hold events of the organization, by when they came.

    An index.
    """
    return f"{ROOT}:{{o:{organization_id}}}:logs"


def audit(organization_id: OrganizationId) -> str:
    """Stream: the audit chain, by sequence number; ``t`` is the latest time of an event so far."""
    return f"{ROOT}:{{o:{organization_id}}}:audit"


def audit_head(organization_id: OrganizationId) -> str:
    """Hash: ``seq`` and ``hash`` of the newest entry, and how far each log was folded."""
    return f"{ROOT}:{{o:{organization_id}}}:audit-head"


def invitations(organization_id: OrganizationId) -> str:
    """Hash: invitation id -> invitation JSON."""
    return f"{ROOT}:{{o:{organization_id}}}:invitations"


def webhooks(organization_id: OrganizationId) -> str:
    """Set: ids of the organization's webhooks."""
    return f"{ROOT}:{{o:{organization_id}}}:webhooks"


def webhook(organization_id: OrganizationId, webhook_id: WebhookId) -> str:
    """Hash: the webhook's record."""
    return f"{ROOT}:{{o:{organization_id}}}:w:{webhook_id}"


def queue(organization_id: OrganizationId, webhook_id: WebhookId) -> str:
    """Sorted set: ``place~delivery id`` by the time of the next attempt in ms."""
    return f"{webhook(organization_id, webhook_id)}:queue"


def delivery_log(organization_id: OrganizationId, webhook_id: WebhookId) -> str:
    """Sorted set: ``place~delivery id`` by the time it was made in ms."""
    return f"{webhook(organization_id, webhook_id)}:log"


def delivery(
    organization_id: OrganizationId, webhook_id: WebhookId, delivery_id: DeliveryId
) -> str:
    """Hash: the delivery's record."""
    return f"{webhook(organization_id, webhook_id)}:d:{delivery_id}"


def notice(organization_id: OrganizationId, digest: str) -> str:
    """Hash: what some deliveries tell, as JSON, and how many do."""
    return f"{ROOT}:{{o:{organization_id}}}:notice:{digest}"


def webhook_queue(organization_id: OrganizationId) -> str:
    """Sorted set: webhook ids by the time of their next attempt in ms."""
    return f"{ROOT}:{{o:{organization_id}}}:webhook-queue"


def webhook_head(organization_id: OrganizationId) -> str:
    """String: sequence number of the newest audit entry that was handed on to webhooks."""
    return f"{ROOT}:{{o:{organization_id}}}:webhook-head"


def invitation(token_hash: TokenHash) -> str:
    """String: ``organization id|invitation id``. An index; the organization's hash decides."""
    return f"{ROOT}:{{i:{token_hash}}}:invitation"


class Place(NamedTuple):
    """What a key says.

    Attributes:
        tag: What is hashed in a cluster: ``a:APP``. Keys with one tag are a *group*.
        kind: The letter before the colon of the tag; all of the tag if there is no colon.
        id: What follows that colon.
        name: What follows the tag: ``d:DEP:releases``.
    """

    tag: str
    kind: str
    id: str
    name: str


def place(key: str) -> Place | None:
    """Take a key apart; None for a counter of a quota, whose keys are made elsewhere."""
    found = _KEY.fullmatch(key)
    if found is None:
        return None
    kind, _, identity = found[1].partition(":")
    return Place(found[1], kind, identity, found[2])


def is_lasting(key: str) -> bool:
    """Return whether a key belongs into a backup."""
    found = place(key)
    if found is None or found.kind == "h" or found.name.startswith("copy:"):
        return False
    return f"{found.tag}:{found.name.partition(':')[0]}" not in _PASSING


def group(tag: str, deployment_ids: Iterable[DeploymentId] = ()) -> tuple[str, ...]:
    """Return the keys of a group that are known without looking; not all of them need exist."""
    kind, _, identity = tag.partition(":")
    own = tuple(f"{ROOT}:{{{tag}}}:{name}" for name in OF_TAG.get(kind, ()))
    below = (whole_deployment(AppId(identity), each) for each in deployment_ids)
    return (*own, *(key for keys in below for key in keys))


def copy(tag: str, backup: str, number: int) -> str:
    """Name a copy of a key in the group of ``tag``, for one backup."""
    return f"{ROOT}:{{{tag}}}:copy:{backup}:{number}"


def metrics(app_id: AppId, deployment_id: DeploymentId) -> tuple[str, ...]:
    """All keys that hold what devices reported, cleared together."""
    return (
        counts(app_id, deployment_id),
        devices(app_id, deployment_id),
        series(app_id, deployment_id),
        failures(app_id, deployment_id),
    )


def whole_deployment(app_id: AppId, deployment_id: DeploymentId) -> tuple[str, ...]:
    """All keys of a deployment, its record first."""
    return (
        deployment(app_id, deployment_id),
        releases(app_id, deployment_id),
        *metrics(app_id, deployment_id),
    )


def email(address: str) -> str:
    """Hash: claim on an e-mail address, without regard to case."""
    return f"{ROOT}:{{e:{_digest(address.casefold())}}}:email"


def attempts(address: str, network: str = "") -> str:
    """Sorted set: login attempts on an e-mail address; those from one known network if given."""
    key = f"{ROOT}:{{e:{_digest(address.casefold())}}}:attempts"
    return f"{key}:{network}" if network else key


def known_networks(address: str) -> str:
    """Sorted set: networks that somebody logged in from with an e-mail address, by time in ms."""
    return f"{ROOT}:{{e:{_digest(address.casefold())}}}:known-networks"


def attempts_from(network: str) -> str:
    """Sorted set: login attempts from a network."""
    return f"{ROOT}:{{q:{network}}}:attempts"


def organization_name(folded_name: str) -> str:
    """Hash: claim on an organization's name."""
    return f"{ROOT}:{{n:{_digest(folded_name)}}}:organization-name"


def deployment_key(key: DeploymentKey) -> str:
    """Hash: claim on a deployment key."""
    return f"{ROOT}:{{k:{_digest(key)}}}:deployment-key"


QUOTA = f"{ROOT}:quota"
"""What the keys of all quotas begin with."""


def quota_of_user(user_id: UserId, organization_id: OrganizationId | None = None) -> str:
    """Subject of a quota: a user, or a user within an organization that has its own quota."""
    user = f"{{u:{user_id}}}"
    return f"{user}@{organization_id}" if organization_id else user


def quota_of_network(network: str) -> str:
    """Subject of a quota: whoever asks without a token from a network."""
    return f"{{q:{network}}}"


def quota_of_deployment(key: DeploymentKey) -> str:
    """Subject of a quota: all devices of a deployment."""
    return f"{{k:{_digest(key)}}}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:40]
