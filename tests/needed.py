"""What a machine must have for a test to run."""

import os
from typing import NoReturn

import pytest


def lacking(what: str) -> NoReturn:
    """Skip a test for want of something; where CI=true, a skip would hide that, so fail."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"This test must run where CI=true, but {what}.")
    pytest.skip(what)
