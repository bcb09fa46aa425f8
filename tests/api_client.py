"""Speaks the classic and device dialects to a Flask app, as the published clients do."""

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from codepush.domain.permissions import Role
from codepush.services.container import Services


def make_zip(files: Mapping[str, bytes]) -> bytes:
    """Return a package of ``files``, as a CLI makes one."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in files.items():
            entry = zipfile.ZipInfo(path, (2026, 1, 1, 0, 0, 0))  # the same bytes at any time
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def bundle(text: str = "1") -> bytes:
    """Return a small package whose contents follow from ``text``."""
    return make_zip(
        {
            "CodePush/index.android.bundle": f"console.log({text!r})".encode(),
            "CodePush/assets/image.png": b"\x89PNG" + bytes(100),
        }
    )


def lasting_keys(redis: Any) -> set[str]:
    """Return all keys in the store but queued jobs and counters of requests and of logins."""
    passing = (":quota", ":attempts", "rq:")
    return {key for key in redis.scan_iter() if not any(each in key for each in passing)}


@dataclass(frozen=True)
class Account:
    """A user and a token of theirs."""

    email: str
    organization: str
    token: str

    @classmethod
    def create(cls, services: Services, email: str, organization: str = "") -> "Account":
        made = services.accounts.create_user(email, organization=organization)
        return cls(made.user.email, made.organization.name, made.token)


class ApiClient:
    """Requests of one account. ``expect`` is the status that a test takes for granted."""

    def __init__(self, http: FlaskClient, account: Account | None, prefix: str = "") -> None:
        self.http = http
        self.account = account
        self.prefix = prefix

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        expect: int | None = None,
        **options: Any,
    ) -> TestResponse:
        headers = {"Accept": "application/vnd.code-push.v2+json"}
        if self.account:
            headers["Authorization"] = f"Bearer {self.account.token}"
        headers |= options.pop("headers", {})
        if body is not None:
            options["data"] = json.dumps(body)
            headers["Content-Type"] = "application/json;charset=UTF-8"
        response = self.http.open(self.prefix + path, method=method, headers=headers, **options)
        if expect is not None:
            assert response.status_code == expect, (
                response.status,
                response.get_data(as_text=True),
            )
        return response

    def get(self, path: str) -> Any:
        return self.call("GET", path, expect=200).get_json()

    def refused(
        self, status: int, method: str, path: str, body: object = None, **options: Any
    ) -> str:
        """Return the sentence of an error, which old clients print as it is."""
        response = self.call(method, path, body, expect=status, **options)
        assert response.content_type == "text/plain; charset=utf-8"
        return response.get_data(as_text=True)

    def another(
        self, services: Services, email: str, organization: str = "", role: Role | None = None
    ) -> "ApiClient":
        """Return a client for a new user; with ``role``, as a member of ``organization``."""
        made = services.accounts.create_user(email, organization=organization)
        if role:
            services.stores.organizations.set_role(made.organization.id, made.user.id, role)
        account = Account(made.user.email, made.organization.name, made.token)
        return ApiClient(self.http, account, self.prefix)

    def add_app(self, name: str = "App", **fields: Any) -> Any:
        body = {"name": name, "os": "Android", "platform": "React-Native", **fields}
        return self.call("POST", "/apps/", body, expect=201).get_json()["app"]

    def key(self, app: str = "App", deployment: str = "Staging") -> str:
        path = f"/apps/{quote(app)}/deployments/{quote(deployment)}"
        key: str = self.get(path)["deployment"]["key"]
        return key

    def release(
        self,
        content: bytes,
        version: str = "1.0.0",
        *,
        app: str = "App",
        deployment: str = "Staging",
        expect: int | None = 201,
        **info: Any,
    ) -> TestResponse:
        return self.call(
            "POST",
            f"/apps/{quote(app)}/deployments/{quote(deployment)}/release",
            expect=expect,
            data={
                "package": (io.BytesIO(content), "package.zip"),
                "packageInfo": json.dumps({"appVersion": version, **info}),
            },
        )

    def patch(self, expect: int = 200, deployment: str = "Staging", **info: Any) -> TestResponse:
        path = f"/apps/App/deployments/{deployment}/release"
        return self.call("PATCH", path, {"packageInfo": info}, expect=expect)

    def promote(
        self, source: str = "Staging", target: str = "Production", expect: int = 201, **info: Any
    ) -> TestResponse:
        path = f"/apps/App/deployments/{source}/promote/{target}"
        return self.call("POST", path, {"packageInfo": info}, expect=expect)

    def roll_back(
        self, label: str = "", expect: int = 201, deployment: str = "Staging"
    ) -> TestResponse:
        path = f"/apps/App/deployments/{deployment}/rollback/{label}"
        return self.call("POST", path, expect=expect)

    def history(self, deployment: str = "Staging", app: str = "App") -> list[Any]:
        history: list[Any] = self.get(f"/apps/{app}/deployments/{deployment}/history")["history"]
        return history

    def metrics(self, deployment: str = "Staging") -> dict[str, Any]:
        metrics: dict[str, Any] = self.get(f"/apps/App/deployments/{deployment}/metrics")["metrics"]
        return metrics

    def check(self, key: str, version: str = "1.0.0", **parameters: str) -> Any:
        query = {"deployment_key": key, "app_version": version, **parameters}
        response = self.http.get("/v0.1/public/codepush/update_check", query_string=query)
        assert response.status_code == 200, response.get_data(as_text=True)
        return response.get_json()["update_info"]

    def report(self, kind: str, key: str, expect: int = 200, **fields: Any) -> TestResponse:
        body = {"deployment_key": key, **fields}
        response = self.http.post(f"/v0.1/public/codepush/report_status/{kind}", json=body)
        assert response.status_code == expect, response.get_data(as_text=True)
        return response
