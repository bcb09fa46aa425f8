"""Log lines on standard error, for people or for collectors, without secrets."""

import logging
import sys
from typing import Any, TextIO, cast

import structlog

from codepush.telemetry.lines import Lines

_SECRET_WORDS = ("token", "password", "secret", "authorization", "access_key", "accesskey")


def configure_logging(level: str, form: str) -> None:
    """Send all log lines to standard error.

    Args:
        level: Least severe level written, e.g. ``info``.
        form: ``text`` or ``json``.
    """
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            # Where rich is installed, the default would print local variables: tokens, passwords.
            exception_formatter=structlog.dev.plain_traceback,
        )
    )
    processors: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _redact,
    ]
    if form == "json":
        processors.append(structlog.processors.format_exc_info)
    structlog.configure(
        processors=[*processors, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", Lines())),
        cache_logger_on_first_use=True,
    )


def _redact(_logger: Any, _name: str, event: dict[str, Any]) -> dict[str, Any]:
    """Blank out what is named like a secret, should anybody ever log one."""
    for key in event:
        if any(word in key.lower() for word in _SECRET_WORDS):
            event[key] = "(hidden)"
    return event
