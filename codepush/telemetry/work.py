"""What workers count. Web processes tell it, so they must know of these counters, too."""

from codepush.telemetry.counters import Counter

ATTEMPTS = Counter(
    "webhook_attempts_total", "Attempts to deliver to webhooks, by what came of it.", ("outcome",)
)
ALL = (ATTEMPTS,)
"""A process of a job hands these on to the store, where each web process reads them."""
