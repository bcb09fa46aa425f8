"""Quotas: how many requests a user, an address or a deployment's devices may make.

Flask-Limiter counts them in Redis, for all workers together. It runs right after it is known who
asks: whoever has a good token is counted as that user, and everybody else by their address. What
was decided is in docs/adr/0008-quotas.md.
"""

import logging
import math
import re
from typing import cast

from flask import Flask, Response, current_app, request
from flask_limiter import ApplicationLimit, Limiter, RequestLimit
from limits import RateLimitItemPerMinute

from codepush.domain.addresses import client_network
from codepush.domain.errors import QuotaExceededError
from codepush.domain.ids import DeploymentKey
from codepush.settings import Settings
from codepush.store import keys
from codepush.store.quotas import QuotaStorage, last_window, storage_uri
from codepush.telemetry.counters import Counter
from codepush.web.admission import granted_admission
from codepush.web.auth import anybody, identify
from codepush.web.context import EXTENSION, settings

WINDOW = "1 hour"
"""Of the management dialects, as ``limits`` spells it."""

REFUSED = Counter("quota_refused_total", "Requests over a quota, by whose it was.", ("quota",))

_EXTENSION = f"{EXTENSION}.quotas"

_UNCOUNTED = re.compile(
    r"/(?:$|(?:v0\.1/public|updateCheck|reportStatus|blobs|health|metrics|api/v1/(?:docs|openapi\.json))"
    r"(?:/|$))"
)
"""Devices and what they download, probes, and documentation."""


class _Limiter(Limiter):
    """Flask-Limiter, told who asks before it counts, and kept away from what is not counted.

    It takes 50 us to find out that it has nothing to do, for each request of a device.
    """

    def _check_request_limit(
        self, callable_name: str | None = None, in_middleware: bool = True
    ) -> None:
        if is_counted(request.path):
            identify()
            if _limit() and granted_admission() is None:  # else it was counted
                super()._check_request_limit(callable_name, in_middleware)


class Quotas:
    """The quotas of one app."""

    def __init__(self, settings: Settings):
        """Count in the store that ``settings`` name."""
        self._device_limit = (
            RateLimitItemPerMinute(settings.quota_device_per_minute)
            if settings.quota_device_per_minute
            else None
        )
        self._limiter = _Limiter(
            _subject,
            application_limits=[ApplicationLimit(_limit, scope="requests")],
            strategy="fixed-window",
            storage_uri=storage_uri(settings.quota_redis_url or settings.redis_url),
            # Its own headers would cost two round trips more, and lack the IETF's.
            headers_enabled=False,
            # What has no route is counted too.
            request_identifier=lambda: request.endpoint or "none",
            on_breach=self._refuse,
        )
        # It would write a line for each request that is refused.
        self._limiter.logger.setLevel(logging.WARNING)

    def install(self, app: Flask) -> None:
        """Count the requests of ``app``; to be called before anything else hooks into them."""
        app.extensions[_EXTENSION] = self
        self._limiter.init_app(app)
        app.after_request(self._tell)

    def count_device(self, key: DeploymentKey) -> None:
        """Count a request that a device makes with a deployment key.

        Raises:
            QuotaExceededError: The deployment's quota is used up.
        """
        limit = self._device_limit
        if limit is None:
            return
        subject = keys.quota_of_deployment(key)
        if not self._limiter.limiter.hit(limit, subject):
            REFUSED.add(1, "device")
            raise self._full(
                limit.key_for(subject),
                f"This deployment's devices have made {limit.amount} requests in the last minute,"
                " which is the limit.",
            )

    def _refuse(self, limit: RequestLimit) -> None:
        """Refuse a request over its quota; Flask-Limiter calls this."""
        amount = limit.limit.amount
        REFUSED.add(1, "user" if anybody() else "address")
        raise self._full(
            limit.key,
            f"You have made {amount} requests in the last hour, which is the limit."
            if anybody()
            else f"There were {amount} requests without a valid access token from your address in"
            " the last hour, which is the limit. Send an access token.",
        )

    def _full(self, key: str, sentence: str) -> QuotaExceededError:
        cast(QuotaStorage, self._limiter.storage).close(key)
        window = last_window()
        left_s = window.left_s if window else 1
        wait = f"{left_s} s" if left_s < 120 else f"{math.ceil(left_s / 60)} min"
        return QuotaExceededError(f"{sentence} Please try again in {wait}.", retry_after_s=left_s)

    def _tell(self, response: Response) -> Response:
        """Say on a response how much is left."""
        granted = granted_admission()
        response.headers.update(granted.headers if granted else self.headers())
        return response

    def headers(self) -> dict[str, str]:
        """Return what says how much is left; nothing where the request was not counted."""
        current = self._limiter.current_limit if is_counted(request.path) else None
        if current is None:
            return {}
        name = "user" if anybody() else "address"
        amount = current.limit.amount
        headers = {"X-RateLimit-Limit": str(amount)}
        headers["RateLimit-Policy"] = f'"{name}";q={amount};w={current.limit.get_expiry()}'
        window = last_window()
        if window is not None:  # else nobody knows
            remaining = max(0, amount - window.used)
            headers["X-RateLimit-Remaining"] = str(remaining)
            headers["X-RateLimit-Reset"] = str(window.ends_at_s)
            headers["RateLimit"] = f'"{name}";r={remaining};t={window.left_s}'
        return headers


def is_counted(path: str) -> bool:
    """Return whether requests to a path count against the quota of a user or an address."""
    return not _UNCOUNTED.match(path)


def count_device(key: DeploymentKey) -> None:
    """Count a request that a device makes; see ``Quotas.count_device``."""
    cast(Quotas, current_app.extensions[_EXTENSION]).count_device(key)


def quota_headers() -> dict[str, str]:
    """Return what says how much is left of the quota that this request counts against."""
    return cast(Quotas, current_app.extensions[_EXTENSION]).headers()


def _subject() -> str:
    """Return who is counted, as keys name them."""
    principal = anybody()
    if principal is None:
        return keys.quota_of_network(client_network(request.remote_addr or ""))
    if principal.quota_per_hour is None:
        return keys.quota_of_user(principal.user.id)
    # Counted apart, or a user's requests elsewhere would use up what their organization was given.
    return keys.quota_of_user(principal.user.id, principal.organization_id)


def _limit() -> str:
    """Return how many requests there may be, as ``limits`` spells it; "" for any number."""
    principal = anybody()
    if principal is None:
        amount = settings().quota_address_per_hour
    elif principal.quota_per_hour is None:
        amount = settings().quota_user_per_hour
    else:
        amount = principal.quota_per_hour
    return f"{amount} per {WINDOW}" if amount else ""
