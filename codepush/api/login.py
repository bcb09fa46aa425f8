"""The pages that a command-line client opens when it is given no access key.

``code-push login <url>`` opens ``/auth/login?hostname=<machine>`` and asks for the key that the
page shows. A person proves themselves with e-mail address and password.
"""

from datetime import UTC, datetime

from flask import Blueprint, Response, render_template, request

from codepush.domain.errors import QuotaExceededError, UnauthorizedError
from codepush.web.body import limit_json
from codepush.web.context import origin, services

blueprint = Blueprint("login", __name__)
blueprint.before_request(limit_json)

_LONGEST = 1_000


@blueprint.after_request
def _guard(response: Response) -> Response:
    """Keep keys out of caches and the pages out of frames."""
    response.headers["Cache-Control"] = "no-store"
    response.headers["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'"
    )
    return response


@blueprint.get("/auth/login")
def form() -> str:
    """Ask who it is."""
    return _form(request.args.get("hostname", ""))


@blueprint.post("/auth/login")
def show_key() -> str | tuple[str, int] | tuple[str, int, dict[str, str]]:
    """Show a new access key to a person who proved themselves."""
    hostname = request.form.get("hostname", "")[:_LONGEST]
    email = request.form.get("email", "")[:_LONGEST]
    try:
        session = services().sessions.log_in(
            email,
            request.form.get("password", "")[:_LONGEST],
            machine=hostname,
            address=request.remote_addr or "",
        )
    except UnauthorizedError as exc:
        return _form(hostname, email=email, error=exc.message), 401
    except QuotaExceededError as exc:
        wait = {"Retry-After": str(exc.retry_after_s)}
        return _form(hostname, email=email, error=exc.message), 429, wait
    expires = datetime.fromtimestamp(session.token.expires_at_ms / 1_000, UTC)
    return render_template(
        "page.html", title="You are logged in", key=session.secret, expires=f"{expires:%Y-%m-%d}"
    )


@blueprint.get("/auth/register")
def register() -> tuple[str, int]:
    """Say how accounts come to be."""
    return _text(
        "Accounts are made by the operator",
        "Ask whoever runs this server for an account, and then run `code-push login`. The operator"
        " makes one with: codepush user create --email you@example.com",
    ), 403


@blueprint.get("/auth/link")
def link() -> tuple[str, int]:
    """Say that there is nothing to link."""
    return _text(
        "There is nothing to link",
        "Accounts of this server are not linked with other services. Run `code-push login`.",
    ), 410


def _form(hostname: str, *, email: str = "", error: str = "") -> str:
    return render_template(
        "page.html",
        title="Log in to CodePush",
        form=True,
        action=f"{origin()}/auth/login",
        hostname=hostname[:_LONGEST],
        email=email,
        error=error,
    )


def _text(title: str, text: str) -> str:
    return render_template("page.html", title=title, text=text)
