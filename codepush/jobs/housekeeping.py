"""What must be done now and then, whether or not anybody asks."""

import logging

from codepush.jobs.context import services

log = logging.getLogger("codepush.jobs")


def keep_audit() -> None:
    """Fold what happened into the audit chains, and drop what is too old."""
    services().audit.keep_up_all()


def repair_packages() -> None:
    """Enqueue again what was left undone of smaller packages and diffs."""
    count = services().repair.run()
    if count:
        log.info("enqueued %d releases that lacked a smaller package or diffs", count)


def collect_blobs() -> None:
    """Delete packages that nothing refers to any more."""
    outcome = services().collection.run()
    if outcome.deleted:
        log.info("deleted %d unused packages, %d bytes", outcome.deleted, outcome.size)


def expire_metrics() -> None:
    """Let go of devices that have said nothing for long, and of old series."""
    count = services().metrics.expire_all()
    if count:
        log.info("let go of %d devices that have reported nothing for long", count)
