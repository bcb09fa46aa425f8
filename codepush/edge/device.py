"""The device API: update checks and reports, in both spellings."""

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, request

from codepush.domain.errors import InvalidParameterError
from codepush.domain.ids import DeploymentKey
from codepush.domain.names import is_deployment_key
from codepush.domain.reports import Happening, Report, digest, label_number
from codepush.domain.update_check import UpdateAnswer
from codepush.edge.wire import ReportSchema, camel_case, either_spelling, snake_case
from codepush.web.body import json_response, limit_json, read_json
from codepush.web.context import services
from codepush.web.quotas import count_device

blueprint = Blueprint("device", __name__)
blueprint.before_request(limit_json)

_MODERN = "/v0.1/public/codepush"
_STATUSES = {
    "DeploymentSucceeded": Happening.RUNS,
    "DeploymentFailed": Happening.FAILED,
    "Downloaded": Happening.DOWNLOADED,
}
_LONGEST_VERSION = 256
_BAD_DEPLOY = "A deploy status report must contain a valid appVersion and deploymentKey."
_BAD_DOWNLOAD = "A download status report must contain a valid deploymentKey and package label."


@blueprint.after_request
def _allow_web_views(response: Response) -> Response:
    """Let Cordova and Capacitor apps ask from a web view of any origin; there are no cookies."""
    response.headers["Access-Control-Allow-Origin"] = "*"
    if request.method == "OPTIONS":
        response.headers["Access-Control-Allow-Methods"] = "GET, POST, OPTIONS"
        response.headers["Access-Control-Allow-Headers"] = (
            "Content-Type, X-CodePush-Plugin-Name, X-CodePush-Plugin-Version,"
            " X-CodePush-SDK-Version"
        )
        response.headers["Access-Control-Max-Age"] = "86400"
    return response


@blueprint.get("/updateCheck")
def check_camel_case() -> Response:
    """Answer SDK 2."""
    return _check(camel_case)


@blueprint.get(f"{_MODERN}/update_check")
def check_snake_case() -> Response:
    """Answer SDK 3 and 4."""
    return _check(snake_case)


def _check(spell: Callable[[UpdateAnswer], dict[str, Any]]) -> Response:
    for name, values in request.args.lists():
        if len(values) > 1:
            raise InvalidParameterError(
                f"The parameter {name[:60]} is given more than once; give it once.",
                parameter=name[:60],
                reason="Repeated",
            )
    asked = either_spelling(request.args.to_dict())
    key = (asked.get("deployment_key") or "").strip()
    count_device(DeploymentKey(key))
    answer = services().acquisition.check(
        key,
        asked.get("app_version") or "",
        package_hash=asked.get("package_hash") or "",
        label=asked.get("label") or "",
        is_companion=(asked.get("is_companion") or "").lower() == "true",
        client_unique_id=asked.get("client_unique_id") or "",
    )
    return json_response(spell(answer))


@blueprint.post("/reportStatus/download")
@blueprint.post(f"{_MODERN}/report_status/download")
def report_download() -> Response:
    """Take the report that a package was downloaded."""
    body = read_json(ReportSchema())
    key = _key(body, "deployment_key")
    label = body.get("label") or ""
    if key is None or not label:
        raise InvalidParameterError(_BAD_DOWNLOAD)
    return _count(
        Report(
            happening=Happening.DOWNLOADED,
            key=key,
            label=label,
            client_unique_id=body.get("client_unique_id") or "",
            fingerprint=digest("download", label),
        )
    )


@blueprint.post("/reportStatus/deploy")
@blueprint.post(f"{_MODERN}/report_status/deploy")
def report_deploy() -> Response:
    """Take the report that a package or a binary version runs, or failed to."""
    body = read_json(ReportSchema())
    key = _key(body, "deployment_key")
    version = body.get("app_version") or ""
    if key is None or not 0 < len(version) <= _LONGEST_VERSION or label_number(version):
        raise InvalidParameterError(_BAD_DEPLOY)
    label = body.get("label") or ""
    status = body.get("status") or ""
    if label and not status:
        raise InvalidParameterError(
            "A deploy status report for a labelled package must contain a valid status."
        )
    if status and status not in _STATUSES:
        raise InvalidParameterError(f"Invalid status: {status[:60]}")
    previous = body.get("previous_label_or_app_version") or ""
    previous_key = _key(body, "previous_deployment_key")
    return _count(
        Report(
            # Without a label, it says that the binary's own bundle runs, whatever the status.
            happening=_STATUSES[status] if label else Happening.RUNS,
            key=key,
            label=label,
            app_version=version,
            client_unique_id=body.get("client_unique_id") or "",
            previous_key=previous_key,
            fingerprint=digest("deploy", label, status, version, previous, previous_key or ""),
        )
    )


def _count(report: Report) -> Response:
    count_device(report.key)
    services().reporting.report(report)
    return Response("OK", content_type="text/plain; charset=utf-8")


def _key(body: dict[str, Any], name: str) -> DeploymentKey | None:
    key = (body.get(name) or "").strip()
    return DeploymentKey(key) if is_deployment_key(key) else None
