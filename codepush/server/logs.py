"""Log lines of the processes around the application: supervisor, gunicorn and worker.

Standard ``logging``, as gunicorn and RQ use it; in JSON with the names that the application's own
lines have.
"""

import json
import logging
import time
from typing import Any

from codepush.settings import Settings
from codepush.telemetry.lines import Lines

_TEXT = "%(asctime)s.%(msecs)03dZ [%(levelname)s] %(name)s: %(message)s"
_TIME = "%Y-%m-%dT%H:%M:%S"


class TextFormatter(logging.Formatter):
    """One line for people, in UTC."""

    converter = staticmethod(time.gmtime)

    def __init__(self, *_: object) -> None:
        """Take and ignore what ``logging.config`` passes."""
        super().__init__(_TEXT, _TIME)


class JsonFormatter(TextFormatter):
    """One JSON object a line, for collectors."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as JSON."""
        line = {
            "event": record.getMessage(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "timestamp": f"{self.formatTime(record, _TIME)}.{int(record.msecs):03d}Z",
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def log_config(settings: Settings, level: str) -> dict[str, Any]:
    """Return a configuration that sends everything to standard error.

    Args:
        settings: Their log format is used.
        level: Least severe level of the root logger, as ``logging`` names it.
    """
    formatter = JsonFormatter if settings.log_format == "json" else TextFormatter
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": formatter}},
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "formatter": "line",
                "stream": Lines(),
            }
        },
        "root": {"level": level, "handlers": ["stderr"]},
    }


def quiet_level(settings: Settings) -> str:
    """Return the level for gunicorn and RQ, whose "info" is about their own comings and goings."""
    return {"debug": "INFO", "info": "WARNING"}.get(settings.log_level, settings.log_level.upper())
