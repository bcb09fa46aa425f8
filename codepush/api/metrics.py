"""``GET /metrics``, for Prometheus; not there unless a token or a port of its own was set."""

import secrets
from collections.abc import Iterator

import redis
from flask import Blueprint, Response, request
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from codepush.domain.errors import NotFoundError, UnauthorizedError
from codepush.store.vitals import JobVitals
from codepush.telemetry import work
from codepush.telemetry.metrics import CONTENT_TYPE, PREFIX, exposition
from codepush.web.auth import bearer_token
from codepush.web.context import services, settings

blueprint = Blueprint("metrics", __name__)

TOKEN_WANTED = "Send the token of METRICS_TOKEN: Authorization: Bearer <token>."


@blueprint.get("/metrics")
def metrics() -> Response:
    """Tell the numbers of all web processes, and of the queue."""
    token = settings().metrics_token
    if not token:
        raise NotFoundError("There are no metrics here. Set METRICS_TOKEN to have them.")
    if not is_collector(request.headers.get("Authorization", ""), token):
        raise UnauthorizedError(TOKEN_WANTED)
    response = Response(exposition(lambda: job_metrics(services().vitals)))
    response.headers["Content-Type"] = CONTENT_TYPE
    response.headers["Cache-Control"] = "no-store"
    return response


def is_collector(authorization: str, token: str) -> bool:
    """Tell whether a request with this header may read the metrics that ``token`` guards."""
    return secrets.compare_digest(bearer_token(authorization).encode(), token.encode())


def job_metrics(vitals: JobVitals) -> Iterator[Metric]:
    """Yield the numbers of the queue, or that it cannot be reached."""
    try:
        waiting, outcomes, silent_s = vitals.waiting(), vitals.outcomes(), vitals.silent_s()
        counts = vitals.counts()
    except redis.RedisError:
        yield GaugeMetricFamily(f"{PREFIX}queue_up", "Whether the queue of jobs answers.", 0)
        return
    yield GaugeMetricFamily(f"{PREFIX}queue_up", "Whether the queue of jobs answers.", 1)
    depth = GaugeMetricFamily(f"{PREFIX}queue_depth", "Jobs that wait, by queue.", labels=["queue"])
    for queue, count in waiting.items():
        depth.add_metric([queue], count)
    yield depth
    ended = CounterMetricFamily(
        f"{PREFIX}jobs", "Jobs that ended, by how they did.", labels=["outcome"]
    )
    for outcome, count in outcomes.items():
        ended.add_metric([outcome], count)
    yield ended
    for counter in work.ALL:
        if counter.name in counts:
            family = CounterMetricFamily(
                f"{PREFIX}worker_{counter.name}",
                f"{counter.meaning} By workers.",
                None,
                counter.labels,
            )
            for labels, count in counts[counter.name].items():
                family.add_metric(labels, count)
            yield family
    if silent_s is not None:
        yield GaugeMetricFamily(
            f"{PREFIX}worker_heartbeat_age_seconds",
            "Seconds since a worker said that it is there, of the kind silent for longest.",
            silent_s,
        )
