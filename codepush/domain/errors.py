"""Everything that can go wrong, as callers of every dialect may be told it.

A message is a sentence that says what is wrong and what to do next. The seed API renders
``code``, ``message`` and ``details``; the classic and device dialects print the message as
plain text, because their clients show the raw body.
"""


class CodePushError(Exception):
    """Base of every error that a caller may see.

    Attributes:
        status: HTTP status in every dialect.
        code: PascalCase name for the seed API's envelope.
        message: Sentence for the person behind the client.
        details: ``parameter`` and ``reason``, where one parameter is at fault.
    """

    status = 500
    code = "InternalServerError"

    def __init__(self, message: str, *, parameter: str | None = None, reason: str | None = None):
        """Keep the sentence, and which parameter is at fault and why."""
        super().__init__(message)
        self.message = message
        self.details: dict[str, str] = {}
        if parameter is not None:
            self.details["parameter"] = parameter
            self.details["reason"] = reason or message


class InvalidParameterError(CodePushError):
    """A value sent is missing, malformed or out of its limits."""

    status = 400
    code = "InvalidParameter"


class UnauthorizedError(CodePushError):
    """No token, or one that is unknown, revoked or expired."""

    status = 401
    code = "Unauthorized"


class ForbiddenError(CodePushError):
    """The caller may know the thing, but may not do this to it."""

    status = 403
    code = "Forbidden"


class InsufficientScopeError(ForbiddenError):
    """The caller may do this, but not with the token they use."""

    code = "InsufficientScope"


class NotFoundError(CodePushError):
    """The addressed thing is absent, or this tenant may not know that it exists."""

    status = 404
    code = "NotFound"


class ConflictError(CodePushError):
    """The request is sound, but what is there now forbids it."""

    status = 409
    code = "Conflict"


class PackageTooLargeError(CodePushError):
    """The uploaded package is over the size limit."""

    status = 413
    code = "PayloadTooLarge"


class QuotaExceededError(CodePushError):
    """Too many requests, or too many failed logins, in the current window of time.

    Attributes:
        retry_after_s: Seconds until the window ends; at least 1.
    """

    status = 429
    code = "TooManyRequests"

    def __init__(self, message: str, *, retry_after_s: int):
        """Keep the sentence, and when to try again."""
        super().__init__(message)
        self.retry_after_s = max(1, retry_after_s)


class StoreUnavailableError(CodePushError):
    """Redis did not answer; a write may or may not have happened."""

    status = 503
    code = "ServiceUnavailable"


class NotConfiguredError(CodePushError):
    """The operator has not set what this needs; the message says what."""

    status = 503
    code = "ServiceUnavailable"


class StorageError(CodePushError):
    """The blob storage failed to keep or return a package."""

    status = 503
    code = "StorageUnavailable"


class DamagedError(StorageError):
    """The bytes of a stored package are not those that were stored: trying again is no use."""
