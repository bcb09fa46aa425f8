"""What must be done now and then, whether or not anybody asks."""

from codepush.jobs.context import services


def keep_audit() -> None:
    """Fold what happened into the audit chains, and drop what is too old."""
    services().audit.keep_up_all()
