"""Headers of every answer that keep browsers from doing harm with it."""

from flask import Flask, Response, request

from codepush.settings import Settings

_YEAR_S = 31_536_000
ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # Pages that need more say so themselves.
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
"""What an answer has, wherever the server is and whoever writes it."""


def guards(settings: Settings) -> dict[str, str]:
    """Return the headers, by name, of a server with these settings."""
    if not settings.public_url.startswith("https:"):
        return ALWAYS
    return ALWAYS | {"Strict-Transport-Security": f"max-age={_YEAR_S}"}


def install(app: Flask, settings: Settings) -> None:
    """Put them on the answers of ``app`` that do not have their own."""
    headers = guards(settings)

    def guard(response: Response) -> Response:
        if request.blueprint == "device":  # no browser shows them, and each byte counts there
            return response
        for name, value in headers.items():
            response.headers.setdefault(name, value)
        return response

    app.after_request(guard)
