"""What the event loop remembers is small, whatever changes meanwhile."""

import gc
import json

from codepush.domain.ids import DeploymentKey
from codepush.edge.fast import Edge
from codepush.services.container import Services
from codepush.services.snapshot import Prepared
from codepush.settings import Settings
from tests.api_client import ApiClient, bundle

CHECK = b"/v0.1/public/codepush/update_check"
REPORT = b"/v0.1/public/codepush/report_status/deploy"
HISTORIES = 12


def histories(key: str) -> int:
    """Return how many versions of a deployment's history this process holds."""
    gc.collect()
    return sum(isinstance(each, Prepared) and each.key == key for each in gc.get_objects())


def test_answers_that_hold_no_more_keep_no_history(
    api: ApiClient, services: Services, settings: Settings
) -> None:
    """A soak found web processes that grew with every release, for up to a minute."""
    api.add_app()
    key = DeploymentKey(api.key())
    edge = Edge(services, settings)
    for number in range(HISTORIES):
        api.release(bundle(f"{number}"))
        assert services.snapshot.get(key)
        # Never asked again, as by devices that have the update by now.
        url = b"%s?deployment_key=%s&app_version=1.0.0&label=v%d" % (CHECK, key.encode(), number)
        assert edge.checks.answer(url, b"localhost")
        report = {
            "deployment_key": key,
            "app_version": "1.0.0",
            "client_unique_id": "d",
            "label": f"v{number + 1}",
            "status": "DeploymentSucceeded",
        }
        body = json.dumps(report, separators=(",", ":")).encode()
        assert edge.reports._reader.read(REPORT, body)
    assert histories(key) == 1
