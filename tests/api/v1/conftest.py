"""Two users of the seed API, strangers to each other."""

import pytest
from flask import Flask

from codepush.services.container import Services
from tests.api.v1.client import SeedClient
from tests.api_client import Account


@pytest.fixture
def seed(app: Flask, services: Services) -> SeedClient:
    """Ann, the owner of Acme."""
    account = Account.create(services, "ann@example.com", "Acme")
    return SeedClient(app, account.token, account.email)


@pytest.fixture
def bob(seed: SeedClient) -> SeedClient:
    """Bob, of an organization of his own."""
    return seed.another("bob@example.com", "Bobs")
