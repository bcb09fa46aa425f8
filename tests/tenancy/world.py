"""What the matrix acts on: organizations, apps with releases, and a token for each actor.

It is made once; ``restore`` puts the store back to it, byte for byte.
"""

import io
import json
import re
from typing import TYPE_CHECKING, Any

import redis
from flask import Flask
from werkzeug.test import TestResponse

from codepush.domain.models import Principal
from codepush.domain.permissions import Role
from codepush.domain.releasing import ReleaseOverrides
from codepush.services.webhooks import WebhookChanges
from codepush.store import keys
from tests.api_client import bundle
from tests.tenancy.rules import ACTORS, MAKER_ELSEWHERE, Row

if TYPE_CHECKING:
    from codepush.services.container import Services

ROLES = {
    "viewer": Role.VIEWER,
    "developer": Role.DEVELOPER,
    "admin": Role.ADMIN,
    "spare": Role.DEVELOPER,
}
REMOVED = ("gone", "maker")
"""Who were developers of Acme; the second of them made its app App."""

HALF_REMOVED = "lost"
"""Whose removal a crash cut short: the tokens are still there."""

OUTSIDERS = ("stranger", "guest", "former", "heir", "extra")
NAMESAKE = "namesake"
"""Somebody from elsewhere whose own app is called App, too."""

APP, ORGANIZATION = "App", "Acme"
VALUES = {
    "<app>": APP,
    "<appName>": APP,
    "<deployment>": "Staging",
    "<deploymentName>": "Staging",
    "<target>": "Production",
    "<label>": "v1",
    "<name>": "spare-key",
    "<tokenName>": "spare-key",
    "<machine>": "laptop",
    "<organization>": ORGANIZATION,
    "<digest>": "0",
}
_COUNTERS = re.compile(rb"quota|attempts|LIMITS|\{jobs\}")


def email(user: str) -> str:
    return f"{user}@example.com"


