"""Differences behind a router or on a PaaS (CODEPUSH_ENV=production)."""

HOST = "0.0.0.0"  # noqa: S104 - a PaaS router reaches the server from outside
LOG_FORMAT = "json"
REGISTRATION = "invited"
