"""Differences for the test suite (CODEPUSH_ENV=testing)."""

WEB_CONCURRENCY = "1"
LOG_LEVEL = "warning"
QUOTA_USER_PER_HOUR = "0"
QUOTA_ADDRESS_PER_HOUR = "0"
SECRET_KEY = "a key that only tests know and that is long enough"