class World:
    """An app over a store that holds all this."""

    def __init__(self, app: Flask, client: redis.Redis) -> None:
        """Fill the store; ``client`` answers in bytes."""
        self.app = app
        self._client = client
        self._services: Services = app.extensions["codepush"]
        self.tokens: dict[str, str] = {}
        self.token_names: dict[str, set[str]] = {}
        client.flushall()
        self._make()
        names = list(client.scan_iter(count=1_000))
        dumps = client.pipeline(transaction=False)
        for name in names:
            dumps.pttl(name)
            dumps.dump(name)
        found = dumps.execute()
        self._saved = list(zip(names, found[::2], found[1::2], strict=True))

    def restore(self) -> None:
        """Make the store as it was after it was filled."""
        self._client.flushall()
        batch = self._client.pipeline(transaction=False)
        for name, lifetime_ms, value in self._saved:
            batch.restore(name, max(0, lifetime_ms), value)
        batch.execute()

    def fingerprint(self) -> dict[bytes, bytes]:
        """Return everything in the store but counters of requests, and the agenda."""
        names = [key for key in self._client.scan_iter(count=1_000) if not _COUNTERS.search(key)]
        dumps = self._client.pipeline(transaction=False)
        for name in names:
            dumps.dump(name)
        return dict(zip(names, dumps.execute(), strict=True))

    # Making it.

    def _make(self) -> None:
        owner = self._owner()
        organizations, invitations = self._services.organizations, self._services.invitations
        members = {name: self._user(name, ORGANIZATION) for name in ROLES}
        for name, role in ROLES.items():
            organizations.change_member(owner, ORGANIZATION, email(name), role)
        for name in OUTSIDERS:
            home = self._user(name)
            self._services.apps.create(home, f"Home of {name}")
        self._services.apps.create(self._user(NAMESAKE), APP)
        self._services.apps.create(owner, "Other")
        [_, maker] = [self._user(name, ORGANIZATION) for name in REMOVED]
        lost = self._user(HALF_REMOVED, ORGANIZATION)
        self._fill(maker)
        self._organization("Second", members["admin"], "Elsewhere")
        secret, _ = invitations.invite(members["admin"], "Second", email("owner"), Role.OWNER)
        invitations.join(owner, secret)
        self._organization("Makers", maker, "Home of maker")
        self.invitation, made = invitations.invite(
            owner, ORGANIZATION, email("somebody"), Role.VIEWER
        )
        self.invitation_id = made.id
        self._issue_tokens()
        for name in REMOVED:
            organizations.remove_member(owner, ORGANIZATION, email(name))
        self._client.hdel(keys.members(lost.organization_id), lost.user.id)
        wanted = WebhookChanges(url="https://example.com/hook")
        shown, _ = self._services.webhooks.create(owner, wanted)
        self.webhook_id = shown.webhook.id
        self.delivery_id = self._services.webhook_deliveries.ping(owner, self.webhook_id).id
        self.token_names["maker"] = {MAKER_ELSEWHERE, "for Makers"}
        self._add_tokens("maker", self._services.tokens.authenticate(self.tokens[MAKER_ELSEWHERE]))

    def _owner(self) -> Principal:
        """Let the owner register, who can then log in."""
        session = self._services.sessions.register(
            email("owner"), "a long password", organization=ORGANIZATION
        )
        return self._with_tokens("owner", session.secret)

    def _user(self, name: str, organization: str = "") -> Principal:
        made = self._services.accounts.create_user(email(name), organization=organization)
        return self._with_tokens(name, made.token)

    def _with_tokens(self, name: str, secret: str) -> Principal:
        principal = self._services.tokens.authenticate(secret)
        self.tokens[name] = secret
        self.token_names[name] = {principal.token.name}
        self._add_tokens(name, principal)
        return principal

    def _add_tokens(self, name: str, principal: Principal) -> None:
        for machine, is_session in (
            ("spare-key", False),
            ("laptop", True),
            (f"only {name}'s", False),
        ):
            _, token = self._services.tokens.issue(
                principal.user,
                principal.organization_id,
                name=machine,
                created_by=machine,
                is_session=is_session,
            )
            self.token_names[name].add(token.name)

    def _fill(self, maker: Principal) -> None:
        services = self._services
        services.apps.create(maker, APP, deployments=("Production",))
        services.deployments.create(maker, APP, "Staging", key="key-of-the-app")
        for text in ("1", "2"):
            target = services.releasing.target(maker, APP, "Staging")
            made = services.releasing.release(
                maker, target, io.BytesIO(bundle(text)), ReleaseOverrides(app_version="1.0.0")
            )
        self.blob_key = made.release.blob_key
        app = services.binaries.target(maker, APP)
        binary = services.binaries.add(maker, app, io.BytesIO(bundle("1")), "1.0.0")
        self.package_hash = binary.package_hash
        for name in ("guest", "extra", "former"):
            services.ownership.add_collaborator(maker, APP, email(name))
        services.ownership.remove_collaborator(maker, APP, email("former"))

    def _organization(self, name: str, maker: Principal, app: str) -> None:
        """Let somebody make another organization, and an app in it."""
        self._services.organizations.create(maker, name)
        token, made = self._services.tokens.create(
            maker, name=f"for {name}", created_by="test", organization=name
        )
        self.token_names[maker.user.email.partition("@")[0]].add(made.name)
        self._services.apps.create(self._services.tokens.authenticate(token), app)

    def _issue_tokens(self) -> None:
        first = dict(self.tokens)
        for name, actor in ACTORS.items():
            if not actor.user:
                continue
            self.tokens[name], token = self._services.tokens.create(
                self._services.tokens.authenticate(first[actor.user]),
                name=name,
                created_by="test",
                organization=actor.organization,
                scopes=[actor.scope],
                app=actor.app,
            )
            self.token_names[actor.user].add(token.name)

    # Calling it.

    def path(self, method: str, rule: str, **instead: str) -> str:
        """Return an address for a rule; people are chosen so that nobody acts on themselves.

        Args:
            method: Of the request.
            rule: As the row has it.
            instead: Other values for names in the rule.
        """
        person = {"POST": "heir", "DELETE": "extra", "PATCH": "spare"}.get(method, "extra")
        if "/members/" in rule:
            person = "spare"
        values = VALUES | {
            "<email>": email(person),
            "<invitationId>": self.invitation_id,
            "<webhookId>": self.webhook_id,
            "<deliveryId>": self.delivery_id,
            "<key>": self.blob_key,
            "<packageHash>": self.package_hash,
        }
        values |= {f"<{name}>": value for name, value in instead.items()}
        return re.sub(r"<\w+>", lambda match: values[match[0]], rule)

    def call(self, actor: str, route: str, row: Row, **instead: str) -> TestResponse:
        """Make the request of a row as an actor."""
        method, _, rule = route.partition(" ")
        headers = {}
        if actor in self.tokens:
            headers["Authorization"] = f"Bearer {self.tokens[actor]}"
        options: dict[str, Any] = {}
        if isinstance(row.body, bytes):
            info = json.dumps({"appVersion": "1.0.0"})
            options["data"] = {"package": (io.BytesIO(row.body), "p.zip"), "packageInfo": info}
        elif row.body is not None:
            body = json.dumps(row.body).replace("<invitation>", self.invitation)
            options |= {"data": body, "content_type": "application/json"}
        if rule.lower().endswith("check"):
            options["query_string"] = {"deployment_key": "key-of-the-app", "app_version": "1.0.0"}
        return self.app.test_client().open(
            self.path(method, rule, **instead),
            method=method,
            headers=headers,
            buffered=True,
            **options,
        )
