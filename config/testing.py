"""Differences for the test suite (CODEPUSH_ENV=testing)."""

WEB_CONCURRENCY = "1"
LOG_LEVEL = "warning"
