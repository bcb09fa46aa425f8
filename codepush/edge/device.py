"""The device API: update checks and reports, in both spellings."""

from flask import Blueprint, Response, request
from werkzeug.wrappers import Response as AnyResponse

from codepush.domain.ids import DeploymentKey
from codepush.domain.reports import Report
from codepush.edge.asking import CHECKS, JSON, read_check, reply
from codepush.edge.reported import DEPLOYS, DOWNLOADS, deploy_report, download_report, who
from codepush.edge.wire import ReportSchema
from codepush.services.acquisition import NO_UPDATE, UPDATE, UPDATE_CHECKS
from codepush.web.body import limit_json, read_json
from codepush.web.context import package_url, services, settings
from codepush.web.quotas import count_device

blueprint = Blueprint("device", __name__)
blueprint.before_request(limit_json)


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


def check() -> AnyResponse:
    """Answer whether there is an update, in the words of the SDK whose route was asked."""
    asked = read_check(request.args.lists())
    count_device(DeploymentKey(asked.key))
    prepared, decision = services().acquisition.decide(asked.key, asked.judge())
    decided = decision.answer_for(asked.client_unique_id)
    UPDATE_CHECKS.add(1, UPDATE if decided.download else NO_UPDATE)
    services().acquisition.want_diff(prepared, asked.package_hash, decided)
    answer = reply(
        decided,
        CHECKS[str(request.url_rule)],
        package_url,
        prepared,
        is_shared=not asked.client_unique_id
        and decision.rolling_out is None
        and bool(settings().public_url),
        max_age_s=settings().cdn_max_age_s,
    )
    response = Response(answer.body, content_type=JSON)
    response.headers.extend(answer.headers)
    return response.make_conditional(request)


for _path in CHECKS:
    blueprint.add_url_rule(_path, view_func=check, methods=["GET"])


def report_download() -> Response:
    """Take the report that a package was downloaded."""
    body = read_json(ReportSchema())
    return _count(download_report(body), who(body))


def report_deploy() -> Response:
    """Take the report that a package or a binary version runs, or failed to."""
    body = read_json(ReportSchema())
    return _count(deploy_report(body), who(body))


for _path in DOWNLOADS:
    blueprint.add_url_rule(_path, view_func=report_download, methods=["POST"])
for _path in DEPLOYS:
    blueprint.add_url_rule(_path, view_func=report_deploy, methods=["POST"])


def _count(report: Report, device: str) -> Response:
    count_device(report.key)
    services().reporting.report(report, device)
    return Response("OK", content_type="text/plain; charset=utf-8")
