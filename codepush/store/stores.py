"""All stores over one client."""

from dataclasses import dataclass

from codepush.store.agenda import Agenda
from codepush.store.apps import AppStore
from codepush.store.attempts import AttemptStore
from codepush.store.audit import AuditStore
from codepush.store.bell import Bell
from codepush.store.binaries import BinaryStore
from codepush.store.changes import Changes
from codepush.store.claims import Claims
from codepush.store.clock import StoreClock
from codepush.store.connection import StoreClient
from codepush.store.deliveries import DeliveryStore
from codepush.store.delivery_log import DeliveryLog
from codepush.store.deployments import DeploymentStore
from codepush.store.garbage import GarbageStore
from codepush.store.organizations import OrganizationStore
from codepush.store.packages import PackageStore
from codepush.store.releases import ReleaseStore
from codepush.store.reports import ReportStore
from codepush.store.scripts import Scripts
from codepush.store.tokens import TokenStore
from codepush.store.users import UserStore
from codepush.store.webhooks import WebhookStore


@dataclass(frozen=True, slots=True)
class Stores:
    """Every store; services take what they need."""

    client: StoreClient
    changes: Changes
    users: UserStore
    organizations: OrganizationStore
    tokens: TokenStore
    apps: AppStore
    deployments: DeploymentStore
    releases: ReleaseStore
    packages: PackageStore
    binaries: BinaryStore
    garbage: GarbageStore
    reports: ReportStore
    audit: AuditStore
    attempts: AttemptStore
    webhooks: WebhookStore
    deliveries: DeliveryStore
    delivery_log: DeliveryLog
    agenda: Agenda
    clock: StoreClock


def open_stores(client: StoreClient) -> Stores:
    """Return all stores over ``client``."""
    scripts = Scripts(client)
    claims = Claims(client, scripts)
    changes = Changes()
    agenda = Agenda(client)
    bell = Bell(agenda)
    delivery_log = DeliveryLog(client, scripts)
    return Stores(
        client=client,
        changes=changes,
        users=UserStore(client, scripts, claims),
        organizations=OrganizationStore(client, scripts, claims),
        tokens=TokenStore(client, scripts),
        apps=AppStore(client, scripts, claims, changes, bell),
        deployments=DeploymentStore(client, scripts, claims, changes),
        releases=ReleaseStore(client, scripts, changes, bell),
        packages=PackageStore(client, scripts),
        binaries=BinaryStore(client, scripts),
        garbage=GarbageStore(client),
        reports=ReportStore(client, scripts),
        audit=AuditStore(client, scripts),
        attempts=AttemptStore(client, scripts),
        webhooks=WebhookStore(client, scripts),
        deliveries=DeliveryStore(client, scripts, delivery_log),
        delivery_log=delivery_log,
        agenda=agenda,
        clock=StoreClock(scripts),
    )
