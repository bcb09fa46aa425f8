"""What delivers to webhooks, joined: for workers only, since nobody else calls anybody."""

from codepush.net.addresses import AddressRules
from codepush.net.client import Client
from codepush.services.calling import Calling
from codepush.services.clock import Clock
from codepush.services.container import url_rules
from codepush.services.delivering import Delivering
from codepush.services.handing_on import HandingOn
from codepush.services.vault import Vault
from codepush.settings import Settings
from codepush.store.stores import Stores


def build_delivering(settings: Settings, stores: Stores, clock: Clock) -> Delivering:
    """Return what delivers to webhooks, for one job."""
    client = Client(url_rules(settings), AddressRules(settings.webhook_allowed_networks))
    calling = Calling(stores, Vault(settings.secret_keys), client, clock)
    return Delivering(stores, HandingOn(stores, clock), calling, clock)
