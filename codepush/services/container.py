"""All services, joined."""

from dataclasses import dataclass

from codepush.domain.storage import BlobStorage
from codepush.services.access import Access
from codepush.services.accounts import Accounts
from codepush.services.acquisition import Acquisition
from codepush.services.apps import Apps
from codepush.services.clock import Clock, system_clock
from codepush.services.deployments import Deployments
from codepush.services.releasing import Releasing
from codepush.services.reporting import Reporting
from codepush.settings import Settings
from codepush.store.stores import Stores


@dataclass(frozen=True, slots=True)
class Services:
    """Every service, as views and commands find them."""

    stores: Stores
    storage: BlobStorage
    accounts: Accounts
    access: Access
    apps: Apps
    deployments: Deployments
    releasing: Releasing
    acquisition: Acquisition
    reporting: Reporting


def build_services(
    settings: Settings, stores: Stores, storage: BlobStorage, clock: Clock = system_clock
) -> Services:
    """Join all services."""
    accounts = Accounts(stores, clock, settings.token_lifetime)
    access = Access(stores)
    deployments = Deployments(stores, access, clock)
    return Services(
        stores=stores,
        storage=storage,
        accounts=accounts,
        access=access,
        apps=Apps(stores, access, accounts, clock),
        deployments=deployments,
        releasing=Releasing(
            stores, deployments, storage, clock, history_limit=settings.history_limit
        ),
        acquisition=Acquisition(stores),
        reporting=Reporting(stores, clock),
    )
