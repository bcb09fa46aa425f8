"""All services, joined."""

from dataclasses import dataclass

from codepush.domain.series import Period
from codepush.domain.storage import BlobStorage
from codepush.net.addresses import AddressRules
from codepush.net.urls import UrlRules
from codepush.services.access import Access
from codepush.services.accounts import Accounts
from codepush.services.acquisition import Acquisition
from codepush.services.apps import Apps
from codepush.services.attempts import Attempts
from codepush.services.audit import Audit
from codepush.services.binaries import Binaries
from codepush.services.clock import Clock, system_clock
from codepush.services.collection import Collection
from codepush.services.departures import Departures
from codepush.services.deployments import Deployments
from codepush.services.downloads import Downloads
from codepush.services.handing_on import HandingOn
from codepush.services.histories import Histories
from codepush.services.invitations import Invitations
from codepush.services.metrics import Metrics
from codepush.services.organizations import Organizations
from codepush.services.ownership import Ownership
from codepush.services.package_jobs import PackageJobs
from codepush.services.packages_wanted import PackagesWanted
from codepush.services.packaging import Packaging
from codepush.services.purging import Purging
from codepush.services.releasing import Releasing
from codepush.services.repair import Repair
from codepush.services.reporting import Reporting
from codepush.services.sessions import Sessions
from codepush.services.snapshot import Snapshot
from codepush.services.telling import Teller
from codepush.services.tokens import Tokens
from codepush.services.vault import Vault
from codepush.services.webhook_access import WebhookAccess
from codepush.services.webhook_deliveries import WebhookDeliveries
from codepush.services.webhook_upkeep import WebhookUpkeep
from codepush.services.webhooks import Webhooks
from codepush.settings import Settings
from codepush.store.probe import Probe
from codepush.store.queue import JobQueue
from codepush.store.stores import Stores
from codepush.store.vitals import JobVitals


@dataclass(frozen=True, slots=True)
class Services:
    """Every service, as views and commands find them."""

    stores: Stores
    storage: BlobStorage
    clock: Clock
    accounts: Accounts
    tokens: Tokens
    access: Access
    apps: Apps
    ownership: Ownership
    deployments: Deployments
    releasing: Releasing
    histories: Histories
    packaging: Packaging
    binaries: Binaries
    packages_wanted: PackagesWanted
    repair: Repair
    collection: Collection
    snapshot: Snapshot
    acquisition: Acquisition
    reporting: Reporting
    metrics: Metrics
    organizations: Organizations
    invitations: Invitations
    sessions: Sessions
    audit: Audit
    webhooks: Webhooks
    webhook_deliveries: WebhookDeliveries
    webhook_upkeep: WebhookUpkeep
    vitals: JobVitals
    probe: Probe


def build_services(
    settings: Settings,
    stores: Stores,
    storage: BlobStorage,
    queue: JobQueue,
    clock: Clock = system_clock,
) -> Services:
    """Join all services."""
    access = Access(stores)
    teller = Teller(clock)
    audit = Audit(stores, clock, settings.audit_lifetime)
    tokens = Tokens(stores, access, audit, teller, clock, settings.token_lifetime)
    departures = Departures(stores, tokens, teller, clock)
    organizations = Organizations(stores, access, audit, departures, teller, clock)
    invitations = Invitations(stores, organizations, teller, clock)
    accounts = Accounts(stores, tokens, audit, teller, clock)
    deployments = Deployments(stores, access, teller, clock)
    snapshot = Snapshot(stores)
    if settings.cdn_purge_url:
        Purging(stores.changes, queue)
    downloads = Downloads(stores, storage)
    package_jobs = PackageJobs(queue)
    packages_wanted = PackagesWanted(stores, package_jobs)
    packaging = Packaging(stores, storage, downloads, settings.spool_dir)
    vault = Vault(settings.secret_keys)
    manageable = WebhookAccess(stores, vault)
    handing_on = HandingOn(stores, clock)
    acquisition = Acquisition(snapshot, packages_wanted)
    return Services(
        stores=stores,
        storage=storage,
        clock=clock,
        accounts=accounts,
        tokens=tokens,
        access=access,
        apps=Apps(stores, access, teller, clock),
        ownership=Ownership(stores, access, accounts, teller),
        deployments=deployments,
        releasing=Releasing(
            stores,
            access,
            tokens,
            deployments,
            downloads,
            package_jobs,
            teller,
            clock,
            history_limit=settings.history_limit,
            spool=settings.spool_dir,
        ),
        histories=Histories(stores, deployments),
        packaging=packaging,
        binaries=Binaries(
            stores, access, tokens, packaging, package_jobs, teller, clock, settings.spool_dir
        ),
        packages_wanted=packages_wanted,
        repair=Repair(stores, package_jobs),
        collection=Collection(stores, storage, clock, settings.blob_grace),
        snapshot=snapshot,
        acquisition=acquisition,
        reporting=Reporting(stores, snapshot, clock),
        metrics=Metrics(
            stores,
            deployments,
            clock,
            device_days=settings.device_days,
            series_days={
                Period.HOUR: settings.series_hourly_days,
                Period.DAY: settings.series_daily_days,
            },
        ),
        organizations=organizations,
        invitations=invitations,
        sessions=Sessions(
            access,
            accounts,
            tokens,
            invitations,
            Attempts(stores),
            registration=settings.registration,
        ),
        audit=audit,
        webhooks=Webhooks(
            stores,
            manageable,
            access,
            handing_on,
            vault,
            url_rules(settings),
            teller,
            clock,
        ),
        webhook_deliveries=WebhookDeliveries(stores, manageable, audit, handing_on, teller, clock),
        webhook_upkeep=WebhookUpkeep(stores, vault, clock),
        vitals=JobVitals(settings.effective_queue_url),
        probe=Probe(stores.client),
    )


def url_rules(settings: Settings) -> UrlRules:
    """Return which URLs webhooks may have."""
    addresses = AddressRules(settings.webhook_allowed_networks)
    return UrlRules(addresses, allow_http=settings.webhook_allow_http)
