"""Reads forms that carry a package."""

from typing import Any, BinaryIO

from flask import request
from werkzeug.exceptions import UnsupportedMediaType

from codepush.api.v1.blueprint import FORM
from codepush.domain.errors import InvalidParameterError, PackageTooLargeError
from codepush.web.body import MAX_JSON_BYTES, parse_object
from codepush.web.upload import read_package

_PARTS = {"package", "packageInfo"}


def read_form() -> tuple[BinaryIO, dict[str, Any]]:
    """Return the package of the form in the request, and the JSON object in its packageInfo.

    Raises:
        UnsupportedMediaType: The body is something else.
        InvalidParameterError: A part is missing, malformed or unknown.
        PackageTooLargeError: The package or its properties are too large.
    """
    if request.mimetype != FORM:
        raise UnsupportedMediaType
    upload = read_package()
    for name in [*request.form, *request.files]:
        if name not in _PARTS:
            raise InvalidParameterError(
                f"The form has a part {name[:200]!r} that is not known here; leave it out.",
                parameter=name[:200],
                reason="Unknown field; leave it out.",
            )
    return upload, parse_object(_package_info(), "packageInfo")


def _package_info() -> bytes | str:
    """Return the text of ``packageInfo``, which some clients send as a file of the form."""
    file = request.files.get("packageInfo")
    if file is None:
        return request.form.get("packageInfo") or "{}"
    text: bytes = file.read(MAX_JSON_BYTES + 1)
    if len(text) > MAX_JSON_BYTES:
        raise PackageTooLargeError(
            f"The packageInfo is larger than the {MAX_JSON_BYTES} bytes that are allowed.",
            parameter="packageInfo",
            reason="Too large",
        )
    return text
