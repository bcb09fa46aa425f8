"""What stands in the paths of the seed API: its spelling there, here, and what it means."""

from typing import Any

PREFIX = "/api/v1"

_APP = (
    "Name of an app: your organization's own, or one shared with you. `owner@example.com:name` says"
    " whose, where the name alone would mean another."
)

PATH_PARAMETERS: dict[str, tuple[str, str, str]] = {
    "appName": ("app", _APP, "MyApp-iOS"),
    "deploymentName": ("deployment", "Name of a deployment of the app.", "Production"),
    "label": ("label", "Label of a release.", "v1"),
    "packageHash": ("package_hash", "Package hash of a registered binary.", "b9deecf0abf3..."),
    "email": ("email", "E-mail address of a registered user.", "user@example.com"),
    "tokenName": ("name", "The friendlyName of one of your tokens.", "My CLI Token"),
    "organization": ("organization", "Name or id of an organization of yours.", "Acme"),
    "webhookId": ("webhook_id", "Id of a webhook.", "Zr5vJQmOQ2yWk0b3hT8c1A"),
    "deliveryId": (
        "delivery_id",
        "Id of a delivery: the `webhook-id` that its receiver knows it by.",
        "msg_0f8fad5bd9cb469fa16570867728950e",
    ),
    "invitationId": ("invitation_id", "Id of an open invitation.", "Zr5vJQmOQ2yWk0b3hT8c1A"),
}
"""By the name in the path: the argument of the view, a description and an example."""


def document(path: str) -> list[dict[str, Any]]:
    """Return the parameters of a path as OpenAPI has them."""
    return [
        {
            "in": "path",
            "name": name,
            "required": True,
            "description": description,
            "schema": {"type": "string", "minLength": 1, "examples": [example]},
        }
        for name, (_, description, example) in PATH_PARAMETERS.items()
        if f"<{name}>" in path or f":{name}>" in path
    ]
