"""Differences for work on the server itself (CODEPUSH_ENV=development)."""

LOG_LEVEL = "debug"
